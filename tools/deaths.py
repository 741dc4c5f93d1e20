"""Kill commands at random moments, and take their disks away; then look at what is left.

    python -m tools.deaths [--kills 100] [--seed 0] [--only NAME]

Each command runs in a process of its own on a few small captures. It is killed (SIGKILL) at a
moment drawn from the seed, within the work that it takes undisturbed (seconds of the processor, so
that a busy machine changes nothing). What is in its folder then is read, and the command run again.
The law: nothing that was finished is lost, nothing half is taken for whole, what was broken is
said. A line a command says how many were killed before their end and in how many the law was
broken. The other cases are a full disk, a folder that may not be written to, a capture that changes
while it is read, two processes with one folder, a worker that dies. Some need root, for file
systems of their own.
"""

import argparse
import contextlib
import hashlib
import io
import json
import lzma
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import pandas as pd
import psutil

CLASSES, EACH = ("chat", "vpn_chat", "vpn_p2p"), 4
PATIENCE = 600  # seconds after which an undisturbed command hangs


class Broken(Exception):
    """The law does not hold."""


def expect(condition, *what):
    """Raise Broken with words."""
    if not condition:
        raise Broken(" ".join(map(str, what)))


def captures(folder):
    """Write a few small captures of a few classes, plain, in a folder each."""
    from sktraffic.datasets import lab_captures

    found = {name: [] for name in CLASSES}
    for path, label in zip(*lab_captures(), strict=True):
        if label in found:
            found[label].append(path)
    for label, paths in found.items():
        (folder / label).mkdir(parents=True)
        for path in sorted(paths, key=os.path.getsize)[:EACH]:
            with lzma.open(path) as packed:
                (folder / label / Path(path).stem).write_bytes(packed.read())


def command(*arguments):
    """Run the command line in this process, as its own program does."""
    from sktraffic.cli import app

    app([str(argument) for argument in arguments])


def started(work, log, uid=None):
    """Run a function in a process that is forked from this one, which has imported everything."""
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        os.setsid()
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout = open(1, "w", closefd=False)
        sys.stderr = open(2, "w", closefd=False)
        if uid is not None:
            os.setuid(uid)
        try:
            work()
            status = 0
        except SystemExit as error:
            status = error.code or 0
        except BaseException:
            traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def few_trees(module):
    """Have a module of the command line make small forests: what they learn matters to nobody."""
    make = module.make_estimator

    def made(*args):
        estimator = make(*args)
        if "clf__n_estimators" in estimator.get_params():
            estimator.set_params(clf__n_estimators=5)
        return estimator

    module.make_estimator = made


def at_work(pid, seconds):
    """Wait until a process has used the processor for so long, or has ended."""
    process = psutil.Process(pid)
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE:
            times = process.cpu_times()
            if times.user + times.system >= seconds:
                break
            time.sleep(0.001)


def ended(pid, seconds=PATIENCE):
    """Wait for a process; its exit status (negative: the signal)."""
    return _ended(pid, seconds)[0]


