"""From real packets to labels: session table, byte tokens, pre-training, fine-tuning."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sktraffic.feature_extraction import ByteTokens
from sktraffic.neural_network import BiGRUDABert, MaskedByteModel
from sktraffic.ragged import list_column

LABELS = ["BitTorrent", "Htbot", "MySQL", "Tinba"]
# 24 bytes of pcap header, 16 of the first record's, 14 of Ethernet
IP_HEADER = 24 + 16 + 14


@pytest.fixture(scope="module")
def sessions(traffic_data):
    """Session table of the first packet of 100 sessions of each of four classes."""
    path = traffic_data / "ustc_tfc2016" / "session_heads_784B.parquet"
    heads = pd.read_parquet(path, columns=["label", "head784", "cap_len"])
    heads = heads[heads["label"].isin(LABELS)].groupby("label").head(100)
    packets = [
        head[IP_HEADER : IP_HEADER - 14 + lengths[0]]
        for head, lengths in zip(heads["head784"], heads["cap_len"], strict=True)
    ]
    column = list_column(pa.array(packets, pa.binary()), np.arange(len(packets) + 1))
    return pd.DataFrame({"packet_bytes": column}), heads["label"].to_numpy()


@pytest.mark.slow
def test_pretrained_bert_learns_masked_bytes_of_real_sessions(sessions):
    """With addresses, ports and counters hidden, four applications are told apart."""
    X, y = sessions
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    bytes_ = ByteTokens(60, n_packets=1, start="ip")
    size = {"hidden_size": 32, "n_layers": 1, "n_heads": 2, "random_state": 0}
    bert = MaskedByteModel(**size, lr=0.003, max_epochs=4)
    bert.fit(bytes_.fit_transform(X_train))
    clf = BiGRUDABert(**size, gru_hidden_size=16, lr=0.003, max_epochs=8, pretrained=bert)
    pipe = make_pipeline(bytes_, clf).fit(X_train, y_train)
    assert bert.history_["train_loss"].is_monotonic_decreasing
    assert pipe.score(X_test, y_test) > 0.9
