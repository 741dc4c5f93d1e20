"""The model card: what the file knows, what its maker told, and what was not told."""

import json
import zipfile

import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from typer.testing import CliRunner

from sktraffic.cli import app
from sktraffic.inspection import ShortcutReport
from sktraffic.metrics import bootstrap_interval
from sktraffic.persistence import read_provenance, save

MODEL = DummyClassifier().fit([[0], [1], [2]], ["chat", "chat", "voip"])
Y = ["chat", "chat", "voip"]


def card(tmp_path, **options):
    """Save the model and return the card in its file."""
    save(MODEL, tmp_path / "m.skt", y=Y, **options)
    return read_provenance(tmp_path / "m.skt")["card"]


def section(text, heading):
    """Return the lines under a heading, up to the next one."""
    below = text.split(f" {heading}\n", 1)[1]
    return below.split("\n#", 1)[0].strip()


def test_what_is_known_is_there_without_being_told(tmp_path):
    """Classes, counts, versions, the model; what only its maker knows is said to be missing."""
    text = card(tmp_path)
    assert "DummyClassifier()" in section(text, "Model description")
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    assert ["", "chat", "2", ""] in rows and ["", "voip", "1", ""] in rows
    assert "- scikit-learn: " in section(text, "Versions")
    for heading in ("Intended uses & limitations", "Limitations"):
        assert section(text, heading).startswith("Not told.")
    assert section(text, "Evaluation Results").startswith("Split: Not told.")
    assert section(text, "Shortcuts").startswith("Not looked for")


def test_what_is_told_stands_in_its_section(tmp_path):
    """Each text under its heading, and a score with the ends of its interval."""
    interval = bootstrap_interval("accuracy", [0, 1] * 20, [0] * 40, random_state=0)
    told = {"intended_use": "A laboratory.", "limitations": "No VPN.", "split": "By day."}
    scores = {"accuracy": interval, "f1": 0.25}
    text = card(tmp_path, scores=scores, card={**told, "shortcuts": "None."})
    assert section(text, "Intended uses & limitations") == "A laboratory."
    assert section(text, "Limitations") == "No VPN."
    assert section(text, "Evaluation Results") == "Split: By day."
    assert section(text, "Shortcuts") == "None."
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["accuracy", "0.500", f"{interval.low:.3f} to {interval.high:.3f}"] in cells
    assert ["f1", "0.250", ""] in cells
    note = read_provenance(tmp_path / "m.skt")
    assert note["scores"] == {"accuracy": 0.5, "f1": 0.25}
    assert note["intervals"] == {"accuracy": [interval.low, interval.high]}


def test_a_shortcut_report_becomes_sentences(tmp_path):
    """Found and noted, a line each; a clean report says that it was looked for."""
    report = ShortcutReport(pd.DataFrame(), {"ports": "Ports alone do it."}, ["Few captures."])
    text = card(tmp_path, card={"shortcuts": report})
    assert section(text, "Shortcuts") == "- Ports alone do it.\n- Few captures."
    clean = card(tmp_path, card={"shortcuts": ShortcutReport(pd.DataFrame())})
    assert section(clean, "Shortcuts") == "- Looked for, and none found."


def test_a_section_that_no_card_has_is_refused(tmp_path):
    """A typo would be lost silently; nothing is written."""
    with pytest.raises(ValueError, match="no section intended_uses; it has intended_use,"):
        save(MODEL, tmp_path / "m.skt", card={"intended_uses": "All."})
    assert list(tmp_path.iterdir()) == []


def test_an_interval_without_numbers_is_left_out(tmp_path):
    """A single capture says nothing about another one: no ends, but the score."""
    scores = {"accuracy": bootstrap_interval("accuracy", [0, 1], [0, 1], groups=["a", "a"])}
    assert "nan" not in section(card(tmp_path, scores=scores), "Scores")
    assert read_provenance(tmp_path / "m.skt")["intervals"] == {}


def test_a_strangers_card_does_not_steer_the_terminal(tmp_path):
    """Escape sequences in a file's card are not printed; a file without a card says so."""
    path = tmp_path / "m.skt"
    save(MODEL, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    note = json.loads(members["provenance.json"])

    def rewritten(text):
        members["provenance.json"] = json.dumps({**note, "card": text}).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return CliRunner().invoke(app, ["inspect", str(path)])

    assert rewritten("\x1b[2J# Good\x07 model\u202e\n\nline").stdout == "[2J# Good model\n\nline\n"
    done = rewritten(None)
    assert done.exit_code == 1 and "holds no model card" in done.output
