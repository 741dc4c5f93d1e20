"""Both papers' tables and figures, on real data: run the experiments, write docs/results.md.

    python benchmarks/papers.py run                        # everything, scale cpu
    python benchmarks/papers.py run b-ustc --data DIR --scale cpu --seeds 2
    python benchmarks/papers.py run g-android-apps --models best sktraffic.neural_network.MyNet
    python benchmarks/papers.py render                     # results -> docs/results.md, figures

Each finished run is kept in benchmarks/results at once; what is there is not run again. With
``--minutes M`` no run is begun after M minutes, and the exit status is 75 while work is left:
repeat the command until it returns 0. The page's words stand in docs/results.md.jinja.
"""

import argparse
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "results.md"
NOT_FINISHED = 75  # EX_TEMPFAIL


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run what is missing")
    run.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="all by default")
    run.add_argument("--data", type=Path, help="folder of the data (default: SKTRAFFIC_DATA)")
    run.add_argument("--scale", choices=("tiny", "cpu", "gpu"), default="cpu")
    run.add_argument("--seeds", type=int, help="how many (default: 1, 3 for gpu)")
    run.add_argument("--models", nargs="+", help="in place of the experiments' own, by name")
    run.add_argument("--jobs", type=int, default=1, help="runs side by side")
    run.add_argument("--minutes", type=float, help="begin no run after this long")
    render = commands.add_parser("render", help="write docs/results.md and its figures")
    render.add_argument("--page", type=Path, default=PAGE)
    for each in (run, render):
        each.add_argument("--results", type=Path, default=HERE / "results")
    args = parser.parse_args(argv)
    if args.command == "run":
        _check(parser, args)
    return args


def _check(parser, args):
    from paper_tables.experiments import EXPERIMENTS

    names = [experiment.name for experiment in EXPERIMENTS]
    unknown = sorted(set(args.experiments) - set(names))
    if unknown:
        parser.error(f"there is no experiment {unknown[0]!r}; there are {', '.join(names)}.")
    if args.models and len(args.experiments) != 1:
        parser.error("--models are those of one experiment; name it.")
    args.data = args.data or Path(os.environ.get("SKTRAFFIC_DATA", "no folder given"))
    if not args.data.is_dir():
        parser.error(f"--data is {args.data}, which is no folder; give that of the data sets.")
    args.seeds = args.seeds or (3 if args.scale == "gpu" else 1)


def main(argv=None):
    args = parse(argv)
    if args.command == "render":
        from results_page.page import write

        write(args.page, args.results)
        return 0
    from paper_tables import runner
    from paper_tables.experiments import EXPERIMENTS

    deadline = None if args.minutes is None else time.time() + 60 * args.minutes
    finished = True
    for experiment in EXPERIMENTS:
        if not args.experiments or experiment.name in args.experiments:
            finished &= runner.run(
                experiment, args.scale, args.seeds, args.data, args.results, models=args.models,
                jobs=args.jobs, deadline=deadline, say=_say,
            )  # fmt: skip
    return 0 if finished else NOT_FINISHED


def _say(text):
    print(time.strftime("%H:%M:%S"), text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
