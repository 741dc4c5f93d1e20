"""``sktraffic extract``."""

from sktraffic.capture import SessionExtractor
from sktraffic.cli._output import SUFFIXES, on_terminal, print_json, print_table, write_table
from sktraffic.sessions import read_sessions


def run(captures, output, settings, overwrite, skip, jobs, as_json):
    """Write one table, or a part a capture into a folder, then tell what was read."""
    extractor = SessionExtractor(
        **settings, n_jobs=jobs, on_error="warn" if skip else "raise", progress=on_terminal()
    )
    if output.suffix.lower() in SUFFIXES and not output.is_dir():
        report, sessions = _one_table(extractor, captures, output, overwrite)
        where = str(output)
    else:
        report = extractor.to_parquet(captures, output, overwrite=overwrite)
        sessions = 0
        if not report["error"].notna().all():
            sessions = len(read_sessions(output, columns=["session"]))
        where = f"{output}; sktraffic.sessions.read_sessions reads them"
    if as_json:
        print_json({"output": output, "sessions": sessions, "captures": report})
        return
    # what no capture has is not worth a column
    shown = report.loc[:, (report.notna() & (report != 0)).any()]
    print_table(shown if len(shown) <= 30 else shown.head(30))
    more = f" (the first 30 of {len(shown)} are shown)" if len(shown) > 30 else ""
    unread = report["error"].notna().sum()
    print(f"{len(report) - unread} captures read{more}, {unread} left out.")
    print(f"{sessions:,} sessions in {where}.")


def _one_table(extractor, captures, output, overwrite):
    """Write all sessions to one file in the format that its suffix names."""
    if output.exists() and not overwrite:
        raise ValueError(f"{output} is there already. Pass overwrite=True to replace it.")
    table, report = extractor.extract(captures)
    write_table(table, output)
    return report, len(table)
