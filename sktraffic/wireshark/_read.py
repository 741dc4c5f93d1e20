"""Wireshark's packet lists and tshark's fields to session tables."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from sktraffic.messages import MESSAGES
from sktraffic.packets import SessionBuilder, SessionTracker, address_text, compile_filter
from sktraffic.sessions import SCHEMA, from_arrow
from sktraffic.wireshark._filter import passed
from sktraffic.wireshark._packets import NO_PROTOCOL, export_packets

__all__ = ["read_wireshark"]

OPTIONS = {
    "key": ("five_tuple", "host_pair", "capture"),
    "end_on": ("timeout", "fin"),
    "size": ("frame", "ip", "transport", "payload"),
    "on_skip": ("warn", "ignore", "raise"),
}
# what says a size, and which columns of the packet table hold it
SIZES = {
    "frame": ("wire", "the column Length"),
    "ip": ("size", "Hex, or ip.len and ipv6.plen"),
    "transport": ("transport_size", "Hex, or udp.length, tcp.len and tcp.hdr_len"),
    "payload": ("payload_size", "Hex, or udp.length and tcp.len"),
}


def read_wireshark(
    path,
    *,
    key="five_tuple",
    idle_timeout=120,
    active_timeout=1800,
    end_on="timeout",
    vlan_in_key=True,
    size="frame",
    max_packets=None,
    messages=True,
    n_bytes=256,
    n_byte_packets=4,
    bpf_filter=None,
    on_skip="warn",
):
    r"""Read the sessions of a Wireshark export.

    Parameters
    ----------
    path : str or path-like
        A packet list as CSV (comma, semicolon or tab; UTF-8, UTF-16 or GBK) or XLSX with the
        columns No., Time, Source, Destination, Protocol, Length, Info and maybe Hex, in any order
        and case, or the output of ``tshark -T fields`` (see Notes).

    key : {"five_tuple", "host_pair", "capture"}, default="five_tuple"
        What packets of a session share: addresses, ports and IP protocol in either direction; the
        two addresses; or the file.

    idle_timeout : float, default=120
        Longest silence within a session, s. A packet that comes so long after the one before it
        opens another session. ``key="capture"`` ignores timeouts.

    active_timeout : float, default=1800
        Longest life of a session, s.

    end_on : {"timeout", "fin"}, default="timeout"
        With "fin" a SYN that comes after a FIN or RST opens another session, too.

    vlan_in_key : bool, default=True
        Whether packets of different VLANs have different five-tuples.

    size : {"frame", "ip", "transport", "payload"}, default="frame"
        What `packet_size` is: the column Length, or the length of the IP packet, from its
        transport header on, or of its payload, which only an export with Hex or the fields of the
        Notes says.

    max_packets : int, optional
        Only the first packets of each session.

    messages : bool, default=True
        Whether to read `packet_message` from the columns Protocol and Info.

    n_bytes, n_byte_packets : int, default=256 and 4
        How many first bytes of how many first packets of a session `packet_bytes` holds, where the
        export has Hex.

    bpf_filter : str, optional
        Only packets that pass this filter of libpcap, ``"tcp port 443"`` say. What it asks of
        bytes that the export does not tell no packet passes.

    on_skip : {"warn", "ignore", "raise"}, default="warn"
        What to do about packets that are left out because they are not IP (ARP, say), about times
        that run backwards (the clock then stands still), and about packets whose ports are unknown.

    Returns
    -------
    DataFrame of shape (n_sessions, 25)
        Session table with all columns; what the export does not say is null: `start` without
        dates, payload sizes and flags of packets whose Info does not tell them, `packet_bytes`
        without Hex, and everything of nDPI's.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no packet list, a column is missing, or a time or length cannot be read; the
        message says which rows.
    ImportError
        If an XLSX file is given without openpyxl installed.

    Notes
    -----
    This command writes all that can be read::

        tshark -r capture.pcap -T fields -E header=y -E separator=/t -E quote=d -E occurrence=f \
          -e frame.number -e frame.time_epoch -e _ws.col.Protocol -e frame.len -e _ws.col.Info \
          -e ip.src -e ip.dst -e ipv6.src -e ipv6.dst -e ip.proto -e ipv6.nxt \
          -e ip.len -e ipv6.plen -e tcp.srcport -e tcp.dstport -e udp.srcport -e udp.dstport \
          -e tcp.flags -e tcp.len -e tcp.hdr_len -e udp.length -e vlan.id \
          -e sctp.srcport -e sctp.dstport > capture.tsv

    Ports come from columns of their own (``tcp.srcport``, Source Port, ...), else from Hex (frames
    or IP packets), else from the Info text ("443 → 51234 [ACK] ..."). Where a packet's text does
    not tell them (TLS, DNS) it gets those of its two hosts' other packets of that transport, if
    they all have the same; otherwise such packets form sessions of their own, with null ports.
    Add Hex or port columns to the export, or use ``key="host_pair"``, to avoid that.

    Where a field has several values (the packet in a tunnel, or the one that an ICMP error quotes)
    the first is taken; ``occurrence=f`` has tshark write that one.

    Packets are taken in the order of the column No., if there is one. Times are seconds since the
    first packet, seconds since 1970, or dates (UTC where they say no zone). Seconds since the
    packet before are told by falling back to 0 again and again, and added up.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sktraffic.wireshark import read_wireshark
    >>> text = '''No.,Time,Source,Destination,Protocol,Length,Info
    ... 1,0.0,10.0.0.1,10.0.0.2,TCP,74,51234 > 443 [SYN] Seq=0 Win=64240 Len=0
    ... 2,0.1,10.0.0.2,10.0.0.1,TCP,74,"443 > 51234 [SYN, ACK] Seq=0 Ack=1 Win=65160 Len=0"
    ... 3,0.2,10.0.0.1,10.0.0.2,TLSv1.3,583,Client Hello
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "packets.csv"
    ...     _ = path.write_text(text)
    ...     sessions = read_wireshark(path)
    >>> sessions[["src_port", "dst_port", "packet_count", "total_bytes"]].values.tolist()
    [[51234, 443, 3, 731]]
    >>> list(sessions["packet_message"][0])
    ['TCP: SYN', 'TCP: SYN-ACK', 'TLS: Client Hello']
    """
    _check_options(
        key=key, end_on=end_on, size=size, on_skip=on_skip,
        idle_timeout=idle_timeout, active_timeout=active_timeout,
        max_packets=max_packets, n_bytes=n_bytes, n_byte_packets=n_byte_packets,
    )  # fmt: skip
    compiled = None if bpf_filter is None else compile_filter(bpf_filter)
    path = Path(path)
    export = export_packets(path, fill_ports=key == "five_tuple")
    table, message = export.table, export.message
    _check_sizes(table, size, path)
    if compiled is not None:
        kept = passed(compiled, table)
        table, message = table.take(kept), message[kept]
    _tell(_notes(export), path, on_skip)
    tracker = SessionTracker(
        key=key, idle_timeout=idle_timeout, active_timeout=active_timeout, end_on=end_on,
        vlan_in_key=vlan_in_key,
    )  # fmt: skip
    builder = SessionBuilder(
        str(path), key=key, size=size, max_packets=max_packets, n_bytes=n_bytes,
        n_byte_packets=n_byte_packets, words=MESSAGES, host_text=_host_text(export.hosts),
    )  # fmt: skip
    builder.add(table, tracker.add(table), message if messages else None)
    builder.end(tracker.finish())
    return _finished(builder.take(), export.absolute)


def _check_options(**options):
    for name, known in OPTIONS.items():
        if options[name] not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}; got {options[name]!r}.")
    for name in ("idle_timeout", "active_timeout"):
        if not options[name] > 0:
            raise ValueError(f"{name} must be a positive number of seconds, got {options[name]!r}.")
    for name, least in (("max_packets", 1), ("n_bytes", 0), ("n_byte_packets", 0)):
        if options[name] is not None and not options[name] >= least:
            raise ValueError(f"{name} must be {least} or more, got {options[name]!r}.")


def _check_sizes(table, size, path):
    column, source = SIZES[size]
    unknown = int((getattr(table, column) < 0).sum())
    if unknown:
        raise ValueError(
            f"{path} does not say the {size} size of {unknown} of {len(table)} packets, which "
            f"size={size!r} takes. Export {source}, or use size='frame'."
        )


def _notes(export):
    """Say what was found in the export, and where its times run backwards."""
    backwards = int((np.diff(export.table.time) < 0).sum())
    if not backwards:
        return export.notes
    return [
        *export.notes, f"the time runs backwards {backwards} times; the latest so far stood in"
    ]  # fmt: skip


def _host_text(hosts):
    """Return what writes addresses, and the names of hosts without one."""

    def write(address, version):
        numbers = address[:, 1].tolist()
        texts = address_text(address, version)
        return [
            hosts[number] if kind == 0 else text
            for number, kind, text in zip(numbers, version.tolist(), texts, strict=True)
        ]

    return write


def _finished(rows, absolute):
    """Return the session table, without what the export does not say."""
    X = from_arrow(SCHEMA.empty_table() if rows is None else rows)
    if not absolute:
        X["start"] = pd.Series(pd.NaT, X.index).astype(X["start"].dtype)
    X["protocol"] = X["protocol"].mask(X["protocol"] == NO_PROTOCOL)
    return X


def _tell(notes, path, on_skip):
    if not notes or on_skip == "ignore":
        return
    message = f"{path}: {'; '.join(notes)}."
    if on_skip == "raise":
        raise ValueError(f"{message} on_skip='warn' or 'ignore' reads the rest.")
    warnings.warn(message, stacklevel=3)
