"""Captures to packet tables."""

import numpy as np
import pytest

from sktraffic.packets import FileFacts, PacketTable, RecordBlock, parse_headers, read_packets
from tests.capture.craft import Craft


def test_fields_of_a_packet(tmp_path):
    """Every field of a packet written by hand, behind a VLAN tag and with padding."""
    packet = Craft.udp(b"abcd", sport=1000, dport=53)
    path = tmp_path / "x.pcap"
    path.write_bytes(Craft.pcap([(5, 7, Craft.ethernet(packet, [(0x8100, 9)]) + bytes(10), 60)]))
    reader = read_packets(path)
    table = PacketTable.concatenate(reader)
    row = {name: getattr(table, name)[0].tolist() for name in vars(table) if name != "data"}
    start = int(table.at[0])
    assert row == {
        "record": 0, "time": 5_000_007_000, "wire": 60, "size": 32, "transport_size": 12,
        "payload_size": 4, "version": 4, "protocol": 17, "src": [0, 0x0A000001],
        "dst": [0, 0x0A000002], "src_port": 1000, "dst_port": 53, "vlan": 9, "flags": 0,
        "seq": -1, "ack": -1, "ttl": 64, "window": -1, "ip_header_size": 20,
        "transport_header_size": 8, "fragment": 0, "fragment_id": -1, "tunnel": 0, "at": start,
        "transport": start + 20, "payload": start + 28, "stop": start + 32,
    }  # fmt: skip
    assert bytes(table.data[start : start + 32]) == packet
    assert (reader.facts.records, reader.facts.causes) == (1, {})


def test_records_without_a_packet_are_counted_by_cause(tmp_path):
    """Packets and causes sum up to the records of the file."""
    whole = Craft.ethernet(Craft.udp())
    frames = [whole, bytes(60), whole[:30], whole]
    path = tmp_path / "x.pcap"
    path.write_bytes(Craft.pcap([(1, 0, frame) for frame in frames]))
    reader = read_packets(path)
    table = PacketTable.concatenate(reader)
    assert table.record.tolist() == [0, 3]
    assert reader.facts.causes == {"not_ip": 1, "cut_header": 1}
    assert len(table) + sum(reader.facts.causes.values()) == reader.facts.records


def test_a_blank_table_has_every_column_in_its_type():
    """All columns have a row a packet, and types as the documentation says."""
    table = PacketTable.blank(3, b"abc", vlan=np.array([1, 2, 3], np.int32))
    columns = {name: column for name, column in vars(table).items() if name != "data"}
    assert {len(column) for column in columns.values()} == {3}
    assert table.src.shape == table.dst.shape == (3, 2)
    assert table.vlan.tolist() == [1, 2, 3]
    assert (table.src_port.dtype, table.flags.dtype, table.src.dtype) == (
        np.int32, np.int16, np.uint64,
    )  # fmt: skip
    parsed = parse_headers(table.data, table.at, table.stop)
    for name, column in columns.items():
        assert getattr(parsed, name).dtype == column.dtype, name


def test_an_idle_source_gives_an_empty_table():
    """A block without records is handed on: a live reader sees that time goes on."""
    nothing = RecordBlock(*(np.empty(0, np.int64) for _ in range(5)), b"")
    reader = read_packets(iter([nothing]))
    assert [len(table) for table in reader] == [0]
    assert reader.facts.records == 0


def test_a_sum_that_does_not_add_up_is_an_error():
    """Records that are neither packets nor have a cause are a fault, and said to be one."""
    facts = FileFacts(records=3, packets=1, causes={"not_ip": 1})
    with pytest.raises(RuntimeError, match="3 records, but 1 packets"):
        facts.check()


def test_tables_are_taken_apart_and_put_together():
    """`take` shares the bytes; `concatenate` moves places where the bytes differ."""
    one, other = PacketTable.blank(2, b"abc"), PacketTable.blank(1, b"de")
    assert one.take(np.array([1])).data is one.data
    both = PacketTable.concatenate([one, other])
    assert bytes(both.data) == b"abcde"
    assert both.at.tolist() == [0, 0, 3]
    again = PacketTable.concatenate([one.take(np.array([0])), one.take(np.array([1]))])
    assert again.data is one.data
