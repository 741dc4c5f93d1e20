"""``sktraffic predict``."""

from sktraffic.capture import capture_paths
from sktraffic.cli._evaluate import load_classifier
from sktraffic.cli._output import check_table_path, print_json, print_table, watched, write_table
from sktraffic.report import classify_captures


def run(model, captures, output, by, max_unpacked, skip, jobs, as_json):
    """Classify, then write or print."""
    if output is not None:
        check_table_path(output)
    clf = load_classifier(model)
    paths = capture_paths(captures)
    X, _ = watched(clf.extractor_, jobs, skip, max_unpacked).extract(paths)
    sessions, by_capture = classify_captures(clf, paths, sessions=X)
    rows = sessions if by == "session" else by_capture
    if output is not None:
        write_table(rows, output)
        if as_json:
            print_json({"output": output, "rows": len(rows), "captures": by_capture})
            return
    elif as_json:
        print_json(rows)
        return
    print_table(by_capture)
    if output is not None:
        print(f"{len(rows):,} rows, one a {by}: {output}")
