"""The commands and their options; each command imports what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from sktraffic import __version__
from sktraffic._documentation import page
from sktraffic.cli._choices import By, EndOn, Features, Key, LabelFrom, Model, Size
from sktraffic.cli._guard import guarded

app = typer.Typer(
    name="sktraffic",
    help="Learn from captures of network traffic, and classify others.",
    epilog="Captures are pcap or pcapng files (also .gz, .bz2, .xz, .zst); a folder stands for all "
    "captures in it and in its subfolders. Exit codes: 0 done, 1 could not be done, 2 wrong usage. "
    f"Guide: {page('user_guide/command_line')}",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Captures = Annotated[
    list[str], typer.Argument(help="Captures: files, folders, glob patterns.", show_default=False)
]
ModelFile = Annotated[
    Path, typer.Argument(help="A model file, from `sktraffic train`.", show_default=False)
]
Label = Annotated[
    LabelFrom,
    typer.Option(help="Where a capture's label comes from: its folder's name, or its own."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Jobs = Annotated[int, typer.Option("-j", "--jobs", min=1, help="Captures read at the same time.")]
Skip = Annotated[
    bool, typer.Option("--skip-unreadable", help="Go on without captures that cannot be read.")
]
Cache = Annotated[
    Path | None,
    typer.Option(help="Folder that keeps extracted sessions; unchanged captures are read once."),
]
_READ = "How captures are read"
Idle = Annotated[
    int,
    typer.Option(min=0, help="Longest silence of a session, seconds.", rich_help_panel=_READ),
]
Active = Annotated[
    int, typer.Option(min=0, help="Longest life of a session, seconds.", rich_help_panel=_READ)
]
KeyOption = Annotated[
    Key, typer.Option(help="What makes packets one session.", rich_help_panel=_READ)
]
SizeOption = Annotated[
    Size, typer.Option(help="Which bytes count as a packet's size.", rich_help_panel=_READ)
]
MaxPackets = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Only the first packets of a session.",
        rich_help_panel=_READ,
        show_default="all",
    ),
]
Unpacked = Annotated[
    int | None,
    typer.Option(
        "--max-unpacked",
        min=1,
        help="Bytes that a compressed capture may unpack to.",
        rich_help_panel=_READ,
        show_default="4 GiB, or 100 times its size",
    ),
]
Filter = Annotated[
    str | None,
    typer.Option(
        "--filter",
        help='Only packets that pass, in libpcap\'s language: "tcp port 443".',
        rich_help_panel=_READ,
        show_default="all",
    ),
]


def _version(asked: bool):
    if asked:
        typer.echo(f"sktraffic {__version__}")
        raise typer.Exit()


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
):
    """Learn from captures of network traffic, and classify others."""


@app.command()
@guarded
def extract(
    captures: Captures,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="Folder for the sessions, a Parquet file a capture; or one file for all: .csv, "
            ".parquet, .jsonl.",
        ),
    ],
    features: Annotated[
        Features | None,
        typer.Option(
            help="Write features of the sessions in place of their packets, into one file.",
            show_default="the sessions themselves",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            help="Add a column label: `folder` or `stem` of the capture, or a .csv file of rules "
            "about sessions.",
            show_default="no label",
        ),
    ] = None,
    end_on: Annotated[
        EndOn,
        typer.Option(
            help="What ends a session: silence alone, or FIN and RST too.", rich_help_panel=_READ
        ),
    ] = EndOn.timeout,
    idle_timeout: Idle = 120,
    active_timeout: Active = 1800,
    key: KeyOption = Key.five_tuple,
    size: SizeOption = Size.ip,
    max_packets: MaxPackets = None,
    bpf_filter: Filter = None,
    max_unpacked: Unpacked = None,
    drop_duplicates: Annotated[
        bool,
        typer.Option(
            "--drop-duplicates",
            help="Leave out packets that were captured twice, on two interfaces say.",
            rich_help_panel=_READ,
        ),
    ] = False,
    vlan_in_key: Annotated[
        bool, typer.Option(help="VLANs divide sessions.", rich_help_panel=_READ)
    ] = True,
    decode_tunnels: Annotated[
        bool, typer.Option(help="See the packets inside tunnels.", rich_help_panel=_READ)
    ] = True,
    join_fragments: Annotated[
        bool,
        typer.Option(
            help="Count later fragments to their datagram's session.", rich_help_panel=_READ
        ),
    ] = True,
    n_dissections: Annotated[
        int,
        typer.Option(
            min=0,
            help="First packets of a session that nDPI sees; 0: no labels, much faster.",
            rich_help_panel=_READ,
        ),
    ] = 20,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is there already.")
    ] = False,
    skip_unreadable: Skip = False,
    jobs: Jobs = 1,
    as_json: Json = False,
):
    """Turn captures into tables of sessions, a Parquet file a capture or one file for all.

    Interrupted, a folder goes on where it stopped; captures that changed since are read anew.
    """
    from sktraffic.cli import _extract

    settings = _settings(
        idle_timeout, active_timeout, key, size, max_packets, bpf_filter, max_unpacked
    )
    settings |= {
        "end_on": end_on.value,
        "drop_duplicates": drop_duplicates,
        "vlan_in_key": vlan_in_key,
        "decode_tunnels": decode_tunnels,
        "join_fragments": join_fragments,
        "n_dissections": n_dissections,
    }
    chosen = None if features is None else features.value
    _extract.run(
        captures,
        output,
        chosen,
        label,
        settings,
        overwrite,
        skip_unreadable,
        jobs,
        as_json,
    )


@app.command()
@guarded
def cut(
    captures: Captures,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The file to write: .pcap or .pcapng.")
    ],
    where: Annotated[
        str,
        typer.Option(
            help="Which sessions: a condition on their columns, such as "
            "\"application == 'TLS.Spotify' and duration > 1\"."
        ),
    ],
    idle_timeout: Idle = 120,
    active_timeout: Active = 1800,
    key: KeyOption = Key.five_tuple,
    size: SizeOption = Size.ip,
    max_packets: MaxPackets = None,
    bpf_filter: Filter = None,
    max_unpacked: Unpacked = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there already.")
    ] = False,
    jobs: Jobs = 1,
    as_json: Json = False,
):
    """Write the packets of chosen sessions into a capture, byte for byte."""
    from sktraffic.cli import _cut

    settings = _settings(
        idle_timeout, active_timeout, key, size, max_packets, bpf_filter, max_unpacked
    )
    _cut.run(captures, output, where, settings, overwrite, jobs, as_json)


@app.command()
@guarded
def train(
    captures: Captures,
    output: Annotated[Path, typer.Option("-o", "--output", help="The model file to write.")],
    label: Label = LabelFrom.folder,
    model: Annotated[
        Model, typer.Option(help="What learns; `forest` needs no GPU and seconds.")
    ] = Model.forest,
    holdout: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.9,
            help="Share of each class's captures to score the model on before it is trained on "
            "all; 0 leaves that out.",
        ),
    ] = 0.25,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    shortcuts: Annotated[
        bool,
        typer.Option(
            "--shortcuts",
            help="Look for shortcuts in the data (the model is trained some hundred times) and "
            "tell of them in the model card.",
        ),
    ] = False,
    idle_timeout: Idle = 120,
    active_timeout: Active = 1800,
    key: KeyOption = Key.five_tuple,
    size: SizeOption = Size.ip,
    max_packets: MaxPackets = None,
    bpf_filter: Filter = None,
    max_unpacked: Unpacked = None,
    cache: Cache = None,
    skip_unreadable: Skip = False,
    jobs: Jobs = 1,
    as_json: Json = False,
):
    """Train a model on labelled captures and save it.

    First a share of the captures is held out and the model that the others give is scored on it;
    then it is trained on all of them. The saved file holds no code.
    """
    from sktraffic.cli import _train

    settings = _settings(
        idle_timeout, active_timeout, key, size, max_packets, bpf_filter, max_unpacked
    )
    _train.run(
        captures,
        output,
        label.value,
        model.value,
        holdout,
        seed,
        shortcuts,
        settings,
        cache,
        skip_unreadable,
        jobs,
        as_json,
    )


@app.command()
@guarded
def evaluate(
    model: ModelFile,
    captures: Captures,
    label: Label = LabelFrom.folder,
    confusion: Annotated[
        Path | None, typer.Option(help="Draw the confusion matrix into this PNG, SVG or PDF.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with scores and figures, in one HTML file.")
    ] = None,
    cache: Cache = None,
    max_unpacked: Unpacked = None,
    jobs: Jobs = 1,
    as_json: Json = False,
):
    """Score a model on labelled captures that it was not trained on."""
    from sktraffic.cli import _evaluate

    _evaluate.run(
        model, captures, label.value, confusion, report, cache, max_unpacked, jobs, as_json
    )


@app.command()
@guarded
def predict(
    model: ModelFile,
    captures: Captures,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Write a row a session: .csv, .parquet or .jsonl. Without it, a summary a "
            "capture is printed.",
        ),
    ] = None,
    by: Annotated[By, typer.Option(help="What a row of the output is.")] = By.session,
    max_unpacked: Unpacked = None,
    skip_unreadable: Skip = False,
    jobs: Jobs = 1,
    as_json: Json = False,
):
    """Classify captures and the sessions in them."""
    from sktraffic.cli import _predict

    _predict.run(model, captures, output, by.value, max_unpacked, skip_unreadable, jobs, as_json)


@app.command()
@guarded
def stream(
    model: ModelFile,
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Interfaces (Linux, as root or with CAP_NET_RAW), captures that grow, named "
            "pipes, or - for standard input.",
            show_default=False,
        ),
    ],
    decide_after: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Decide when a session has shown so many packets.",
            show_default="when it ends",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Write the decisions: .jsonl, .csv or .parquet. Without it, JSON lines on "
            "standard output, or a rolling table if that is a terminal.",
        ),
    ] = None,
    stop_after: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="End after so many seconds of silence.", show_default="at Ctrl-C"
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there already.")
    ] = False,
    as_json: Json = False,
):
    """Classify live traffic as its sessions end, until Ctrl-C; then those still open, too.

    At the end each source's sessions, packets and losses are told on standard error.
    """
    from sktraffic.cli import _stream

    _stream.run(model, sources, decide_after, stop_after, output, overwrite, as_json)


@app.command()
@guarded
def inspect(
    model: ModelFile,
    card: Annotated[
        Path | None, typer.Option(help="Write the card into this Markdown file instead.")
    ] = None,
    as_json: Json = False,
):
    """Print a model's card: data, split, scores, shortcuts, intended use. Nothing in it is run."""
    from sktraffic.cli import _inspect

    _inspect.run(model, card, as_json)


