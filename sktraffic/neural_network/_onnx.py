"""Networks as ONNX graphs, through PyTorch's exporter."""

import contextlib
import copy
import logging
import warnings

import torch
from torch import nn

from sktraffic.neural_network._runtime import DTYPES

__all__ = ["network_to_onnx"]


class _Probabilities(nn.Module):
    """Mean probability of one or several networks: (B, F) -> (B, K)."""

    def __init__(self, modules, bytes_as):
        super().__init__()
        self.networks = nn.ModuleList(modules)
        self.bytes_as = bytes_as  # dtype of a network that reads bytes, else None

    def forward(self, x):
        if self.bytes_as is not None:
            x = x.to(self.bytes_as) / 255
        total = sum(network(x).softmax(dim=-1) for network in self.networks)
        return total / len(self.networks)


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

    Examples
    --------
    >>> from sktraffic.neural_network import MLPClassifier, network_to_onnx
    >>> clf = MLPClassifier((4,), max_epochs=1, early_stopping=False).fit([[0.0], [1.0]], [0, 1])
    >>> graph = network_to_onnx(clf, 18)  # doctest: +SKIP
    """
    nets = [member.net_ for member in getattr(clf, "members_", [clf])]
    dtype = DTYPES[clf._fit_params["precision"]]
    bytes_as = dtype if getattr(clf, "_is_bytes", False) else None
    if bytes_as is not None or getattr(clf, "_reads_tokens", False):
        dtype = torch.int64
    # copies: the classifier may predict meanwhile, on another device
    modules = [copy.deepcopy(net.module_).to("cpu") for net in nets]
    # a batch of one would be taken for a constant
    rows = torch.ones(2, clf.n_features_in_, dtype=dtype)
    with _quietly():
        program = torch.onnx.export(
            _Probabilities(modules, bytes_as).eval(),
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
