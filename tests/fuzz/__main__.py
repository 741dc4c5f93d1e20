"""Fuzz a parser, with atheris where it is installed: ``python -m tests.fuzz [NAME ...]``.

What breaks a promise is written to the folder that ``--found`` names, and the exit status is 1.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="harnesses (default: all)")
    parser.add_argument("--seconds", type=float, default=10, help="for each harness")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--found", default="build/fuzz", help="folder for what breaks a promise")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    os.makedirs(told.found, exist_ok=True)
    if told.alone:
        return alone(told)
    from tests.fuzz.harnesses import HARNESSES

    names, failed = told.names or list(HARNESSES), []
    for name in names:
        options = [name, "--alone", "--seconds", told.seconds, "--seed", told.seed]
        command = [sys.executable, "-m", "tests.fuzz", *options, "--found", told.found]
        if subprocess.run(list(map(str, command)), check=False).returncode:
            failed.append(name)
    print(f"{len(names)} harnesses, {len(failed)} broke a promise: {' '.join(failed) or '-'}")
    return bool(failed)


def alone(told):
    """Run one harness in this process."""
    name = told.names[0]
    try:
        import atheris
    except ImportError:
        return without_atheris(name, told)
    with atheris.instrument_imports(include=["sktraffic"]):
        from tests.fuzz.harnesses import HARNESSES
        from tests.fuzz.seeds import regressions, seeds
    work = Path(told.found, "corpus", name)
    work.mkdir(parents=True, exist_ok=True)
    for i, data in enumerate([*seeds()[name], *(data for _, data in regressions(name))]):
        (work / f"seed-{i}").write_bytes(data)
    arguments = [
        "fuzz", str(work), f"-max_total_time={max(round(told.seconds), 1)}",
        f"-seed={told.seed}", "-timeout=60", "-rss_limit_mb=1536", "-max_len=8192",
        f"-artifact_prefix={told.found}/{name}-", "-print_final_stats=1", "-verbosity=0",
    ]  # fmt: skip
    atheris.Setup(arguments, HARNESSES[name])
    atheris.Fuzz()
    return 0


def without_atheris(name, told):
    """Mutate the corpus at random until the time is over."""
    from tests.fuzz.harnesses import HARNESSES
    from tests.fuzz.seeds import regressions, seeds

    rng, runs = np.random.default_rng(told.seed), 0
    start = [*seeds()[name], *(data for _, data in regressions(name))]
    end = time.monotonic() + told.seconds
    while time.monotonic() < end:
        data = bytearray(start[rng.integers(len(start))])
        for _ in range(rng.integers(1, 9)):
            if data:
                data[rng.integers(len(data))] = rng.integers(256)
        data = bytes(data[: rng.integers(len(data) + 1)] if rng.random() < 0.2 else data)
        try:
            HARNESSES[name](data)
        except Exception:
            Path(told.found, f"{name}-crash").write_bytes(data)
            print(f"{name}: {told.found}/{name}-crash breaks a promise")
            raise
        runs += 1
    print(f"{name}: {runs} inputs without atheris, seed {told.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
