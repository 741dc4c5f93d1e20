"""The session table: what goes into Parquet comes out, and ragged arithmetic is per session."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktraffic import sessions
from sktraffic.ragged import (
    list_column,
    offsets_to_rows,
    ragged,
    ragged_words,
    segment_max,
    segment_min,
    segment_sum,
)
from sktraffic.sessions import (
    MESSAGE_TYPE,
    SCHEMA,
    check_sessions,
    concat,
    empty_sessions,
    first_packets,
    from_arrow,
    iter_sessions,
    read_sessions,
    session_parts,
    to_arrow,
    write_sessions,
)


def make_table(lengths, capture="a.pcap", words=("TCP: SYN", "TLS: Client Hello")):
    """Build a session table whose packets are numbered."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(int)
    n = offsets[-1]
    count = len(lengths)
    codes = pa.array(np.arange(n) % len(words), pa.int16())
    message = pa.DictionaryArray.from_arrays(codes, pa.array(words))
    data = {
        name: pd.Series([None] * count, dtype=pd.ArrowDtype(SCHEMA.field(name).type))
        for name in SCHEMA.names
    }
    data |= {
        "capture": [capture] * count,
        "session": np.arange(count),
        "duration": np.maximum(np.asarray(lengths) - 1, 0) / 1.0,
        "packet_count": lengths,
        "packet_time": list_column(np.arange(n) - np.repeat(offsets[:-1], lengths) + 0.0, offsets),
        "packet_size": list_column(np.arange(n) + 40, offsets),
        "packet_direction": list_column(np.where(np.arange(n) % 2, -1, 1), offsets),
        "packet_payload_size": list_column(np.arange(n), offsets),
        "packet_flags": list_column(np.arange(n) % 256, offsets),
        "packet_message": list_column(message, offsets),
        "packet_bytes": list_column(pa.array([b"E" * (i % 5) for i in range(n)]), offsets),
    }
    data["total_bytes"] = segment_sum(np.arange(n) + 40, offsets)
    return from_arrow(to_arrow(pd.DataFrame(data)).cast(SCHEMA))


lengths = st.lists(st.integers(0, 5), max_size=8)


@given(lengths)
def test_parquet_keeps_every_column(tmp_path_factory, lengths):
    """Writing and reading give the same values and types, list columns included."""
    path = tmp_path_factory.mktemp("parts") / "x.parquet"
    X = make_table(lengths)
    write_sessions(X, path)
    Y = read_sessions(path)
    assert Y.dtypes.equals(X.dtypes)
    assert to_arrow(Y).to_pylist() == to_arrow(X).to_pylist()


def test_folder_of_parts_is_read_in_the_order_of_names(tmp_path):
    """A folder is its parts, one after another, whatever words each part knows."""
    first = make_table([2, 1], "a", words=("TCP: ACK", "DNS: Query"))
    second = make_table([3], "b", words=("QUIC: Initial",))
    write_sessions(second, tmp_path / "2.parquet")
    write_sessions(first, tmp_path / "1.parquet")
    X = read_sessions(tmp_path)
    assert X["capture"].tolist() == ["a", "a", "b"]
    codes, words, _ = ragged_words(X["packet_message"])
    assert words[codes].tolist() == ["TCP: ACK", "DNS: Query", "TCP: ACK"] + ["QUIC: Initial"] * 3
    assert read_sessions(tmp_path, columns=["session"]).columns.tolist() == ["session"]


