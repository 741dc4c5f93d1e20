"""Networks as ONNX graphs, through PyTorch's exporter."""

import contextlib
import copy
import logging
import warnings

import torch
from torch import nn

from sktraffic.neural_network._runtime import DTYPES
from sktraffic.nn import stack_members, stacked_forward

__all__ = ["network_to_onnx"]


class _Probabilities(nn.Module):
    """Probabilities of a network: (B, F) -> (B, K)."""

    def __init__(self, network, bytes_as):
        super().__init__()
        self.network = network
        self.bytes_as = bytes_as  # dtype of a network that reads bytes, else None

    def forward(self, x):
        if self.bytes_as is not None:
            x = x.to(self.bytes_as) / 255
        return self.network(x).softmax(dim=-1)


class _MeanProbabilities(nn.Module):
    """Mean probabilities of an ensemble's members, all computed together: (B, F) -> (B, K)."""

    def __init__(self, modules, n_heads):
        super().__init__()
        self.stacked, self.n_heads = stack_members(modules), n_heads
        self.tokenizers = self.stacked.get("tokenizers")  # where the exporter looks for modules

    def forward(self, x):
        return stacked_forward(self.stacked, x, self.n_heads).softmax(dim=-1).mean(dim=0)


def network_to_onnx(clf, opset):
    """Export the network of a fitted classifier.

    Parameters
    ----------
    clf : BaseTorchClassifier or TransformerEnsemble
        Fitted.
    opset : int
        Of ONNX.

    Returns
    -------
    onnx.ModelProto
        Input ``network_input`` (n, n_features): float32, float64 where ``precision`` says so, or
        int64 where the classifier reads token ids or bytes. Output ``network_output``
        (n, n_classes): probabilities.

    Raises
    ------
    TypeError
        If the classifier reads lists of packets.

    Examples
    --------
    >>> from sktraffic.neural_network import MLPClassifier, network_to_onnx
    >>> clf = MLPClassifier((4,), max_epochs=1, early_stopping=False).fit([[0.0], [1.0]], [0, 1])
    >>> graph = network_to_onnx(clf, 18)  # doctest: +SKIP
    """
    if hasattr(clf, "packets_"):
        raise TypeError(
            f"{type(clf).__name__} reads lists of packets, which an ONNX graph cannot: save the "
            "model as .skt, or export a classifier of session features."
        )
    dtype = DTYPES[clf._fit_params["precision"]]
    # copies: the classifier may predict meanwhile, on another device
    modules = [
        copy.deepcopy(member.net_.module_).to("cpu") for member in getattr(clf, "members_", [clf])
    ]
    if hasattr(clf, "members_"):
        network = _MeanProbabilities(modules, clf._fit_params["n_heads"])
    else:
        is_bytes = getattr(clf, "_is_bytes", False)
        network = _Probabilities(modules[0], dtype if is_bytes else None)
        dtype = torch.int64 if is_bytes or getattr(clf, "_reads_tokens", False) else dtype
    # a batch of one would be taken for a constant
    rows = torch.ones(2, clf.n_features_in_, dtype=dtype)
    with _quietly():
        program = torch.onnx.export(
            network.eval(),
            (rows,),
            dynamo=True,
            opset_version=opset,
            input_names=["network_input"],
            output_names=["network_output"],
            dynamic_shapes=({0: torch.export.Dim("n")},),
            verbose=False,
        )
    return program.model_proto


@contextlib.contextmanager
def _quietly():
    """Keep the exporter's remarks on its own progress to itself; errors are raised all the same."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
