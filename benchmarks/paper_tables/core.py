"""What a table is, and the loop that runs its units, keeps what is done and goes on from there."""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed

SCALES = ("tiny", "cpu", "gpu")
PACKAGES = (
    "sktraffic", "scikit-learn", "imbalanced-learn", "skorch", "torch", "transformers",
    "numpy", "pandas", "pyarrow", "nfstream",
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """One table or figure of a paper.

    ``settings`` has a JSON-able dictionary for each scale. ``units(settings, seeds)`` lists the
    independent pieces of work, flat dictionaries; ``run(unit, settings, folder)`` returns the rows
    (dictionaries) of one; ``section(result, images)`` writes them up in Markdown;
    ``claims(result)`` lists (claim, the paper's figure, the figure here, whether it holds).
    """

    name: str
    title: str
    settings: dict
    units: Callable
    run: Callable
    section: Callable
    claims: Callable | None = None


@dataclass(frozen=True)
class Result:
    """The rows of a table with what made them; a unit's own keys are columns of its rows."""

    rows: pd.DataFrame
    settings: dict
    scale: str
    about: dict


class Store:
    """Result file of one table at one scale: each finished unit is on disk at once."""

    def __init__(self, folder, table, scale):
        self.path = Path(folder) / f"{table.name}-{scale}.json"
        self.table, self.scale = table, scale
        self.settings = table.settings[scale]
        self.done = {}
        if self.path.exists():
            for entry in json.loads(self.path.read_text("utf-8"))["units"]:
                self.done[identity(entry["unit"], entry["settings"])] = entry

    def missing(self, units):
        """Units without a result under the settings of today."""
        return [unit for unit in units if identity(unit, self.settings) not in self.done]

    def add(self, unit, rows, seconds, cpu_seconds):
        """Keep a finished unit; results of other settings go, they would not be comparable."""
        entry = {
            "unit": unit,
            "settings": self.settings,
            "seconds": round(seconds, 2),
            "cpu_seconds": round(cpu_seconds, 2),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "made_with": provenance(),
            "rows": rows,
        }
        self.done[identity(unit, self.settings)] = entry
        self.done = {k: e for k, e in self.done.items() if e["settings"] == self.settings}
        self.write()

    def write(self):
        """Replace the file as a whole, so that a cut leaves the old one."""
        units = sorted(self.done.values(), key=lambda e: json.dumps(e["unit"], sort_keys=True))
        head = {"table": self.table.name, "title": self.table.title, "scale": self.scale}
        lines = ",\n".join(json.dumps(entry) for entry in units)  # a line a unit: small diffs
        text = json.dumps(head)[:-1] + f', "units": [\n{lines}\n]}}\n'
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".part")
        partial.write_text(text, "utf-8")
        os.replace(partial, self.path)

    def result(self):
        """All finished units as one table of rows."""
        entries = [e for e in self.done.values() if e["settings"] == self.settings]
        rows = pd.DataFrame([e["unit"] | row for e in entries for row in e["rows"]])
        about = {
            "units": len(entries),
            "seconds": sum(e["seconds"] for e in entries),
            "cpu_seconds": sum(e["cpu_seconds"] for e in entries),
            "last": max((e["finished"] for e in entries), default=""),
            "made_with": entries[-1]["made_with"] if entries else {},
        }
        return Result(rows, self.settings, self.scale, about)


def identity(unit, settings):
    """Name a unit under its settings."""
    text = json.dumps([unit, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def provenance():
    """Versions and machine."""
    import torch

    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    if "sktraffic" not in versions:
        import sktraffic

        versions["sktraffic"] = sktraffic.__version__
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "python": platform.python_version(),
        "versions": versions,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": gpu,
    }


def _processor():
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def run_unit(table, unit, settings, folder):
    """Rows, seconds and processor seconds of one unit."""
    import torch

    if not torch.cuda.is_available():
        torch.set_num_threads(1)  # units run side by side, one a core
    start, cpu_start = time.perf_counter(), time.process_time()
    rows = table.run(unit, settings, folder)
    return unit, rows, time.perf_counter() - start, time.process_time() - cpu_start


def run_table(table, scale, seeds, folder, results, *, jobs=1, deadline=None, say=print):
    """Run what is missing; return whether everything is there.

    A deadline, in the clock of `time.time`, is the time after which no further unit is begun.
    """
    store = Store(results, table, scale)
    units = table.units(store.settings, seeds)
    todo = store.missing(units)
    say(f"{table.name}: {len(units)} units at scale {scale}, {len(todo)} to do")
    in_time = (unit for unit in todo if deadline is None or time.time() < deadline)
    tasks = (delayed(run_unit)(table, unit, store.settings, folder) for unit in in_time)
    runner = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1, pre_dispatch=jobs)
    for unit, *finished in runner(tasks):
        store.add(unit, *finished)
        say(f"  {unit}: {finished[1]:.0f} s")
    return not store.missing(units)