def test_nothing_to_read_is_said(tmp_path):
    """A missing path and an empty folder are errors that say what to do."""
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        read_sessions(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="to_parquet"):
        read_sessions(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    """The file is replaced whole or not at all, and no temporary file stays."""
    path = tmp_path / "x.parquet"
    write_sessions(make_table([1]), path)
    monkeypatch.setattr(sessions.pq, "write_table", _fail_after_writing)
    with pytest.raises(OSError, match="disk full"):
        write_sessions(make_table([1, 2]), path)
    assert len(read_sessions(path)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["x.parquet"]


def _fail_after_writing(table, path, **kwargs):
    path.write_bytes(b"half")
    raise OSError("disk full")


@given(lengths, st.randoms())
def test_slices_and_concatenations_keep_sessions_whole(lengths, random):
    """Rows taken in any order hold the packets that they held."""
    X = concat([make_table(lengths, "a"), make_table(lengths[::-1], "b", words=("SSH: Banner",))])
    rows = list(range(len(X)))
    random.shuffle(rows)
    values, offsets = ragged(X.iloc[rows]["packet_size"])
    whole = X["packet_size"].tolist()
    for i, row in enumerate(rows):
        assert values[offsets[i] : offsets[i + 1]].tolist() == list(whole[row])


@given(lengths, st.integers(0, 2**32 - 1))
def test_segment_arithmetic_equals_a_loop(lengths, seed):
    """Sum, minimum and maximum per session, also of sessions without packets."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(int)
    values = np.random.default_rng(seed).integers(-9, 9, offsets[-1])
    parts = [values[a:b] for a, b in pairwise(offsets)]
    assert segment_sum(values, offsets).tolist() == [part.sum() for part in parts]
    assert segment_min(values, offsets, -99).tolist() == [p.min() if len(p) else -99 for p in parts]
    assert segment_max(values, offsets, 99).tolist() == [p.max() if len(p) else 99 for p in parts]
    assert offsets_to_rows(offsets).tolist() == [i for i, p in enumerate(parts) for _ in p]


@given(lengths, st.integers(1, 6))
def test_first_packets_are_what_was_known_by_then(lengths, n):
    """Facts of a truncated session are those of the packets that are left."""
    X = make_table(lengths)
    Y = first_packets(X, n)
    kept = np.minimum(lengths, n)
    assert Y["packet_count"].tolist() == kept.tolist()
    for name in set(sessions.PACKET_COLUMNS) & set(X.columns):
        for before, after in zip(X[name], Y[name], strict=True):
            assert list(after) == list(before)[:n]
    assert Y["duration"].tolist() == np.maximum(kept - 1, 0).tolist()
    assert Y["total_bytes"].tolist() == [sum(sizes) for sizes in Y["packet_size"]]
    assert Y.dtypes.equals(X.dtypes)


def test_first_packets_wants_a_packet():
    """Zero packets are refused."""
    with pytest.raises(ValueError, match="at least 1"):
        first_packets(make_table([1]), 0)


def test_concat_of_nothing_is_an_empty_table():
    """The empty table has all columns, and stays out of the way."""
    X = concat([])
    assert X.shape == (0, len(SCHEMA))
    assert concat([empty_sessions(), make_table([1])])["packet_count"].tolist() == [1]


def test_missing_messages_have_no_code():
    """A packet without a message has code -1; a session without packets has none."""
    column = pd.Series([["a", None], [], ["b"]], dtype=pd.ArrowDtype(MESSAGE_TYPE))
    codes, words, offsets = ragged_words(column)
    assert codes.tolist() == [0, -1, 1]
    assert words.tolist() == ["a", "b"]
    assert offsets.tolist() == [0, 2, 2, 3]


def test_only_lists_are_ragged():
    """A plain column is refused by name."""
    with pytest.raises(TypeError, match="'session' holds int64"):
        ragged(make_table([1])["session"])


def test_what_is_no_session_table_is_refused():
    """The error says what came and what makes a table."""
    with pytest.raises(TypeError, match="got ndarray"):
        check_sessions(np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"lacks the column\(s\) packet_size"):
        check_sessions(pd.DataFrame({"a": [1]}), ["a", "packet_size"])


def hive(folder):
    """Write parts of three sessions each below label=.../capture=..., and odd files between."""
    for label, capture in (("chat", "a"), ("chat", "b"), ("mail", "c")):
        path = folder / f"label={label}" / f"capture_name={capture}" / "part.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sessions(make_table([2, 1, 4], capture), path)
    (folder / "_skops").mkdir()
    write_sessions(make_table([9]), folder / "_skops" / "left.parquet")
    write_sessions(make_table([9]), folder / ".half.parquet")
    (folder / "notes.txt").write_text("no part")


def test_hive_folders_are_columns(tmp_path):
    """label=.../capture_name=... become columns; hidden files and other files are passed over."""
    hive(tmp_path)
    X = read_sessions(tmp_path)
    assert X["label"].tolist() == ["chat"] * 6 + ["mail"] * 3
    assert X["capture_name"].tolist() == list("aaabbbccc")
    assert X["capture"].tolist() == list("aaabbbccc")
    assert [part.parent.name[-1] for part in session_parts(tmp_path)] == ["a", "b", "c"]


def test_only_rows_that_are_asked_for_are_read(tmp_path):
    """Filters on folders and on columns, as tuples and as an expression, equal pandas' own."""
    hive(tmp_path)
    X = read_sessions(tmp_path)
    chosen = read_sessions(tmp_path, filters=[("label", "==", "chat"), ("packet_count", ">", 1)])
    expected = X[(X["label"] == "chat") & (X["packet_count"] > 1)]
    assert chosen["session"].tolist() == expected["session"].tolist()
    same = read_sessions(
        tmp_path,
        ["session"],
        filters=(pc.field("label") == "chat") & (pc.field("packet_count") > 1),
    )
    assert same["session"].tolist() == chosen["session"].tolist()


@given(lengths, st.integers(1, 7))
def test_batches_put_together_are_the_table(tmp_path_factory, lengths, batch_size):
    """Every batch but the last is full, across the ends of parts."""
    folder = tmp_path_factory.mktemp("parts")
    write_sessions(make_table(lengths, "a"), folder / "1.parquet")
    write_sessions(make_table([1, 2], "b", words=("QUIC: Initial",)), folder / "2.parquet")
    batches = list(iter_sessions(folder, batch_size))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    whole = read_sessions(folder)
    rows = [row for batch in batches for row in to_arrow(batch).to_pylist()]
    assert rows == to_arrow(whole).to_pylist()


def test_columns_that_are_nowhere_are_named(tmp_path):
    """The error lists what there is; a batch of nothing is refused."""
    write_sessions(make_table([1]), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=r"no column\(s\) mood; it has .*packet_time"):
        read_sessions(tmp_path, columns=["session", "mood"])
    with pytest.raises(ValueError, match="at least 1 row"):
        next(iter_sessions(tmp_path, 0))


def test_other_tools_read_the_parts(tmp_path):
    """DuckDB and Polars see the same rows, lists and folders included."""
    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    hive(tmp_path)
    pattern = f"{tmp_path}/label=*/**/*.parquet"
    query = f"SELECT label, count(*), sum(len(packet_size)) FROM read_parquet('{pattern}', " \
            "hive_partitioning = true) GROUP BY label ORDER BY label"  # fmt: skip
    assert duckdb.sql(query).fetchall() == [("chat", 6, 14), ("mail", 3, 7)]
    frame = polars.read_parquet(pattern, hive_partitioning=True)
    assert frame["packet_size"].list.len().sum() == 21
    assert frame["label"].to_list() == read_sessions(tmp_path)["label"].tolist()
