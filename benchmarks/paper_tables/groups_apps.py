"""34 Android apps (FG-Net's data), split by trace: flows and whole traces."""

import functools
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.pipeline import make_union

from paper_tables import groups_common, groups_text
from paper_tables.core import Table
from sktraffic.feature_extraction import PacketSequences, ProtocolMatrix, SessionStatistics
from sktraffic.ragged import list_column

FILE = Path("android_apps_fgnet") / "d1_visible_apps.parquet"
MODEL = {
    "n_splits": 5, "folds": 1, "inner_splits": 4, "trees": 100, "search_trees": 50, "top_k": 4,
    "boosting_rounds": 30, "epochs": 15, "budget": 3, "compare_seeds": 1, "min_count": 100,
}  # fmt: skip
SETTINGS = {
    "tiny": MODEL | {
        "apps": 3, "traces": 8, "n_splits": 2, "inner_splits": 2, "trees": 10, "search_trees": 5,
        "boosting_rounds": 3, "epochs": 1, "budget": 1, "min_count": 20,
    },
    "cpu": MODEL | {"apps": None, "traces": 50},
    "gpu": MODEL | {
        "apps": None, "traces": None, "folds": 5, "trees": 300, "search_trees": 100, "top_k": 10,
        "boosting_rounds": 60, "epochs": 30, "budget": 4, "min_count": 200, "jobs": -1,
    },
}  # fmt: skip


def sessions(table):
    """Make a session table of signed lengths and intervals; both are of the first 128 packets.

    The lengths reach 1448 and no more in one direction, and pure acknowledgements are left out:
    they are payload bytes, so they stand for `packet_size` as well as `packet_payload_size`. TCP
    flags are not told: none is set, which makes constant columns.
    """
    lengths = table["packet_length"].combine_chunks()
    offsets = lengths.offsets.to_numpy()
    signed = lengths.flatten().to_numpy().astype(np.int32)  # up to 65,479: no int16
    iat = table["iat"].combine_chunks().flatten().to_numpy().astype(np.float64)
    passed = np.cumsum(iat)
    first = np.repeat(passed[offsets[:-1]], np.diff(offsets))
    # sums of millions of intervals leave a rounding error around the flow's own start
    time = np.maximum(np.round(passed - first, 7), 0.0)
    words = pa.array(np.char.add("SIZE: ", signed.astype(str))).dictionary_encode()
    return pd.DataFrame(
        {
            "packet_time": list_column(time, offsets),
            "packet_size": list_column(np.abs(signed), offsets),
            "packet_direction": list_column(np.sign(signed).astype(np.int8), offsets),
            "packet_payload_size": list_column(np.abs(signed), offsets),
            "packet_flags": list_column(np.zeros(len(signed), np.uint8), offsets),
            "packet_message": list_column(words, offsets),
        }
    )


def chosen_rows(labels, traces, settings):
    """Rows of the first apps and of some of each one's traces, drawn once and for all."""
    keep = np.isin(labels, np.unique(labels)[: settings["apps"]])
    if settings["traces"] is not None:
        rng = np.random.default_rng(0)
        drawn = []
        for app in np.unique(labels):
            own = np.unique(traces[labels == app])
            drawn.append(rng.permutation(own)[: settings["traces"]])
        keep &= np.isin(traces, np.concatenate(drawn))
    return np.flatnonzero(keep)


@functools.lru_cache(maxsize=1)
def _load(path, apps, traces, min_count):
    table = pq.read_table(path)
    labels, trace = (np.array(table[name].to_pylist()) for name in ("app", "trace"))
    rows = chosen_rows(labels, trace, {"apps": apps, "traces": traces})
    table = table.take(rows)
    identity = np.column_stack([table[name].to_numpy() for name in ("src_port", "start")])
    everything = make_union(
        SessionStatistics("extended"),
        PacketSequences(30, fields=("signed_size", "iat")),
        # each signed length is a word: which lengths occur, and how often
        ProtocolMatrix("learned", min_count=min_count),
    )
    return groups_common.problem(sessions(table), labels[rows], trace[rows], identity, everything)


def load(folder, settings):
    """Read the flows; kept in memory from run to run of one process."""
    wanted = (settings[name] for name in ("apps", "traces", "min_count"))
    return _load(Path(folder) / FILE, *wanted)


def run(unit, settings, folder):
    """Rows of one fold of one seed."""
    return groups_common.run(load(folder, settings), unit, settings)


ABOUT = """34 Android apps of [FG-Net](https://github.com/jmhIcoding/fgnet): signed lengths and
intervals of the first 128 packets of each flow, which is the session here. A trace is one use of
one app; all its flows lie on one side of the split ("unseen traces"). All features: extended
statistics, lengths and intervals of the first 30 packets, and how often each frequent length
occurs (the protocol matrix with lengths for words, learned on the training side). Masked: nothing
else. Unmasked adds the source port and the start time, all that the set has of identity. A trace's
class is the largest sum of its flows' log-probabilities."""

TABLE = Table(
    name="g-android-apps",
    title="Android apps, unseen traces",
    settings=SETTINGS,
    units=groups_common.units,
    run=run,
    section=functools.partial(
        groups_text.section, name="android-apps", about=ABOUT, whole="trace", groups="traces"
    ),
)
