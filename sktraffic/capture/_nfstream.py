"""nfstream in a process of its own, which names the sessions of small captures made for it.

The package never imports this file: it runs as a script and is the only one that imports nfstream.
Outside the caller's process a crash inside nDPI ends this process and no other, and what NFStreamer
does to the CPU affinity stays here. Once nfstream is imported, this process gives up all rights but
those to read files and to answer (`_confine.py`): nDPI reads what strangers sent.

Standard input gives one JSON request a line, ``{"path": ..., "n_dissections": ...}``. Each is
answered on standard output with JSON lines: any number of lists of flows, then ``{"flows": n}``, or
``{"error": text}``. A flow is ``[session, packets, cached, application, category, sni, client
fingerprint, server fingerprint]``: `session` is the number that the writer of the capture put into
the MAC addresses, `cached` says whether nDPI named the flow by what it knew from another one.

NFStreamer runs as it is, but for two seams. The multiprocessing context that it keeps forks a
process to read, which pickles each flow for the one that asked: half of the time of short flows,
and a crash there is waited for for ever; here that process is a call (see `Calls`). And CPU
pinning is off: a dozen of these processes must not share two cores.
"""

import json
import os
import runpy
import signal
import sys
import threading
import types
from collections import deque
from pathlib import Path

# longer than any capture: the sessions were cut before
FOREVER = 10**12
# flows in a line
CHUNK = 1000
# of nDPI's enumeration of confidences: DPI_PARTIAL_CACHE and DPI_CACHE
CACHED = (4, 5)


class Calls:
    """What NFStreamer uses of a multiprocessing context; a process is a call in this thread."""

    Lock = staticmethod(threading.Lock)

    class Value:
        def __init__(self, typecode, value):
            self.value = value

    class Queue(deque):
        """Unbounded: the flows of one request fit into memory."""

        def __init__(self, maxsize):
            super().__init__()

        put, get = deque.append, deque.popleft

        def close(self):
            """Do nothing."""

        join_thread = close

    class Process:
        def __init__(self, target, args):
            self._target, self._args = target, args

        def start(self):
            """Do all of the process's work."""
            self._target(*self._args)

        def is_alive(self):
            """Say that the work is done."""
            return False

        def terminate(self):
            """Do nothing."""


def load():
    """Import nfstream without pandas, which costs most of a second and serves its export alone."""
    sys.modules.setdefault("pandas", types.ModuleType("pandas"))
    import nfstream.meter
    import nfstream.streamer

    for module in (nfstream.meter, nfstream.streamer):
        module.set_affinity = lambda idx: None
    return nfstream.streamer.NFStreamer


def name_sessions(streamer, send):
    """Send what nDPI says of each flow; returns how many there were."""
    flows, count = [], 0
    for flow in streamer:
        flows.append(
            (
                int(flow.src_mac.replace(":", ""), 16),
                flow.bidirectional_packets,
                flow.application_confidence in CACHED,
                flow.application_name or None,
                flow.application_category_name or None,
                flow.requested_server_name or None,
                flow.client_fingerprint or None,
                flow.server_fingerprint or None,
            )
        )
        if len(flows) == CHUNK:
            count += len(flows)
            send(flows)
            flows = []
    if flows:
        send(flows)
    return count + len(flows)


def main():
    """Answer requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller decides when to stop
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever nfstream prints must not land among the answers

    def send(answer):
        out.write(json.dumps(answer) + "\n")
        out.flush()

    try:
        rights = runpy.run_path(str(Path(__file__).with_name("_confine.py")))
        NFStreamer = load()
        rights["confine"]()
        for line in sys.stdin:
            request = json.loads(line)
            rights["more_time"]()
            streamer = NFStreamer(
                source=request["path"],
                n_dissections=request["n_dissections"],
                decode_tunnels=False,
                idle_timeout=FOREVER,
                active_timeout=FOREVER,
                n_meters=1,
            )
            streamer._mp_context = Calls
            send({"flows": name_sessions(streamer, send)})
    except Exception as error:  # the caller starts another process
        send({"error": f"{type(error).__name__}: {error}"})
        raise


if __name__ == "__main__":
    main()
