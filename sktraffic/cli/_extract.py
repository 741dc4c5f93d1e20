"""``sktraffic extract``."""

import pandas as pd

from sktraffic.capture import SessionExtractor, capture_name
from sktraffic.cli._output import (
    OTHERS,
    SUFFIXES,
    check_free,
    check_table_path,
    on_terminal,
    print_json,
    print_table,
    write_table,
)
from sktraffic.datasets import find_captures, label_sessions, read_label_rules
from sktraffic.feature_extraction import SessionStatistics
from sktraffic.sessions import IDENTITY, LABELS, read_sessions


def run(captures, output, features, label, settings, overwrite, skip, jobs, as_json):
    """Write one table, or a part a capture into a folder, then tell what was read."""
    settings["headers"] = features in ("all", "cicflowmeter")
    extractor = SessionExtractor(
        **settings, n_jobs=jobs, on_error="warn" if skip else "raise", progress=on_terminal()
    )
    labelled = None
    if output.suffix.lower() in (*SUFFIXES, *OTHERS) and not output.is_dir():
        check_table_path(output)
        check_free(output, overwrite)
        label_of = _labeller(captures, label)
        table, report = extractor.extract(captures)
        labels, labelled = label_of(table)
        if features is not None:
            table = _features(table, features)
        write_table(table if labels is None else table.assign(label=labels), output)
        sessions, where = len(table), str(output)
    elif features is not None or label is not None:
        raise ValueError(
            f"{output} is a folder of sessions; features and labels are written into one file: "
            f"{', '.join(SUFFIXES)}."
        )
    else:
        report = extractor.to_parquet(captures, output, overwrite=overwrite)
        sessions = 0
        if not report["error"].notna().all():
            sessions = len(read_sessions(output, columns=["session"]))
        where = f"{output}; sktraffic.sessions.read_sessions reads them"
    if as_json:
        document = {"output": output, "sessions": sessions, "captures": report}
        print_json(document if labelled is None else document | {"labels": labelled})
        return
    _tell(report, labelled, sessions, where)


def _labeller(captures, label):
    """Return what gives the labels of a table and, for rules, an account of them."""
    if label is None:
        return lambda table: (None, None)
    if str(label).lower().endswith(".csv"):
        rules = read_label_rules(label)
        return lambda table: label_sessions(table, rules)
    if label not in ("folder", "stem"):
        raise ValueError(f"--label is {label!r}; it must be folder, stem or a .csv file of rules.")
    paths, labels = find_captures(captures, label)
    of = dict(zip(map(capture_name, paths), labels.tolist(), strict=True))
    return lambda table: (table["capture"].map(of).to_numpy(), None)


def _features(table, features):
    """One row a session: who it is, what nDPI calls it, its features."""
    statistics = SessionStatistics("basic" if features == "statistics" else features)
    values = statistics.set_output(transform="pandas").fit_transform(table)
    own = table[[name for name in (*IDENTITY, *LABELS) if name in table]]
    return pd.concat([own, values], axis=1)


def _tell(report, labelled, sessions, where):
    # what no capture has is not worth a column
    shown = report.loc[:, (report.notna() & (report != 0)).any()]
    print_table(shown if len(shown) <= 30 else shown.head(30))
    if labelled is not None:
        print_table(labelled)
        print("Rule 0 counts the sessions that no rule labels; they have no label.")
    more = f" (the first 30 of {len(shown)} are shown)" if len(shown) > 30 else ""
    unread = report["error"].notna().sum()
    print(f"{len(report) - unread} captures read{more}, {unread} left out.")
    print(f"{sessions:,} sessions in {where}.")
