"""Session numbers and directions of packets: agreement with a loop over packets, and laws."""

import numpy as np
import pytest

from sktraffic.packets import NO_TIME, Clock, PacketTable, SessionTracker
from sktraffic.packets import _keys as keys

SYN, SYN_ACK, FIN, RST, ACK = 2, 18, 17, 4, 16


def table_of(time, source, target, sport=1, dport=2, protocol=17, flags=0, vlan=0, version=4):
    """Return a packet table; times in seconds."""
    table = PacketTable.blank(len(time))
    table.time = np.round(np.asarray(time, float) * 1e9).astype(np.int64)
    table.src[:, 1], table.dst[:, 1] = source, target
    if version == 6:
        table.src[:, 0] = table.dst[:, 0] = 2**63
    for name, value in {"src_port": sport, "dst_port": dport, "protocol": protocol,
                        "flags": flags, "vlan": vlan, "version": version}.items():  # fmt: skip
        getattr(table, name)[:] = value
    return table


def random_table(seed, n=200, hosts=3, ports=2, span=600.0):
    """Return packets of a few keys, in both directions, with silences, SYNs and FINs."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(0, span, n)) + rng.normal(0, 0.3, n)
    source = rng.integers(1, hosts + 1, n)
    table = table_of(time, source, rng.integers(1, hosts + 1, n))
    table.src_port[:] = rng.integers(1, ports + 1, n)
    table.dst_port[:] = rng.integers(1, ports + 1, n)
    table.protocol[:] = rng.choice([6, 17], n)
    choice = rng.choice([SYN, SYN_ACK, ACK, ACK, ACK, FIN, RST], n)
    table.flags[:] = np.where(table.protocol == 6, choice, 0)
    table.version[:] = rng.choice([4, 6], n)
    table.vlan[:] = rng.choice([0, 7], n, p=[0.9, 0.1])
    return table


def loop(table, idle, active, key="five_tuple", on_fin=False):
    """Find the sessions packet by packet; -> number, direction, place, first, client."""
    state, out, first, client, clock, count = {}, [], [], [], None, 0
    for i in range(len(table)):
        clock = int(table.time[i]) if clock is None else max(clock, int(table.time[i]))
        ms = clock // 10**6
        here = (int(table.version[i]), *table.src[i].tolist(), int(table.src_port[i]))
        there = (int(table.version[i]), *table.dst[i].tolist(), int(table.dst_port[i]))
        name = (min(here, there), max(here, there), int(table.protocol[i]), int(table.vlan[i]))
        if key == "host_pair":
            here, there = here[:3], there[:3]
            name = (min(here, there), max(here, there))
        if key == "capture":
            here, name = here[:3], ()
        tcp = table.protocol[i] == 6 and key == "five_tuple"
        flags = int(table.flags[i]) if tcp else 0
        old = state.get(name)
        cut = old is None or ms - old["last"] >= idle or ms - old["first"] >= active
        cut = cut or (on_fin and flags & 18 == SYN and old["closed"])
        if cut:
            talk = old is not None and (
                ms - old["last"] < idle
                or (tcp and not old["closed"] and len(old["ends"]) == 2
                    and ms - old["last"] < active)
            )  # fmt: skip
            who = old["client"] if talk else here
            first.append(i)
            client.append(1 if who == here else -1)
            closed = old is not None and old["closed"] and ms - old["last"] < idle
            old = state[name] = {"number": count, "first": ms, "sender": here, "client": who,
                                 "told": False, "closed": closed, "ends": set(),
                                 "place": 0}  # fmt: skip
            count += 1
        old["last"] = ms
        old["ends"].add(here)
        if flags & 2 and not old["told"]:
            old["told"], old["client"] = True, there if flags & 16 else here
        if flags & 5:
            old["closed"] = True
        elif flags & 18 == SYN:
            old["closed"] = False
        out.append((old["number"], 1 if here == old["sender"] else -1, old["place"]))
        old["place"] += 1
    return [*np.array(out).T, np.array(first), np.array(client)]


def tracked(tracker, table, pieces=1):
    """Run a tracker over a table in pieces; -> number, direction, place, first, client, ended."""
    parts, first, client, ended = [], [], [], []
    for rows in np.array_split(np.arange(len(table)), pieces):
        found = tracker.add(table.take(rows))
        parts.append((found.session, found.direction, found.place))
        first.append(rows[found.first])
        client.append(found.client)
        ended.append(found.ended)
    columns = [np.concatenate(part) for part in zip(*parts, strict=True)]
    return [*columns, np.concatenate(first), np.concatenate(client), np.concatenate(ended)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pieces", [1, 7, 200])
@pytest.mark.parametrize(
    ("idle", "active", "key", "end_on"),
    [
        (20, 100, "five_tuple", "timeout"),
        (20, 100, "five_tuple", "fin"),
        (50, 60, "host_pair", "timeout"),
        (1, 0, "five_tuple", "timeout"),
        (20, 100, "capture", "timeout"),
    ],
)
def test_sessions_are_those_of_a_loop_over_packets(seed, pieces, idle, active, key, end_on):
    """Numbers, directions, places, first packets and clients, however the packets are cut."""
    table = random_table(seed)
    wanted_idle, wanted_active = idle * 1000, active * 1000
    if key == "capture":
        wanted_idle = wanted_active = 2**62
    expected = loop(table, wanted_idle, wanted_active, key, end_on == "fin")
    tracker = SessionTracker(key=key, idle_timeout=idle, active_timeout=active, end_on=end_on)
    found = tracked(tracker, table, pieces)
    for got, wanted in zip(found, expected, strict=False):
        assert got.tolist() == wanted.tolist()
    ended = np.concatenate([found[-1], tracker.finish()])
    assert sorted(ended.tolist()) == list(range(len(expected[3])))
    assert len(tracker) == 0


def test_only_open_sessions_are_remembered():
    """Ten thousand sessions one after the other leave no more than a few behind."""
    n = 10_000
    tracker = SessionTracker(idle_timeout=2)
    ended = 0
    for at in range(0, n, 500):
        table = table_of(np.arange(at, at + 500), 1, 2, sport=np.arange(at, at + 500))
        ended += len(tracker.add(table).ended)
        assert len(tracker) <= 4
        assert len(tracker._states._rows) <= 4
    assert ended + len(tracker.finish()) == n


def test_keys_that_mix_to_one_number_stay_apart(monkeypatch):
    """Different five-tuples are never one session, whatever their hashes."""
    table = random_table(3)
    expected = loop(table, 20_000, 100_000)
    monkeypatch.setattr(keys, "_ODD", (0, 0, 0))
    found = tracked(SessionTracker(idle_timeout=20, active_timeout=100), table, 5)
    assert found[0].tolist() == expected[0].tolist()
    assert found[1].tolist() == expected[1].tolist()


def test_a_client_is_told_from_the_handshake():
    """A session that begins at the SYN-ACK, and the pieces that a timeout leaves."""
    flags = [SYN_ACK, ACK, ACK, ACK, ACK]
    table = table_of([0, 1, 2, 6, 7], [2, 1, 2, 2, 1], [1, 2, 1, 1, 2], [9, 8, 9, 9, 8],
                     [8, 9, 8, 8, 9], 6, flags)  # fmt: skip
    found = SessionTracker(active_timeout=5).add(table)
    assert found.session.tolist() == [0, 0, 0, 1, 1]
    # the first session's SYN-ACK is in its own packets; the second begins with the server
    assert found.client.tolist() == [1, -1]


@pytest.mark.parametrize(("silence", "client"), [(500, -1), (2000, 1)])
def test_an_open_connection_keeps_its_client_over_silence(silence, client):
    """TCP that nobody has closed: for as long as the active timeout; else whoever speaks first."""
    table = table_of([0, 1, 2, 3 + silence], [1, 2, 1, 2], [2, 1, 2, 1], [9, 8, 9, 8], [8, 9, 8, 9],
                     6, [SYN, SYN_ACK, ACK, ACK])  # fmt: skip
    for closing, wanted in ((ACK, client), (RST, 1)):
        table.flags[2] = closing
        for pieces in (1, 4):
            tracker = SessionTracker(idle_timeout=120, active_timeout=1800)
            found = tracked(tracker, table, pieces)
            assert found[0].tolist() == [0, 0, 0, 1]
            assert found[4].tolist() == [1, wanted]


def test_vlans_and_used_ports():
    """A tag in one direction makes two sessions or one; a FIN before a SYN one or two."""
    table = table_of([0, 1, 2], [1, 2, 1], [2, 1, 2], [1, 2, 1], [2, 1, 2], vlan=[0, 5, 0])
    assert SessionTracker().add(table).session.tolist() == [0, 1, 0]
    assert SessionTracker(vlan_in_key=False).add(table).session.tolist() == [0, 0, 0]
    table = table_of([0, 1, 2, 3, 4, 5], 1, 2, protocol=6, flags=[SYN, SYN, FIN, ACK, SYN, SYN])
    assert SessionTracker().add(table).session.tolist() == [0] * 6
    for pieces in (1, 6):
        found = tracked(SessionTracker(end_on="fin"), table, pieces)
        assert found[0].tolist() == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("off", [3000, 7200])
def test_one_wrong_time_stamp_stops_nobodys_clock(off):
    """It takes the time before it; the first packet's, the time behind it; both are told.

    A clock that is off by whole hours is right but for these.
    """
    for wrong, right in ((0, 1), (2, 1), (4, 3)):
        time = np.arange(5.0)
        time[wrong] += off
        right = wrong if off == 7200 else right
        tracker = SessionTracker()
        found = [tracker.add(table_of(time, 1, 2))]
        expected = np.arange(5.0)
        if wrong < 4:
            expected[wrong] = right
            assert (tracker.clock.odd, tracker.clock.first_odd[0]) == (1, wrong)
            assert found[0].time.tolist() == (expected * 1e9).tolist()
            assert found[0].session.tolist() == [0] * 5
        else:  # nothing comes behind it that could say so
            assert tracker.clock.odd == 0
            assert tracker.clock.waits((time * 1e9).astype(np.int64))


def test_time_stamps_that_fall_far_by_small_steps_are_a_step_back():
    """No step is far, but together they are: it is told once, with how far it went."""
    seconds = np.array([0, 50, 100, 55, 52, 20, 19, 30])  # 45, then 32 s: 80 behind the latest
    for pieces in (1, 4):
        clock = Clock(jump=60)
        rows = np.array_split(np.arange(8), pieces)
        times = np.concatenate([clock.read(seconds[r] * 10**9, r) for r in rows])
        assert (times / 1e9).tolist() == [0, 50, 100, 100, 100, 20, 19, 30]
        assert (clock.steps_back, clock.first_step) == (1, (5, 80.0))


def test_captures_put_one_behind_the_other():
    """An earlier one behind a later one keeps its times, and its sessions are its own."""
    time = np.concatenate([np.arange(10_000, 10_010), np.arange(5), np.arange(300, 305)])
    table = table_of(time, 1, 2)
    for pieces in (1, 3):
        tracker = SessionTracker()
        times = []
        for rows in np.array_split(np.arange(20), pieces):
            found = tracker.add(table.take(rows))
            times += (found.time / 1e9).tolist()
        assert times == time.tolist()
        assert tracker.clock.steps_back == 1
        assert tracker.clock.first_step == (10, 10_009.0)
    assert SessionTracker().add(table).session.tolist() == [0] * 10 + [1] * 5 + [2] * 5


def test_times_do_not_fall_within_a_session():
    """Small steps back stand still, also among packets far behind the latest time."""
    time = np.array([10_000, 10_001, 0, 1, 0.5, 2])
    found = SessionTracker().add(table_of(time, 1, 2))
    assert (found.time / 1e9).tolist() == [10_000, 10_001, 0, 1, 1, 2]
    assert found.session.tolist() == [0, 0, 1, 1, 1, 1]


def test_packets_without_time_stamps():
    """They belong to sessions like the others; their times stay unknown."""
    table = table_of([0, 1, 2, 3], 1, 2)
    table.time[[0, 2]] = NO_TIME
    found = SessionTracker().add(table)
    assert found.session.tolist() == [0] * 4
    assert found.time.tolist() == [NO_TIME, 10**9, NO_TIME, 3 * 10**9]
    table.time[:] = NO_TIME
    assert (SessionTracker().add(table).time == NO_TIME).all()


def test_time_that_passes_without_packets_ends_sessions():
    """As in live traffic; beyond a limit the oldest sessions end first."""
    tracker = SessionTracker(idle_timeout=10)
    assert tracker.add(table_of([0, 1, 2], 1, 2, sport=[1, 2, 3])).ended.tolist() == []
    assert tracker.pass_time(10 * 10**9).tolist() == [0]
    assert tracker.end_oldest(1).tolist() == [1]
    assert tracker.finish().tolist() == [2]


def test_no_packets_at_all():
    """An empty table has no sessions."""
    found = SessionTracker().add(PacketTable.blank(0))
    assert len(found.session) == len(found.numbers) == len(found.ended) == 0
