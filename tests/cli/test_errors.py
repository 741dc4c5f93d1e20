"""What a user does wrong ends in one line and the right exit code."""

import re
import subprocess
import sys

import pytest


def _one_line(done):
    lines = done.stderr.strip().splitlines()
    return len(lines) == 1 and lines[0].startswith("error: ") and "Traceback" not in done.output


def test_missing_capture(bench, cli, tmp_path):
    """1, and the path is named."""
    done = cli("predict", bench.model, tmp_path / "nothing.pcap")
    assert done.exit_code == 1 and _one_line(done) and "nothing.pcap" in done.stderr


def test_no_model_file(bench, cli):
    """1: a capture is no model."""
    capture = next(bench.unseen.rglob("*.xz"))
    for command in (("inspect", capture), ("predict", capture, capture)):
        done = cli(*command)
        assert done.exit_code == 1 and _one_line(done), done.output


def test_cut_model_file(bench, cli, tmp_path):
    """1: half a model is refused."""
    cut = tmp_path / "cut.skt"
    cut.write_bytes(bench.model.read_bytes()[:-2000])
    done = cli("predict", cut, bench.unseen)
    assert done.exit_code == 1 and _one_line(done)


def test_unknown_suffix_is_told_before_any_work(bench, cli, tmp_path):
    """1, and the suffixes there are."""
    done = cli("predict", bench.model, bench.unseen, "-o", tmp_path / "rows.xlsx")
    assert done.exit_code == 1 and _one_line(done) and ".parquet" in done.stderr


def test_one_class_is_not_enough(bench, cli, tmp_path):
    """1, and nothing is written."""
    done = cli("train", bench.seen / "chat", "-o", tmp_path / "m.skt")
    assert done.exit_code == 1 and _one_line(done) and "--label" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_labels_that_the_model_does_not_know(bench, cli):
    """1: file names are no classes of this model."""
    done = cli("evaluate", bench.model, bench.unseen, "--label", "stem")
    assert done.exit_code == 1 and _one_line(done) and "vpn_voip" in done.stderr


def test_broken_capture_is_an_error_or_left_out(bench, cli, tmp_path):
    """1 without, 0 and a warning with --skip-unreadable."""
    folder = tmp_path / "captures"
    folder.mkdir()
    (folder / "broken.pcap").write_bytes(b"no capture at all")
    good = next(bench.unseen.rglob("*.xz"))
    done = cli("extract", folder, good, "-o", tmp_path / "out")
    assert done.exit_code == 1 and _one_line(done)
    done = cli("extract", folder, good, "-o", tmp_path / "out", "--skip-unreadable")
    assert done.exit_code == 0 and "warning: " in done.stderr and "1 left out" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [("no-such-command",), ("train", "x"), ("train", "x", "-o", "y", "--model", "oracle")],
)
def test_wrong_usage_is_2(cli, arguments):
    """Typer's own exit code."""
    assert cli(*arguments).exit_code == 2


def test_help_and_version(cli, code_of_help):
    """Every command explains itself; the version is the package's."""
    from sktraffic import __version__

    assert cli("--version").stdout.strip() == f"sktraffic {__version__}"
    assert cli().exit_code == code_of_help  # no command: help, and wrong usage
    for command in ("extract", "train", "evaluate", "predict", "inspect", "demo"):
        done = cli(command, "--help")
        assert done.exit_code == 0 and "Usage" in done.stdout


def test_help_is_light():
    """`python -m sktraffic` imports nothing heavy before a command runs."""
    code = (
        "import sys, sktraffic.cli\n"
        "heavy = {'torch', 'nfstream', 'matplotlib', 'sklearn', 'pandas', 'numpy'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "sktraffic", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.startswith("sktraffic "), done.stderr


@pytest.mark.parametrize("command", ["inspect", "predict", "evaluate", "stream"])
def test_debug_shows_the_traceback(cli, tmp_path, command):
    """Every command takes --debug, which hands the error on; without it there is one line."""
    arguments = (command, tmp_path / "nothing.skt", *[tmp_path] * (command != "inspect"))
    assert _one_line(cli(*arguments))
    done = cli(*arguments, "--debug")
    assert done.exit_code == 1 and isinstance(done.exception, ValueError | OSError)


def test_a_traceback_is_on_standard_error(tmp_path):
    """As Python writes it, with the error that the one line tells."""
    command = [sys.executable, "-m", "sktraffic", "inspect", str(tmp_path / "nothing.skt")]
    plain, full = (
        subprocess.run(command + more, capture_output=True, text=True) for more in ([], ["--debug"])
    )
    assert plain.returncode == full.returncode == 1
    assert plain.stderr.startswith("error: ") and "Traceback" not in plain.stderr
    assert full.stderr.startswith("Traceback") and "There is no model file" in full.stderr


def test_errors_name_options(bench, cli, tmp_path):
    """What to do is told in the words of the command line, not in Python's."""
    capture = next(bench.unseen.rglob("*.xz"))
    broken, out = tmp_path / "broken.pcap", tmp_path / "out"
    broken.write_bytes(b"no capture at all")
    taken = tmp_path / "taken.csv"
    taken.write_text("mine", "utf-8")
    assert cli("extract", capture, "-o", out).exit_code == 0
    for arguments, option in (
        (("extract", broken, capture, "-o", tmp_path / "other"), "--skip-unreadable"),
        (("extract", capture, "-o", taken), "--overwrite"),
        (("extract", capture, "-o", out, "--idle-timeout", 5), "--overwrite"),
        (("cut", capture, "--where", "duration >= 0", "-o", taken), "--overwrite"),
        (("extract", capture, "-o", tmp_path / "x.csv", "--filter", "tcp prot 3"), "--filter"),
    ):
        done = cli(*arguments)
        assert done.exit_code == 1 and _one_line(done) and option in done.stderr, done.output
        assert not re.search(r"\w=(True|False|'|\")", done.stderr), done.stderr
    assert taken.read_text("utf-8") == "mine"


@pytest.mark.parametrize("name", ["rows.txt", "rows.xlsx", "rows.json", "rows.csv.gz"])
def test_a_table_of_another_kind_is_no_folder(bench, cli, tmp_path, name):
    """`extract -o rows.txt` says which tables are written, and makes nothing."""
    capture = next(bench.unseen.rglob("*.xz"))
    done = cli("extract", capture, "-o", tmp_path / name)
    assert done.exit_code == 1 and _one_line(done) and ".csv, .parquet" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["extract", "predict", "stream"])
def test_a_missing_folder_is_told_before_any_work(bench, cli, tmp_path, command):
    """With its name, before the captures, which are not there either, are looked for."""
    first = [bench.model] * (command != "extract")
    done = cli(command, *first, tmp_path / "nothing.pcap", "-o", tmp_path / "no" / "rows.csv")
    assert done.exit_code == 1 and _one_line(done)
    assert f"There is no folder {tmp_path / 'no'}" in done.stderr


def test_a_model_that_no_file_can_hold_is_told_before_it_learns(bench, cli, tmp_path, monkeypatch):
    """Where scikit-learn's boosting cannot be saved; what to do stands in the line."""
    monkeypatch.setattr("sktraffic.cli._train.boosting_can_be_saved", lambda: False)
    done = cli("train", tmp_path / "nothing", "-o", tmp_path / "m.skt", "--model", "best")
    assert done.exit_code == 1 and _one_line(done)
    assert "--model best holds boosting" in done.stderr and "--model forest" in done.stderr
