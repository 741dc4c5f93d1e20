"""What one worker does: some captures, one after the other, that share nDPI's process."""

import contextlib
import functools
import os

import numpy as np
import pyarrow as pa

from sktraffic.capture._errors import CaptureError
from sktraffic.capture._flow_labels import FlowLabels, with_labels
from sktraffic.capture._labels import Labeller
from sktraffic.capture._message_queue import MessageQueue
from sktraffic.capture._parts import Part
from sktraffic.capture._read import capture_name, read_capture
from sktraffic.capture._report import REPORT_COLUMNS, note_labels

__all__ = ["extract", "extract_to_parts", "portions"]

# captures are read together up to so many, and so many bytes
MOST_CAPTURES, MOST_BYTES = 512, 32 << 20
MOST_TOGETHER = 2 << 20  # bytes of captures whose messages are read together


def portions(files, n_workers):
    """Divide captures into runs for a worker each, small ones together.

    Parameters
    ----------
    files : list of str
    n_workers : int
        Each shall have work.

    Returns
    -------
    list of list of str
    """
    most = min(MOST_CAPTURES, max(1, len(files) // (2 * n_workers))) if n_workers > 1 else None
    most = most or MOST_CAPTURES
    out, size = [], 0
    for file in files:
        own = 0
        with contextlib.suppress(OSError):
            own = os.path.getsize(file)
        if not out or len(out[-1]) >= most or size + own > MOST_BYTES:
            out.append([])
            size = 0
        out[-1].append(file)
        size += own
    return out


def extract(paths, settings, keep_going, max_unpacked):
    """Read captures whole; returns a list of (Arrow table or None, report)."""
    packet_filter, out = settings.packet_filter(), []
    with _labeller(settings) as labeller:
        for some in _small_together(paths):
            queue = MessageQueue() if settings.messages and len(some) > 1 else None
            begun = []
            for number, path in enumerate(some):
                report, labels = {}, _labels(labeller, settings)
                put = queue and functools.partial(queue.put, number)
                tables = read_capture(
                    path, settings, report, labels, packet_filter, put, max_unpacked
                )
                begun.append((path, tables, labels, report))
                if queue is not None:
                    _attempt(next, tables, report, path, keep_going)
            if queue is not None:
                queue.read()
            for path, tables, labels, report in begun:
                tables = _attempt(list, tables, report, path, keep_going)
                out.append((tables or [], labels, report))
        return [(_whole(tables, labels, report), report) for tables, labels, report in out]


def _small_together(paths):
    """Divide captures into those that are large, one by one, and runs of small ones."""
    out, size = [], 0
    for path in paths:
        own = os.path.getsize(path) if os.path.isfile(path) else MOST_TOGETHER
        if not out or size + own > MOST_TOGETHER:
            out.append([])
            size = 0
        out[-1].append(path)
        size += own
    return out


def _attempt(function, tables, report, path, keep_going):
    """Go on with a capture; None where it cannot be read and the others are to go on."""
    try:
        return function(tables)
    except CaptureError as error:
        if not keep_going:
            raise
        report.update(_failed(report, path, error))
        return None


def _whole(tables, labels, report):
    """Put a capture's tables together, with labels, by running number."""
    tables = [_labelled(table, labels, report) for table in tables]
    if not tables:
        return None
    table = pa.concat_tables(tables)
    if len(tables) > 1:
        table = table.unify_dictionaries()
        table = table.take(pa.array(np.argsort(table["session"].to_numpy(), kind="stable")))
    return table


def extract_to_parts(paths, settings, keep_going, max_unpacked, folder, overwrite):
    """Read captures into their parts of a folder; returns their reports.

    A part is put in its place as soon as its sessions are named, so that little is lost if this
    process dies.
    """
    packet_filter, reports, failure = settings.packet_filter(), [], None
    with contextlib.ExitStack() as stack:
        labeller = stack.enter_context(_labeller(settings))
        waiting = []  # parts that lack only what nDPI has not answered yet
        try:
            for path in paths:
                report, labels = {}, _labels(labeller, settings)
                reports.append(report)
                try:
                    part = Part(path, settings, folder)
                    if not overwrite and (there := part.there()):
                        report.update(there)
                        continue
                    stack.enter_context(part)
                    last = None
                    for table in read_capture(
                        path, settings, report, labels, packet_filter, max_unpacked=max_unpacked
                    ):
                        if last is not None:
                            part.write(_labelled(last, labels, report))
                        last = table
                    waiting.append((part, last, labels, report))
                except CaptureError as error:
                    failure = error
                    report.update(_failed(report, path, error))
                    if not keep_going:
                        break
                _keep_parts(waiting)
        except BaseException:
            with contextlib.suppress(OSError):
                _keep_parts(waiting)
            raise
        _keep_parts(waiting, wait=True)
    if failure is not None and not keep_going:
        raise failure
    return reports


def _keep_parts(waiting, wait=False):
    """Put parts in their place, and forget them: those whose sessions are named, or all."""
    for entry in list(waiting):
        part, table, labels, report = entry
        if wait or labels is None or labels.settled:
            waiting.remove(entry)
            if table is not None:
                part.write(_labelled(table, labels, report))
            part.keep(report)


def _labeller(settings):
    return Labeller(settings.dissections) if settings.n_dissections else contextlib.nullcontext()


def _labels(labeller, settings):
    """Return where the names of a capture's sessions come from."""
    if labeller is None:
        return None
    labels = labeller.capture()
    return labels if settings.key == "five_tuple" else FlowLabels(labels, settings)


def _labelled(table, labels, report):
    table = with_labels(table, labels)
    if labels is not None:
        note_labels(report, labels)
    return table


def _failed(report, path, error):
    return {
        **dict.fromkeys(REPORT_COLUMNS), **report, "capture": capture_name(path),
        "error": str(error),
    }  # fmt: skip
