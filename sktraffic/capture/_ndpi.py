"""nfstream in a process of its own, which names the sessions of small captures made for it.

The package never imports this file: it runs as a script and is the only one that imports nfstream.
Living outside the caller's process makes nfstream safe to use: a crash inside nDPI ends this
process and no other, and its forks and its CPU pinning stay here.

Standard input gives one JSON request a line, ``{"path": ..., "n_dissections": ...}``. Each is
answered on standard output with JSON lines: any number of lists of flows, then ``{"flows": n}``, or
``{"error": text}``. A flow is ``[session, packets, cached, application, category, sni, client
fingerprint, server fingerprint]``: `session` is the number that the writer of the capture put into
the MAC addresses, `cached` says whether nDPI named the flow by what it knew from another one.

NFStreamer runs as it is, but for one seam: its CPU pinning is off, so that a dozen of these
processes do not share two cores.
"""

import json
import os
import signal
import sys
import types

# longer than any capture: the sessions were cut before
FOREVER = 10**12
# flows in a line
CHUNK = 1000
# of nDPI's enumeration of confidences: DPI_PARTIAL_CACHE and DPI_CACHE
CACHED = (4, 5)


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
                flow.application_name,
                flow.application_category_name,
                flow.requested_server_name,
                flow.client_fingerprint,
                flow.server_fingerprint,
            )
        )
        if len(flows) == CHUNK:
            count += len(flows)
            send(flows)
            flows = []
    if flows:
        send(flows)
    return count + len(flows)


def watch_meter():
    """Make the death of NFStreamer's forked meter an exception: it would be waited for for ever."""

    def fail(*_):
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is not None and (ended.si_code != os.CLD_EXITED or ended.si_status):
            how = "exit status" if ended.si_code == os.CLD_EXITED else "signal"
            raise RuntimeError(f"nfstream's meter ended with {how} {ended.si_status}")

    if hasattr(os, "waitid"):  # elsewhere the caller's deadline must do
        signal.signal(signal.SIGCHLD, fail)


def main():
    """Answer requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller decides when to stop
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever nfstream prints must not land among the answers

    def send(answer):
        out.write(json.dumps(answer) + "\n")
        out.flush()

    try:
        streamer = load()
        watch_meter()
        for line in sys.stdin:
            request = json.loads(line)
            flows = streamer(
                source=request["path"],
                n_dissections=request["n_dissections"],
                decode_tunnels=False,
                idle_timeout=FOREVER,
                active_timeout=FOREVER,
                n_meters=1,
            )
            send({"flows": name_sessions(flows, send)})
    except Exception as error:  # the caller starts another process
        send({"error": f"{type(error).__name__}: {error}"})
        raise


if __name__ == "__main__":
    main()
