"""Run the tests as on other processors, and with more threads: ``make test-processors``.

The libraries that compute are told to leave features of this machine's processor out, so each of
them takes other instructions, sums in another order and rounds otherwise. A row a setting: passed,
failed, skipped, seconds. What stands after the script's name goes to pytest:

    python tools/processors.py --only 'SSE' tests/neural_network

torch takes its own kernels by ``ATEN_CPU_CAPABILITY``, oneDNN by ``ONEDNN_MAX_CPU_ISA``, MKL by
``MKL_ENABLE_INSTRUCTIONS``; the products of NumPy and SciPy are OpenBLAS's (``OPENBLAS_CORETYPE``),
NumPy's own loops follow ``NPY_DISABLE_CPU_FEATURES``.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
# what NumPy chooses its loops by here; its names for AVX2 and its companions
FOUND = np.show_config(mode="dicts")["SIMD Extensions"].get("found", ())
AVX2 = {"AVX2", "FMA3", "X86_V3"}
SSE_ONLY = " ".join(FOUND)
NO_AVX512 = " ".join(name for name in FOUND if name not in AVX2)
SETTINGS = {
    "as it is, 1 thread": {},
    "SSE of Nehalem, 1 thread": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": SSE_ONLY,
    },
    "AVX of Sandy Bridge, 1 thread": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "AVX",
        "MKL_ENABLE_INSTRUCTIONS": "AVX",
        "OPENBLAS_CORETYPE": "Sandybridge",
        "NPY_DISABLE_CPU_FEATURES": NO_AVX512,
    },
    "AVX2 of Haswell, 2 threads": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": NO_AVX512,
        "OMP_NUM_THREADS": "2",
    },
    "AVX-512 of Skylake, 2 threads": {
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "OPENBLAS_CORETYPE": "SkylakeX",
        "OMP_NUM_THREADS": "2",
    },
}


def tested(arguments, environment):
    """Run pytest in an environment; return its counts by outcome, the failures and seconds."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    last = done.stdout.rstrip().rpartition("\n")[2]
    counts = {what: int(n) for n, what in re.findall(r"(\d+) (passed|failed|skipped|error)", last)}
    failures = re.findall(r"^(?:FAILED|ERROR) .*", done.stdout, re.MULTILINE)
    if done.returncode and not failures:
        failures = [done.stdout[-2000:]]
    return counts, failures, time.perf_counter() - begin


def main():
    """Print the table, then what failed; exit with 1 where a test did."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="settings whose name holds this text")
    options, rest = parser.parse_known_args()
    failed = {}
    print("| processor and threads | passed | failed | skipped | seconds |")
    print("|---|---|---|---|---|", flush=True)
    for name, environment in SETTINGS.items():
        if options.only not in name:
            continue
        n, failures, seconds = tested(rest or ["-m", "not slow"], environment)
        missed = n.get("failed", 0) + n.get("error", 0)
        cells = [name, n.get("passed", 0), missed, n.get("skipped", 0), f"{seconds:.0f}"]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)
        if failures:
            failed[name] = failures
    for name, lines in failed.items():
        print(f"\n{name}:", *lines, sep="\n  ")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
