"""Both papers' tables and figures, on real data, by one command.

    python benchmarks/papers.py                       # everything, scale cpu
    python benchmarks/papers.py a2-clusterings b-ustc --data DIR --scale cpu --seeds 2

Each finished run is kept in benchmarks/results at once; what is there is not run again. With
``--minutes M`` no run is begun after M minutes, and the exit status is 75 while work is left:
repeat the command until it returns 0. docs/results.md is written from the result files
(``--render`` alone writes it without running anything).
"""

import argparse
import os
import sys
import time
from pathlib import Path

from paper_tables import TABLES
from paper_tables.core import SCALES, run_table
from paper_tables.render import write_page
from paper_tables.text import HEAD

HERE = Path(__file__).resolve().parent
NOT_FINISHED = 75  # EX_TEMPFAIL


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [table.name for table in TABLES]
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(names)}; all")
    parser.add_argument("--data", type=Path, help="folder of the data (default: SKTRAFFIC_DATA)")
    parser.add_argument("--scale", choices=SCALES, default="cpu")
    parser.add_argument("--seeds", type=int, help="how many (default: 1, 3 for gpu)")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--minutes", type=float, help="begin no run after this long")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs" / "results.md")
    parser.add_argument("--render", action="store_true", help="only write the page")
    args = parser.parse_args(argv)
    unknown = sorted(set(args.tables) - set(names))
    if unknown:
        parser.error(f"there is no table {unknown[0]!r}; there are {', '.join(names)}.")
    if args.data is None and "SKTRAFFIC_DATA" in os.environ:
        args.data = Path(os.environ["SKTRAFFIC_DATA"])
    if not args.render and (args.data is None or not args.data.is_dir()):
        parser.error(f"--data is {args.data}, which is no folder; give that of the data sets.")
    if args.seeds is None:
        args.seeds = {"tiny": 1, "cpu": 1, "gpu": 3}[args.scale]
    return args


def main(argv=None):
    args = parse(argv)
    chosen = [table for table in TABLES if not args.tables or table.name in args.tables]
    deadline = None if args.minutes is None else time.time() + 60 * args.minutes
    finished = True
    if not args.render:
        for table in chosen:
            finished &= run_table(
                table, args.scale, args.seeds, args.data, args.results,
                jobs=args.jobs, deadline=deadline, say=_say,
            )  # fmt: skip
    if args.scale != "tiny" or args.render:
        write_page(args.page, TABLES, args.results, HEAD)
    return 0 if finished else NOT_FINISHED


def _say(text):
    print(time.strftime("%H:%M:%S"), text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
