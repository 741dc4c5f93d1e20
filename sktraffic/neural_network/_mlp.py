"""The multi-layer perceptron of Qi et al. (2025) as an estimator."""

from dataclasses import field

from sktraffic._compat import StrOptions
from sktraffic.neural_network._base import BaseTorchClassifier
from sktraffic.neural_network._inputs import check_sizes
from sktraffic.neural_network._params import SHARE
from sktraffic.nn import ACTIVATIONS, MLP


class MLPClassifier(BaseTorchClassifier):
    """Multi-layer perceptron for feature tables.

    Qi et al. (2025), doi 10.62177/apemr.v2i5.632, section 3: 256, 512 and 256 hidden units,
    dropout after the first two, Adam at 0.005, batches of 4096. With 9 features and 5 classes
    the network has 266,757 parameters. Standardise the features first.

    Parameters
    ----------
    hidden_sizes : tuple of int, default=(256, 512, 256)
        Width of every hidden layer.
    activation : {"relu", "tanh", "leaky_relu", "elu", "gelu"}, default="relu"
        Nonlinearity.
    dropout : float, default=0.3
        Probability of zeroing a unit, after every hidden layer but the last.
    {shared parameters}

    Attributes
    ----------
    {shared attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sktraffic.neural_network import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier(hidden_sizes=(32, 32), batch_size=32, random_state=0)
    >>> bool(make_pipeline(StandardScaler(), clf).fit(X, y).score(X, y) > 0.9)
    True
    """

    hidden_sizes: tuple = field(default=(256, 512, 256), kw_only=False)
    activation: str = "relu"
    dropout: float = 0.3
    lr: float = 0.005
    batch_size: int | None = 4096

    _parameter_constraints = {
        **BaseTorchClassifier._parameter_constraints,
        "hidden_sizes": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "dropout": [SHARE],
    }

    def _build_module(self, n_features, n_classes):
        check_sizes("hidden_sizes", self.hidden_sizes)
        return MLP(n_features, n_classes, self.hidden_sizes, self.activation, self.dropout)
