"""The contenders of Liang et al.'s comparison, and what a practitioner would try first."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier

from sktraffic.neural_network import CNNLSTM, BiGRUDABert, DeepPacketCNN, DeepPacketSAE

# name -> changes of the full model: the paper's ablations, and BERT's start, which it leaves open
VARIANTS = {
    "BiGRU-DA-BERT": {},
    "without differential attention": {"attention": None},
    "cross-entropy": {"gamma": 0.0},
    "pre-trained": {},
}
NETWORKS = ("Deep Packet CNN", "Deep Packet SAE", "CNN + LSTM")
SIMPLE = ("random forest", "HistGradientBoosting", "1-nearest neighbour")
CONTENDERS = (*NETWORKS, "BiGRU-DA-BERT", *SIMPLE)


def make(name, settings, seed, weights=None):
    """Unfitted classifier of byte tokens; `weights` are those that BERT starts from, if any."""
    if name in VARIANTS:
        options = {**settings["bert"], **settings["train"], **VARIANTS[name]}
        return BiGRUDABert(**options, pretrained=weights, random_state=seed)
    if name in NETWORKS:
        kind = dict(zip(NETWORKS, (DeepPacketCNN, DeepPacketSAE, CNNLSTM), strict=True))[name]
        return kind(**settings["baselines"], random_state=seed)
    if name == "random forest":
        return RandomForestClassifier(settings["trees"], random_state=seed)
    if name == "HistGradientBoosting":
        return HistGradientBoostingClassifier(max_iter=settings["boosting"], random_state=seed)
    # bytes have no distance but equal or not
    return KNeighborsClassifier(1, metric="hamming", algorithm="brute")


def inputs(name, X):
    """Tokens as the contender reads them: ids for BERT, bytes for Deep Packet, values for trees.

    Padding, mask and separator are ids of their own for BERT; Deep Packet's networks divide bytes
    by 255, so the three become 0, as its authors fill and mask.
    """
    if name in NETWORKS:
        return np.maximum(X - 3, 0).astype(np.uint8)
    return X if name in VARIANTS else X.astype(np.float32)
