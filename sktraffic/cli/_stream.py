"""``sktraffic stream``."""

import contextlib
import queue
import signal
import sys
import threading
from collections import Counter, deque

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sktraffic.cli._evaluate import load_classifier
from sktraffic.cli._guard import say
from sktraffic.cli._output import print_json
from sktraffic.cli._rows import open_rows

SHOWN = 20  # sessions of the rolling table
WAITING = 10_000  # decisions that may wait to be written
NAP = 0.25


def run(model, sources, decide_after, stop_after, output, overwrite, as_json):
    """Decide on sessions as they end, until the sources do or Ctrl-C."""
    clf = load_classifier(model)
    with contextlib.ExitStack() as stack:
        rows = stack.enter_context(open_rows(output, overwrite))
        streams = [
            stack.enter_context(
                clf.predict_stream(source, max_packets=decide_after, stop_after=stop_after)
            )
            for source in sources
        ]
        board = _Board(sources)
        stack.enter_context(_stopped_by_signals(streams))
        shown = sys.stdout.isatty() and not as_json
        live = stack.enter_context(Live(console=Console())) if shown else None
        for decided in _decisions(streams):
            rows.write(decided._asdict())
            board.add(decided, streams)
            if live is not None:
                live.update(board.table())
    _tell(board, streams, output, as_json)


def _decisions(streams):
    """Yield what any stream decides; each is read by a thread of its own."""
    decided, abandoned = queue.Queue(WAITING), threading.Event()

    def read(stream):
        end = None
        try:
            for session in stream:
                while not abandoned.is_set():
                    with contextlib.suppress(queue.Full):
                        decided.put(session, timeout=NAP)
                        break
                else:
                    return
        except BaseException as error:
            end = error
        decided.put(end)

    threads = [threading.Thread(target=read, args=(stream,), daemon=True) for stream in streams]
    for thread in threads:
        thread.start()
    failure, left = None, len(threads)
    try:
        while left:
            try:
                session = decided.get(timeout=NAP)
            except queue.Empty:
                continue
            if session is None or isinstance(session, BaseException):
                left -= 1
                failure = failure or session
                if session is not None:  # the others end well, and give what they have
                    _stop(streams)
                continue
            yield session
    finally:
        abandoned.set()
        _stop(streams)
        for thread in threads:
            thread.join()
    if failure is not None:
        raise failure


def _stop(streams):
    for stream in streams:
        stream.stop()


@contextlib.contextmanager
def _stopped_by_signals(streams):
    """Have Ctrl-C and SIGTERM end the streams with nothing lost; the second time, at once."""

    def stop(number, frame):
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        _stop(streams)

    asked, before = [], {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Board:
    """What is shown while it goes on, and summed up at the end."""

    def __init__(self, sources):
        self.sources, self.labels, self.latest = sources, Counter(), deque(maxlen=SHOWN)
        self.sessions = Counter()
        self.dropped = 0

    def add(self, decided, streams):
        self.labels[str(decided.label)] += 1
        self.sessions[decided.capture] += 1
        self.latest.append(decided)
        self.dropped = sum(stream.dropped for stream in streams)

    def table(self):
        """Make a table of the last sessions, and how many there were of each label."""
        counts = ", ".join(f"{label} {count:,}" for label, count in self.labels.most_common(8))
        dropped = f"; {self.dropped:,} packets dropped" if self.dropped else ""
        table = Table(caption=f"{counts}{dropped}", box=None, expand=False)
        for name in ("time", "source", "client", "server", "label", "probability"):
            table.add_column(name, justify="right" if name == "probability" else "left")
        for row in self.latest:
            table.add_row(
                Text(f"{row.start:%H:%M:%S}"), Text(str(row.capture)),
                Text(_end(row.src_ip, row.src_port)), Text(_end(row.dst_ip, row.dst_port)),
                Text(str(row.label)), f"{row.probability:.2f}",
            )  # fmt: skip
        return table


def _end(address, port):
    return f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"


def _tell(board, streams, output, as_json):
    """Say on standard error what was decided and what was lost."""
    found = [
        {
            "source": source, "sessions": board.sessions[source],
            "packets": stream.report and stream.report["session_packets"],
            "dropped": stream.dropped,
        }
        for source, stream in zip(board.sources, streams, strict=True)
    ]  # fmt: skip
    if as_json and output is not None:
        print_json({"output": output, "sources": found, "labels": dict(board.labels)})
        return
    for row in found:
        say(
            "{source}: {sessions:,} sessions, {packets:,} packets, {dropped:,} dropped".format(
                **row
            )
        )
