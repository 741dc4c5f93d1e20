"""The one runner: an experiment's units are run, each is kept at once, and no unit twice."""

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

from joblib import Parallel, delayed

SCALES = ("tiny", "cpu", "gpu")
PACKAGES = (
    "sktraffic", "scikit-learn", "imbalanced-learn", "skorch", "torch", "transformers", "lightgbm",
    "numpy", "pandas", "pyarrow", "nfstream",
)  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """What is run: data sets, splits and models as cells, each with several seeds.

    ``settings`` holds a JSON-able dictionary for each scale. ``cells(settings, models)`` lists flat
    dictionaries, in the order in which they are run; a cell's "most_seeds" bounds its seeds.
    ``measure(unit, settings, folder)`` returns the rows (dictionaries) of a cell with a seed.
    ``models`` are the names that the command line may replace.
    """

    name: str
    settings: dict
    cells: Callable
    measure: Callable
    models: tuple = ()

    def units(self, scale, seeds, models=None):
        """List every cell with every seed, seed by seed; cells of bounded seeds come last."""
        settings = self.settings[scale]
        cells = sorted(self.cells(settings, models or self.models), key=lambda c: "most_seeds" in c)
        few = [cell for cell in cells if "most_seeds" in cell]
        pairs = [(c, seed) for seed in range(seeds) for c in cells[: len(cells) - len(few)]]
        pairs += [(c, seed) for seed in range(seeds) for c in few if seed < c["most_seeds"]]
        return [{k: v for k, v in c.items() if k != "most_seeds"} | {"seed": s} for c, s in pairs]


class Store:
    """Result file of one experiment at one scale: each finished unit is on disk at once."""

    def __init__(self, folder, name, scale, settings):
        self.path = Path(folder) / f"{name}-{scale}.json"
        self.head = {"experiment": name, "scale": scale}
        self.settings = settings
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
        lines = ",\n".join(json.dumps(entry) for entry in units)  # a line a unit: small diffs
        text = json.dumps(self.head)[:-1] + f', "units": [\n{lines}\n]}}\n'
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".part")
        partial.write_text(text, "utf-8")
        os.replace(partial, self.path)


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
    return {
        "python": platform.python_version(),
        "versions": versions,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _processor():
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def run_unit(experiment, unit, settings, folder):
    """Rows, seconds and processor seconds of one unit."""
    import torch

    if not torch.cuda.is_available():
        torch.set_num_threads(1)  # units run side by side, one a core
    start, cpu_start = time.perf_counter(), time.process_time()
    rows = experiment.measure(unit, settings, folder)
    return unit, rows, time.perf_counter() - start, time.process_time() - cpu_start


def run(
    experiment, scale, seeds, folder, results, *, models=None, jobs=1, deadline=None, say=print
):
    """Run what is missing; return whether everything is there.

    A deadline, in the clock of `time.time`, is the time after which no further unit is begun.
    """
    settings = experiment.settings[scale]
    store = Store(results, experiment.name, scale, settings)
    units = experiment.units(scale, seeds, models)
    todo = store.missing(units)
    say(f"{experiment.name}: {len(units)} units at scale {scale}, {len(todo)} to do")
    in_time = (unit for unit in todo if deadline is None or time.time() < deadline)
    tasks = (delayed(run_unit)(experiment, unit, settings, folder) for unit in in_time)
    runner = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1, pre_dispatch=jobs)
    for unit, *finished in runner(tasks):
        store.add(unit, *finished)
        say(f"  {unit}: {finished[1]:.0f} s")
    return not store.missing(units)
