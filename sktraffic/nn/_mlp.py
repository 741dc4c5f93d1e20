"""The multi-layer perceptron of Qi et al. (2025), section 3."""

from torch import nn

from sktraffic.nn._dropout import BitDropout

#: Activations by the name that the estimators take.
ACTIVATIONS = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
}


def activation_class(name):
    """Class of an activation; an unknown name is an error that lists the known ones."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {name!r}.")
    return ACTIVATIONS[name]


class MLP(nn.Sequential):
    """Linear, activation, dropout for each hidden layer, then a linear layer to the classes.

    Qi et al. (2025), doi 10.62177/apemr.v2i5.632, section 3. As there, the last hidden layer has
    no dropout. With 9 inputs and 5 classes the default has 266,757 parameters in the paper's
    nine layers.

    Parameters
    ----------
    n_features : int
        F, number of inputs.
    n_classes : int
        K, number of outputs.
    hidden_sizes : sequence of int, default=(256, 512, 256)
        Width of every hidden layer; an empty one gives a linear model.
    activation : {"relu", "tanh", "leaky_relu", "elu", "gelu"}, default="relu"
        Nonlinearity.
    dropout : float, default=0.3
        Probability of zeroing a unit, after every hidden layer but the last.

    Raises
    ------
    ValueError
        If the activation is unknown.

    Notes
    -----
    Shape: (B, F) -> (B, K), logits.

    Examples
    --------
    >>> from sktraffic.nn import MLP
    >>> sum(p.numel() for p in MLP(9, 5).parameters())
    266757
    """

    def __init__(
        self, n_features, n_classes, hidden_sizes=(256, 512, 256), activation="relu", dropout=0.3
    ):
        nonlinearity = activation_class(activation)
        layers, width = [], n_features
        for i, size in enumerate(hidden_sizes, start=1):
            layers += [nn.Linear(width, size), nonlinearity()]
            if hasattr(layers[-1], "inplace"):  # nothing else reads what the linear layer gave
                layers[-1].inplace = True
            if i < len(hidden_sizes):
                layers.append(BitDropout(dropout))
            width = size
        super().__init__(*layers, nn.Linear(width, n_classes))