@app.command()
@guarded
def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the model and the report.")
    ] = Path("sktraffic-demo"),
    model: Annotated[Model, typer.Option(help="What learns.")] = Model.forest,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder that keeps sessions and models for the next run.",
            show_default="the user's cache folder",
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Use nothing from the cache.")] = False,
    jobs: Annotated[
        int, typer.Option("-j", "--jobs", min=1, help="Captures read at the same time.")
    ] = 2,
    as_json: Json = False,
):
    """Do everything once, on the captures that come with the package: no network is needed.

    Reads the captures, trains on three quarters of the runs, saves the model, loads it, classifies
    the runs that it has not seen, and writes a report.
    """
    from sktraffic.cli import _demo

    _demo.run(output, model.value, cache, fresh, jobs, as_json)


def _settings(idle_timeout, active_timeout, key, size, max_packets, bpf_filter, max_unpacked):
    return {
        "idle_timeout": idle_timeout,
        "active_timeout": active_timeout,
        "key": key.value,
        "size": size.value,
        "max_packets": max_packets,
        "bpf_filter": bpf_filter,
        "max_unpacked": max_unpacked,
    }


def main():
    """Run the command line of this process.

    Examples
    --------
    >>> import sys
    >>> from sktraffic.cli import main
    >>> main()  # doctest: +SKIP
    """
    app()
