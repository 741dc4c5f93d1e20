"""Masked packets as pre-training: what is hidden stays hidden, and all starts are scored."""

import json

import numpy as np
import pytest

pytestmark = pytest.mark.neural


@pytest.fixture
def masked(bench):
    """Import the benchmark."""
    return bench("masked_packets")


@pytest.fixture
def sessions():
    """Every fourth bundled session."""
    from sktraffic.datasets import load_lab_sessions

    return load_lab_sessions().data.iloc[::4]


@pytest.fixture
def shell(masked, sessions):
    """Return a classifier around a tiny untrained network of 6 packets."""
    sizes = {"n_packets": 6, "n_channels": 8, "n_blocks": 2, "fields": masked.FIELDS}
    return masked.untrained(sessions, sizes | {"random_state": 0})


def test_what_is_hidden_is_not_read(masked, shell):
    """Predictions stay when the hidden packets change, and move when another does."""
    import torch

    model = masked.MaskedPackets(shell.net_.module_, torch.tensor([1e-3, 1.0])).eval()
    sequence = torch.tensor([[[60, 0], [-1400, 0.1], [80, 0.2], [-9, 3], [0, 0], [0, 0.0]]])
    hidden = torch.tensor([[False, True, False, True, False, False]])
    other = sequence.clone()
    other[0, 1], other[0, 3] = torch.tensor([700, 5.0]), torch.tensor([1, 1e-6])
    seen = sequence.clone()
    seen[0, 2, 0] = -500
    found, same, moved = (model.predict(x, hidden) for x in (sequence, other, seen))
    assert [len(part) for part in found] == [2, 2]
    for before, after, elsewhere in zip(found, same, moved, strict=True):
        assert torch.equal(before, after)
        assert not torch.allclose(before, elsewhere)


def test_pooled_outputs_are_those_of_the_network(masked, shell, sessions):
    """The network's own later layers make its logits of what the script pools."""
    import torch

    net = shell.net_.module_
    vectors = torch.tensor(masked.pooled(net, sessions), dtype=torch.float32)
    proba = net.head(net.join(vectors)).softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(proba, shell.predict_proba(sessions), atol=1e-6)


def test_hidden_packets_are_learned(masked, shell, sessions):
    """The loss falls below that of guessing evenly, and the classifier holds the new weights."""
    before = shell.predict_proba(sessions)
    last = masked.pretrain(shell.net_.module_, sessions, epochs=8, seed=0)
    assert last["loss"] < np.log(3001) + np.log(masked.INTERVALS)
    assert last["sizes named"] > 0.05  # one of 3001 by chance
    assert np.abs(shell.predict_proba(sessions) - before).max() > 1e-3


def test_scores_all_starts(masked, traffic_data, tmp_path, capsys):
    """Few flows, one epoch: a row a start, all of unseen traces."""
    file = tmp_path / "rows.json"
    arguments = "--apps 3 --traces 8 --splits 2 --labels 5 --epochs 1 --tuning-epochs 1"
    arguments += f" --channels 8 --blocks 2 --data {traffic_data} --json {file}"
    masked.main(arguments.split())
    rows = json.loads(file.read_text("utf-8"))
    starts = [row["start"] for row in rows if "start" in row]
    assert starts == [
        "neighbours, untrained",
        "neighbours, untrained, standardised",
        "neighbours, masked packets",
        "neighbours, masked packets, standardised",
        "neighbours, metric learning",
        "network from scratch",
        "network from masked packets",
        "network from metric learning",
    ]
    assert all(0 <= row["f1"] <= 1 for row in rows if "start" in row)
    printed = capsys.readouterr().out.splitlines()[-len(starts) :]
    assert [line[: line.index("  ")] for line in printed] == starts
