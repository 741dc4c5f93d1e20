"""The report of a capture: what became of every record."""

from collections import defaultdict

from sktraffic.packets import CAUSES, LATER_FRAGMENT, TUNNEL_FRAGMENT, link_name

__all__ = ["REPORT_COLUMNS", "account", "all_notices", "check", "note_labels", "notices"]

LOST = (*CAUSES.values(), LATER_FRAGMENT, TUNNEL_FRAGMENT, "filtered", "duplicates")
NOTICES = 3  # warnings of a kind that are given one by one
REPORT_COLUMNS = (
    "capture",
    "records",  # in the file: the sum of session_packets and LOST
    "sessions",
    "session_packets",  # packets that are in a session
    *LOST,  # why the other records are in none
    "truncated",  # captured shorter than they were on the wire
    "backwards",  # time stamps earlier than one before
    "timeless",  # records without a time stamp
    "tunnelled",  # packets that were taken out of a tunnel
    "joined_fragments",  # later fragments that got the ports of their first one
    "lone_fragments",  # later fragments whose first one was not seen
    "unlabelled",  # sessions that nDPI could not be asked about, because nfstream failed
    "unread_bytes",  # behind the last whole record of a cut or damaged file
    "damage",  # what is wrong there, in words
    "remarks",  # what else a reader of the sessions should know
    "format",
    "link_types",
    "seconds",  # taken to read it
    "error",  # why the capture was left out
)


def account(facts, reader):
    """Say where the records of a capture went.

    Parameters
    ----------
    facts : FileFacts
    reader : SessionReader

    Returns
    -------
    dict
        Those of `REPORT_COLUMNS` that the two know.
    """
    links = ", ".join(link_name(link) for link in sorted(facts.link_types)) or "none"
    return {
        "records": facts.records,
        "sessions": reader.sessions,
        "session_packets": reader.session_packets,
        **{name: facts.causes.get(name, 0) for name in LOST},
        "filtered": reader.filtered,
        "duplicates": reader.duplicates,
        "truncated": facts.truncated,
        "backwards": facts.backwards,
        "timeless": facts.timeless,
        "tunnelled": sum(facts.tunnelled.values()),
        "joined_fragments": facts.joined_fragments,
        "lone_fragments": facts.lone_fragments,
        "unlabelled": 0,
        "unread_bytes": facts.unread_bytes,
        "damage": facts.damage or None,
        "remarks": "; ".join([*facts.remarks, *_remarks(facts, reader)]) or None,
        "format": facts.format,
        "link_types": links,
    }


def note_labels(report, labels):
    """Say in a report which sessions went without labels, and why."""
    report["unlabelled"] = labels.lost
    if labels.failure and labels.failure not in (report["remarks"] or ""):
        report["remarks"] = "; ".join(filter(None, [report["remarks"], labels.failure]))


def check(report):
    """Raise RuntimeError unless every record is in a session or has a cause to be in none."""
    told = report["session_packets"] + sum(report[name] for name in LOST)
    if told != report["records"]:
        lost = {name: report[name] for name in LOST if report[name]}
        raise RuntimeError(
            f"{report['capture']} has {report['records']} records, but "
            f"{report['session_packets']} packets in sessions and {lost or 'no others'} make "
            f"{told}: a fault of sktraffic. Please report it."
        )


def _remarks(facts, reader):
    """Yield what is odd about a capture's times and packets."""
    clock = reader.tracker.clock
    if clock.odd:
        record, seconds = clock.first_odd
        yield (
            f"{clock.odd} time stamp(s) far from their neighbours were passed over, the first that "
            f"of record {record}, {seconds:+.6g} s off"
        )
    if clock.steps_back:
        record, seconds = clock.first_step
        yield (
            f"the time goes back {clock.steps_back} time(s) and stays there, first by "
            f"{seconds:.6g} s at record {record}"
        )
    if facts.timeless:
        yield f"{facts.timeless} record(s) have no time stamp"
    if reader.doubled:
        yield (
            f"{reader.doubled:.0%} of the first packets are there twice within milliseconds, as "
            "where two interfaces were captured; drop_duplicates=True leaves the copies out"
        )


def notices(report):
    """Yield what a user is to be warned of: a column of the report, and the warning."""
    capture = report["capture"]
    if report["damage"]:
        yield (
            "damage",
            f"{capture}: {report['damage']}; {report['unread_bytes']} bytes were left unread "
            f"behind {report['records']} whole records.",
        )
    if report["remarks"]:
        yield "remarks", f"{capture}: {report['remarks']}."
    if report["unlabelled"]:
        yield (
            "unlabelled",
            f"{capture}: nDPI could not be asked about {report['unlabelled']} sessions, they have "
            "no application, category, server name or fingerprint.",
        )


def all_notices(reports, on_error):
    """Yield the warnings about several captures: of a kind, the first few and how many more."""
    texts = defaultdict(list)
    for report in reports:
        if report["error"] is None:
            for column, text in notices(report):
                texts[column].append(text)
        elif on_error == "warn":
            texts["error"].append(f"Left out: {report['error']}")
    for column, found in texts.items():
        yield from found[:NOTICES]
        if len(found) > NOTICES:
            yield (
                f"The same was to be said of {len(found) - NOTICES} more capture(s): see the "
                f"column {column!r} of the report."
            )