def _ended(pid, seconds=PATIENCE):
    """Wait for a process; its exit status, and how long it used the processor."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            used = psutil.Process(pid).cpu_times()  # its own, without the processes that it began
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), used.user + used.system
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise Broken("hangs")


def import_all():
    """Import what the commands import, once for all processes that are forked from this one."""
    import importlib

    for name in ("extract", "train", "demo", "stream"):
        importlib.import_module(f"sktraffic.cli._{name}")
    for name in ("skops.io", "sktraffic.persistence._trust", "pyarrow.dataset"):
        importlib.import_module(name)


class Bench:
    """The captures, a model, and what the commands give when nobody disturbs them."""

    def __init__(self, folder):
        self.folder = folder
        self.captures = folder / "captures"
        captures(self.captures)
        self.one = sorted(self.captures.rglob("*.pcap"))[0]
        self.model = folder / "model.skt"
        self.undisturbed(self.train, "train")

    def train(self, model=None):
        """Train on the captures."""
        from sktraffic.cli import _train

        few_trees(_train)
        command("train", self.captures, "-o", model or self.model, "--holdout", "0")

    def undisturbed(self, work, name):
        """Run a function in a process of its own; the seconds of the processor that it took."""
        log = self.folder / f"{name}.log"
        status, seconds = _ended(started(work, log))
        expect(status == 0, name, "ends with", status, log.read_text()[-500:])
        return seconds


def sessions(path):
    """Return a hash of what a file or a folder of sessions holds, in an order of its own."""
    from sktraffic.sessions import read_sessions, to_arrow

    X = read_sessions(path).sort_values(["capture", "session"], ignore_index=True)
    return hashlib.sha256(repr(to_arrow(X).to_pylist()).encode()).hexdigest()


class Job:
    """A command that writes into a folder.

    Attributes
    ----------
    bench : Bench
    """

    old = None  # the name of a file that is there before, and may stay as it is
    waits = 0.0  # seconds at most in which the command itself may have nothing to do

    def __init__(self, bench):
        self.bench, self.reference = bench, None

    def run(self, out):
        """Do the work."""
        raise NotImplementedError

    def read(self, out):
        """Return what is whole in the folder, by file; raises where something visible is not."""
        raise NotImplementedError

    def prepare(self, out):
        """Make the folder; what is there before."""
        out.mkdir()
        if self.old is not None:
            (out / self.old).write_bytes(b"as it was before")

    def check_left(self, out):
        """Look at what a killed command left; returns what must still be there at the end."""
        for name, content in self.read(out).items():
            expect(content == self.reference[name], name, "is not what it should be")
        return {path: path.stat().st_mtime_ns for path in out.glob("*.parquet")}

    def check_end(self, out, kept):
        """Look at what the second run left, and whether it did finished work again."""
        found = self.read(out)
        expect(found == self.reference, "the second run gives something else")
        for path, time_ns in kept.items():
            expect(path.stat().st_mtime_ns == time_ns, path.name, "was made again")
        left = [path.name for path in out.rglob("*.tmp")]
        expect(not left, "left over:", left)


class ToParquet(Job):
    """`extract` into a folder of parts."""

    options = ("--n-dissections", "0")

    def run(self, out):
        """Do the work."""
        command("extract", self.bench.captures, "-o", out, *self.options)

    def read(self, out):
        """Return what is whole."""
        return {path.name: sessions(path) for path in out.glob("*.parquet")}


class WithLabels(ToParquet):
    """The same with nDPI's processes, which must end with the one that is killed."""

    waits = 0.3

    options = ()

    def check_left(self, out):
        """Look at what is left."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            alive = [
                p
                for p in psutil.process_iter(["cmdline", "ppid"])
                if "_nfstream.py" in " ".join(p.info["cmdline"] or ()) and p.info["ppid"] == 1
            ]
            if not alive:
                break
            time.sleep(0.2)
        expect(not alive, "nDPI's process goes on")
        return super().check_left(out)


class Extract(Job):
    """`extract` into one file, over one that is there."""

    old = "sessions.csv"

    def run(self, out):
        """Do the work."""
        command("extract", self.bench.captures, "-o", out / self.old, "--overwrite",
                "--n-dissections", "0")  # fmt: skip

    def read(self, out):
        """Return what is whole."""
        content = (out / self.old).read_bytes()
        return {} if content == b"as it was before" else {self.old: content}


class Train(Job):
    """`train`, over a model that is there."""

    old = "model.skt"

    def prepare(self, out):
        """Put a model there."""
        out.mkdir()
        shutil.copy(self.bench.model, out / self.old)

    def run(self, out):
        """Do the work."""
        self.bench.train(out / self.old)

    def read(self, out):
        """Return what is whole."""
        from sktraffic.persistence import load

        load(out / self.old)
        return {}


class Save(Train):
    """`save` of a fitted model."""

    def run(self, out):
        """Do the work."""
        from sktraffic.persistence import load, save

        model = load(self.bench.model)
        for _ in range(20):
            save(model, out / self.old)


class Demo(Job):
    """`demo`, on few captures, without the network and the slow parts of its report."""

    def run(self, out):
        """Do the work."""
        from sktraffic.cli import _demo

        paths = sorted(self.bench.captures.rglob("*.pcap"))
        _demo.lab_captures = lambda: (paths, pd.array([p.parent.name for p in paths]).to_numpy())
        _demo.missing = lambda extra: True
        few_trees(_demo)
        report = _demo.evaluation_report
        _demo.evaluation_report = lambda clf, own, X, **how: report(clf, own, None, **how)
        command("demo", "-o", out, "--cache", out / "cache", "-j", "1")

    def read(self, out):
        """Return what is whole."""
        from sktraffic.persistence import load

        found = {}
        for path in out.rglob("*"):
            if path.name.startswith("."):
                continue
            if path.suffix == ".skt":
                load(path)
                found[str(path.relative_to(out))] = "loads"
            elif path.suffix == ".html":
                expect(path.read_text().endswith("</html>\n"), "half a page")
                found["report.html"] = "whole"
            elif path.suffix == ".parquet":
                found[str(path.relative_to(out))] = sessions(path)
        return found


class Stream(Job):
    """`stream` that writes Parquet: what was decided stays beside the file that never came."""

    waits = 0.6

    def run(self, out):
        """Do the work."""
        command("stream", self.bench.model, self.bench.one, "-o", out / "rows.parquet",
                "--stop-after", "0.5")  # fmt: skip

    def read(self, out):
        """Return what is whole."""
        path = out / "rows.parquet"
        if not path.exists():
            return {}
        rows = pd.read_parquet(path).sort_values("session", ignore_index=True)
        return {path.name: rows.to_json(date_format="iso", date_unit="ns")}

    def check_left(self, out):
        """Look at what is left."""
        super().check_left(out)
        wanted = {row["session"]: row["label"] for row in self._rows()}
        for path in out.glob("rows.parquet.*.jsonl"):
            lines = path.read_text().splitlines()
            rows = [json.loads(line) for line in lines]
            expect(all(wanted[row["session"]] == row["label"] for row in rows), "other decisions")
            self.left = path if rows else None
        if (out / "rows.parquet").exists():  # whole, and the command would refuse to replace it
            (out / "rows.parquet").unlink()
        return {}

    def _rows(self):
        return pd.read_json(io.StringIO(self.reference["rows.parquet"])).to_dict("records")

    def check_end(self, out, kept):
        """Look at what the second run left."""
        super().check_end(out, kept)
        said = (out.parent / f"{out.name}.again.log").read_text()
        for path in out.glob("rows.parquet.*.jsonl"):
            expect(path.name in said, path.name, "is there, and nobody says so")


# how many of a hundred kills each gets
KILLED = {
    "extract to a file": (Extract, 18),
    "extract to a folder": (ToParquet, 24),
    "the same with nDPI": (WithLabels, 10),
    "train": (Train, 12),
    "save": (Save, 18),
    "demo": (Demo, 6),
    "stream to Parquet": (Stream, 12),
}


def kill(bench, name, job, count, rng):
    """Kill a command at `count` random moments; prints and returns how often the law was broken."""
    began, wrong, hit, tries = time.monotonic(), 0, 0, 0
    out = bench.folder / f"{name}-reference".replace(" ", "-")
    job.prepare(out)
    seconds = bench.undisturbed(lambda: job.run(out), out.name)
    job.reference = job.read(out)
    while hit < count and tries < 3 * count:
        out = bench.folder / f"{name}-{tries}".replace(" ", "-")
        tries += 1
        job.prepare(out)
        moment = rng.uniform(0, seconds)
        try:
            pid = started(lambda out=out: job.run(out), bench.folder / f"{out.name}.log")
            at_work(pid, moment)
            time.sleep(rng.uniform(0, job.waits))  # some wait for others, without work
            os.kill(pid, signal.SIGKILL)
            status = ended(pid)
            hit += status == -signal.SIGKILL
            kept = job.check_left(out)
            bench.undisturbed(lambda out=out: job.run(out), f"{out.name}.again")
            job.check_end(out, kept)
        except Exception as error:
            wrong += 1
            print(f"  {name}, killed after {moment:.3f} s: {type(error).__name__}: {error}"[:600])
        shutil.rmtree(out, ignore_errors=True)
    print(f"{name}: {hit} killed within its {seconds:.2f} s of work, {wrong} break the law; "
          f"{time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
    return wrong


def main():
    from tools import deaths_cases

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="a part of names")
    told = parser.parse_args()
    wrong = 0
    import_all()
    with tempfile.TemporaryDirectory() as home:
        bench = Bench(Path(home))
        for name, (kind, share) in KILLED.items():
            if told.only in name:
                count = max(1, round(share * told.kills / 100))
                wrong += kill(bench, name, kind(bench), count, random.Random(f"{told.seed} {name}"))
        for name, case in deaths_cases.CASES.items():
            if told.only in name:
                began = time.monotonic()
                try:
                    outcome = case(bench, random.Random(f"{told.seed} {name}"))
                except Exception as error:
                    outcome, wrong = f"BREAKS THE LAW: {type(error).__name__}: {error}", wrong + 1
                print(f"{name}: {outcome}; {time.monotonic() - began:.0f} s"[:900], flush=True)
    print(f"the law was broken {wrong} times")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
