"""
BERT on bytes
=============

No features at all: the first bytes of a session's first packets are the tokens of BiGRU-DA-BERT.
What names hosts and moments (addresses, ports, checksums, sequence numbers, timestamps) is hidden,
or the model would learn those. BERT is first trained to fill in masked bytes of sessions without
labels. The sizes are small enough for a CPU; the defaults are the paper's.
"""

import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline

from sktraffic.datasets import load_lab_sessions
from sktraffic.feature_extraction import ByteTokens
from sktraffic.model_selection import CaptureKFold
from sktraffic.neural_network import BiGRUDABert, MaskedByteModel

FAST = "SKTRAFFIC_EXAMPLE_FAST" in os.environ
EPOCHS, STEP = (1, 4) if FAST else (6, 2)
SIZES = {"hidden_size": 32, "n_layers": 2, "n_heads": 4, "random_state": 0}

lab = load_lab_sessions()
own = np.flatnonzero(~np.asarray(lab.background))[::STEP]
X, y = lab.data.iloc[own].reset_index(drop=True), np.asarray(lab.target)[own]
captures = np.asarray(lab.groups)[own]
cv = CaptureKFold(4, shuffle=True, random_state=0, single_capture="train")
train, test = next(cv.split(X, y, captures))

# %%
# Four packets of 31 bytes each, IP header first, with a separator between: 127 tokens.

tokens = ByteTokens(n_bytes=31, n_packets=4, start="ip")
example = tokens.fit_transform(X.iloc[:1])
print(f"{np.asarray(example).shape[1]} tokens a session; mask: {', '.join(tokens.mask)}")

# %%
# What the network sees of some sessions, as many of each class, a row each. White is hidden or
# padding; structure that differs between classes is what can be learnt.

classes, each = np.unique(y), 12
rows = np.concatenate([train[y[train] == label][:each] for label in classes])
ids = np.asarray(tokens.transform(X.iloc[rows])).astype(float)
ids[ids < 3] = np.nan  # padding, masked, separator
fig, ax = plt.subplots(figsize=(7, 5), layout="constrained")
ax.imshow(ids - 3, aspect="auto", cmap="viridis", interpolation="nearest")
starts = np.flatnonzero(np.r_[True, y[rows][1:] != y[rows][:-1]])
ax.hlines(starts[1:] - 0.5, -0.5, ids.shape[1] - 0.5, color="0.6", linewidth=0.6)
ax.set_yticks(starts, y[rows][starts], va="top")
ax.set(xlabel="token: four packets of 31 bytes, from the IP header on", ylabel="sessions by class")

# %%
# Masked bytes, without labels.

masked = MaskedByteModel(lr=1e-3, max_epochs=EPOCHS, **SIZES)
masked.fit(tokens.fit_transform(X.iloc[train]))
print(f"masked bytes filled in right: {masked.score(tokens.transform(X.iloc[test])):.3f}")

# %%
# Then the labels, from those weights and from random ones.

histories = {}
for name, start in (("pre-trained", masked), ("random", None)):
    clf = BiGRUDABert(
        pretrained=start,
        gru_hidden_size=32,
        lr=1e-3,
        max_epochs=EPOCHS,
        class_weight="balanced",
        **SIZES,
    )
    pipe = make_pipeline(tokens, clf).fit(X.iloc[train], y[train])
    histories[name] = np.asarray(pipe[-1].history_["train_loss"])
    score = f1_score(y[test], pipe.predict(X.iloc[test]), average="macro", zero_division=0)
    print(f"macro F1 on captures not seen, {name} weights: {score:.3f}")

# %%
# How fast either learns:

fig, ax = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
for name, loss in histories.items():
    ax.plot(range(1, len(loss) + 1), loss, "o-", label=f"{name} weights")
ax.set(xlabel="epoch", ylabel="training loss")
ax.legend()

# %%
# A forest on statistics of the whole session does better on these captures and takes seconds: see
# :ref:`sphx_glr_auto_examples_plot_honest_evaluation.py`. Bytes are worth their price where there
# is much more to learn from. Next: :doc:`/user_guide/sequences`.

plt.show()
