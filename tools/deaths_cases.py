"""What `tools.deaths` does besides killing: disks, rights, changing captures, several at once."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings

import psutil

from tools.deaths import ToParquet, command, ended, expect, sessions, started

NOBODY = 65534


@contextlib.contextmanager
def disk(folder, size):
    """Mount a file system in memory of so many bytes."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


def failed(bench, work, name, *words):
    """Run a function that must end with exit code 1 and one line that says these words."""
    log = bench.folder / f"{name}.log"
    log.unlink(missing_ok=True)
    status = ended(started(work, log))
    said = log.read_text()
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    expect(status == 1, name, "ends with", status, said[-300:])
    expect(len(errors) == 1, "not one error:", said[-300:])
    for word in words:
        expect(word in errors[0], repr(word), "is not in", errors[0])
    return errors[0]


def full_disk(bench, rng):
    """Every command that writes ends with an error of one line; what was there is as it was."""
    reference = ToParquet(bench)
    whole = bench.folder / "whole"
    reference.prepare(whole)
    bench.undisturbed(lambda: reference.run(whole), "whole")
    wanted = reference.read(whole)
    size = sum(path.stat().st_size for path in whole.iterdir())
    with disk(bench.folder / "small", size * 2 // 3 // 4096 * 4096 + 8192) as small:
        out = small / "parts"
        failed(
            bench,
            lambda: reference.run(out),
            "full-parts",
            "No space left",
            "Free space",
            ".parquet",
        )
        kept = reference.read(out)
        expect(0 < len(kept) < len(wanted), len(kept), "parts of", len(wanted))
        expect(all(wanted[name] == content for name, content in kept.items()), "other parts")
        expect(not list(out.glob(".*")), "left over:", list(out.glob(".*")))
        for path in sorted(out.iterdir())[len(kept) // 2 :]:
            path.unlink()
        (small / "fill").write_bytes(bytes(1))
        filled = shutil.disk_usage(small).free - 16384
        (small / "fill").write_bytes(bytes(max(filled, 1)))
        for name, arguments in {
            "sessions.csv": ("extract", bench.captures, "--overwrite", "--n-dissections", "0"),
            "one.parquet": ("extract", bench.captures, "--overwrite", "--n-dissections", "0"),
        }.items():
            target = small / name
            target.write_bytes(b"as it was before")
            failed(bench, lambda a=arguments, t=target: command(*a, "-o", t), f"full-{name}",
                   "No space left", name)  # fmt: skip
            expect(target.read_bytes() == b"as it was before", name, "has changed")
            expect(not list(small.glob(".*")), "left over:", list(small.glob(".*")))
        (small / "fill").unlink()
    out = bench.folder / "room"
    reference.prepare(out)
    bench.undisturbed(lambda: reference.run(out), "room")
    expect(reference.read(out) == wanted, "other parts with room")
    return f"3 commands, an error each that names the file; {len(kept)} of {len(wanted)} parts kept"


def read_only(bench, rng):
    """Take the right to write from a file system; errors name the file, parts stay."""
    job = ToParquet(bench)
    with disk(bench.folder / "mounted", "16m") as mounted:
        out = mounted / "parts"
        job.prepare(out)
        bench.undisturbed(lambda: job.run(out), "before")
        wanted = job.read(out)
        for path in sorted(out.iterdir())[5:]:
            path.unlink()
        subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
        said = failed(bench, lambda: job.run(out), "read-only", "Read-only file system")
        expect(".parquet cannot be written" in said, said)
        model = ("train", bench.captures, "-o", mounted / "m.skt", "--holdout", "0")
        failed(bench, lambda: command(*model), "read-only-model", "m.skt cannot be written")
        expect(len(job.read(out)) == 5, "parts are gone")
        subprocess.run(["mount", "-o", "remount,rw", mounted], check=True)
        bench.undisturbed(lambda: job.run(out), "after")
        expect(job.read(out) == wanted, "other parts in the end")
    return "2 commands, each one error that names the file; gone on with afterwards"


def lost_permission(bench, rng):
    """Another user: captures that may not be read, a folder that may not be written to."""
    folder = bench.folder / "rights"
    shutil.copytree(bench.captures, folder / "captures")
    os.chmod(bench.folder, 0o755)
    secret = sorted((folder / "captures").rglob("*.pcap"))[3]
    secret.chmod(0)
    theirs = folder / "theirs"
    theirs.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    own = folder / "own"
    own.mkdir(mode=0o755)
    said = []
    for out, captures, words in (
        (theirs, folder / "captures", (secret.name, "Permission denied", "--skip-unreadable")),
        (own, bench.captures, (".parquet cannot be written", "Permission denied")),
    ):
        log = folder / "log"
        log.write_bytes(b"")
        log.chmod(0o666)
        status = ended(started(lambda o=out, c=captures: command(
            "extract", c, "-o", o, "--n-dissections", "0"), log, NOBODY))  # fmt: skip
        text = log.read_text()
        expect(status == 1 and all(word in text for word in words), status, text[-400:])
        said.append(len(list(out.glob("*.parquet"))))
    expect(said[0] == 3 and said[1] == 0, "parts:", said)
    return "2 commands, each one error that names file and cause; 3 parts before the capture kept"


def changing_capture(bench, rng, turns=12):
    """Let captures grow and shrink while they are read: said, and read anew the next time."""
    from sktraffic.capture import SessionExtractor

    content = b"".join(
        path.read_bytes()[24 if number else 0 :]
        for number, path in enumerate(sorted(bench.captures.rglob("*.pcap")) * 20)
    )
    noticed = 0
    for turn in range(turns):
        path, out = bench.folder / "changing.pcap", bench.folder / f"changing-{turn}"
        size = len(content) if turn % 2 else len(content) // 2
        path.write_bytes(content[:size])
        extractor = SessionExtractor(n_dissections=0, idle_timeout=10**6, active_timeout=10**6)
        log = bench.folder / f"changing-{turn}.log"
        pid = started(lambda p=path, o=out, e=extractor: e.to_parquet(p, o), log)
        time.sleep(rng.uniform(0, 0.2))
        if turn % 2:
            os.truncate(path, rng.randrange(24, size))
        else:
            with open(path, "ab") as file:
                file.write(content[size:])
        expect(ended(pid) == 0, log.read_text()[-300:])
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            report = extractor.to_parquet(path, out)
            # whatever was seen then, the file as it is now is what the part holds in the end
            whole = extractor.extract(path)[1]
        told = "while it was read" in log.read_text()
        noticed += told
        expect(report["records"][0] == whole["records"][0], "an old part is taken for a new one")
        expect(not any("while it was read" in str(w.message) for w in heard), "said of the old one")
    expect(noticed, "no change fell into the reading: try another seed")
    return f"{turns} captures, {noticed} changed while they were read, and said so; all read anew"


def two_processes(bench, rng, turns=4):
    """Two processes with one folder: both end well, and it holds each part once."""
    wanted = None
    for turn in range(turns):
        out = bench.folder / f"both-{turn}"
        logs = [bench.folder / f"both-{turn}-{side}.log" for side in "ab"]
        job = ToParquet(bench)
        pids = [started(lambda o=out, j=job: j.run(o), log) for log in logs]
        for pid, log in zip(pids, logs, strict=True):
            expect(ended(pid) == 0, log.read_text()[-400:])
        found = sessions(out)
        wanted = wanted or found
        expect(found == wanted, "other sessions")
        expect(not list(out.glob(".*")), "left over:", list(out.glob(".*")))
    return f"{turns} pairs, each both well and the same table"


def workers_of(pid):
    """Find the processes below one that read captures."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(pid).children(recursive=True):
            line = " ".join(process.cmdline())
            if "loky" in line and "resource_tracker" not in line:
                found.append(process)
    return found


def joblib_worker(bench, rng, turns=2):
    """Kill a worker of joblib: one line says so, and the rest is gone on with."""
    hit = 0
    for turn in range(turns):
        out, log = bench.folder / f"joblib-{turn}", bench.folder / f"joblib-{turn}.log"
        work = lambda o=out: command("extract", bench.captures, "-o", o, "-j", "2",  # noqa: E731
                                     "--n-dissections", "0")  # fmt: skip
        pid = started(work, log)
        deadline = time.monotonic() + 120
        while not (found := workers_of(pid)) and time.monotonic() < deadline:
            time.sleep(0.01)
        with contextlib.suppress(psutil.NoSuchProcess, IndexError):
            found[0].send_signal(signal.SIGKILL)
        status, said = ended(pid), log.read_text()
        if status:
            hit += 1
            expect(status == 1 and "error: " in said and "Traceback" not in said, said[-500:])
            expect("Parts that were written are kept" in said, said[-500:])
        job = ToParquet(bench)
        bench.undisturbed(lambda o=out, j=job: j.run(o), f"joblib-{turn}-again")
        expect(len(job.read(out)) == 12, "not all parts")
        expect(not list(out.glob(".*")), "left over:", list(out.glob(".*")))
    expect(hit, "no worker was hit")
    return f"{turns} workers killed, {hit} runs ended with one line; all gone on with"


DASK = """
import os, signal, sys, threading, time
import joblib
from sktraffic.capture import SessionExtractor

def main():
    from dask.distributed import Client, LocalCluster
    options = {"threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(2, **options) as cluster, Client(cluster) as client:
        pids = list(client.run(os.getpid).values())
        def kill():
            while not any(n.endswith(".parquet") for n in os.listdir(sys.argv[2])):
                time.sleep(0.002)
            os.kill(pids[0], signal.SIGKILL)
        threading.Thread(target=kill, daemon=True).start()
        with joblib.parallel_config(backend="dask"):
            report = SessionExtractor(n_dissections=0).to_parquet(sys.argv[1], sys.argv[2])
        assert report["error"].isna().all() and len(report) == 12, report
        print("alive:", pids[0] in client.run(os.getpid).values())

if __name__ == "__main__":
    main()
"""


def dask_worker(bench, rng):
    """Kill a worker of dask: another one does its work, and finished parts are kept."""
    out = bench.folder / "dask"
    out.mkdir()
    script = bench.folder / "under_dask.py"
    script.write_text(DASK)
    done = subprocess.run(
        [sys.executable, str(script), str(bench.captures), str(out)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    expect(done.returncode == 0, done.stderr[-600:])
    expect("alive: False" in done.stdout, "the worker was not killed:", done.stdout)
    job = ToParquet(bench)
    expect(len(job.read(out)) == 12, "not all parts")
    bench.undisturbed(lambda: job.run(out), "dask-again")
    return "1 worker killed: the others did its work"


CASES = {
    "full disk": full_disk,
    "read-only folder": read_only,
    "lost permission": lost_permission,
    "capture that changes": changing_capture,
    "two processes, one folder": two_processes,
    "worker killed under joblib": joblib_worker,
    "worker killed under dask": dask_worker,
}
