"""Sizes of the networks of Liang et al. at each scale, and how much data they see."""

_BERT = {"hidden_size": 64, "n_layers": 2, "n_heads": 4}
_PAPER = {"hidden_size": 768, "n_layers": 12, "n_heads": 8, "precision": "bfloat16"}
# the paper's 128 positions hold two packets of 63 bytes and a separator
SETTINGS = {
    "tiny": {
        "share": 0.03,
        "n_bytes": 12,
        "n_packets": 2,
        "bert": {"hidden_size": 8, "n_layers": 1, "n_heads": 2},
        "train": {"gru_hidden_size": 8, "lr": 5e-3, "max_epochs": 1, "batch_size": 64},
        "baselines": {"max_epochs": 1, "batch_size": 64},
        "trees": 10,
        "boosting": 2,
        "pretraining": {
            "n_bytes": 12,
            "n_packets": 2,
            "every_capture": 60,
            "sessions": 200,
            "bert": {"hidden_size": 8, "n_layers": 1, "n_heads": 2},
            "pretrain": {"lr": 5e-3, "max_epochs": 1, "batch_size": 64},
        },
    },
    "cpu": {
        "n_bytes": 48,
        "n_packets": 2,
        "bert": _BERT,
        "train": {"gru_hidden_size": 64, "lr": 2e-3, "max_epochs": 8, "batch_size": 64},
        "baselines": {"max_epochs": 25, "batch_size": 64},
        "trees": 200,
        "boosting": 60,
        "pretraining": {
            "n_bytes": 48,
            "n_packets": 2,
            "every_capture": 1,
            "sessions": 8000,
            "bert": _BERT,
            "pretrain": {"lr": 2e-3, "max_epochs": 6, "batch_size": 64},
        },
    },
    "gpu": {
        "share": 1.0,
        "n_bytes": 63,
        "n_packets": 2,
        "bert": _PAPER,
        "train": {"gru_hidden_size": 768, "lr": 2e-5, "max_epochs": 50, "batch_size": 32},
        "baselines": {"max_epochs": 300, "batch_size": 256},
        "trees": 300,
        "boosting": 200,
        "pretraining": {
            "n_bytes": 63,
            "n_packets": 2,
            "every_capture": 1,
            "sessions": 100_000,
            "bert": _PAPER,
            "pretrain": {"lr": 1e-4, "max_epochs": 20, "batch_size": 128},
        },
    },
}
# shares of all sessions at scale cpu: about 2,600 of either set
SHARES = {"USTC": 0.3, "ISCX": 0.13}
