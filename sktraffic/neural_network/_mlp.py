"""Multi-layer perceptrons, that of Qi et al. (2025) among them, as an estimator."""

from sktraffic._compat import StrOptions
from sktraffic.neural_network._embedding import FeatureTableClassifier
from sktraffic.neural_network._inputs import check_sizes
from sktraffic.neural_network._params import COUNT, SHARE, parameter
from sktraffic.nn import ACTIVATIONS, MLP, WideMLP


class MLPClassifier(FeatureTableClassifier):
    """Multi-layer perceptron for feature tables, which reads numbers by their bins.

    Sizes, counts and times of traffic span decades, and a few thresholds tell much. So a number is
    read as how far it has come through the quantiles of its column; its scale is of no account. A
    linear layer learns what single features say, perceptrons beside it what they say together, and
    several perceptrons are trained at once and averaged (:class:`~sktraffic.nn.WideMLP`).

    The network of Qi et al. (2025), doi 10.62177/apemr.v2i5.632, section 3, which with 9 features
    and 5 classes has 266,757 parameters, is ``MLPClassifier((256, 512, 256), embedding="linear",
    dropout=0.3, lr=0.005, batch_size=4096, max_epochs=100, warmup_ratio=0, early_stopping=True)``
    behind a StandardScaler.

    Parameters
    ----------
    hidden_sizes : tuple of int, default=(256, 256)
        Width of every hidden layer.
    activation : {"relu", "tanh", "leaky_relu", "elu", "gelu"}, default="relu"
        Nonlinearity.
    dropout : float, default=0.1
        Probability of zeroing a unit, after every hidden layer; with ``embedding="linear"``
        but the last, as in the paper.
    n_members : int, default=3
        Perceptrons, each with its linear layer, that are trained at once and averaged, with
        ``embedding="piecewise"``.
    {shared parameters}

    Attributes
    ----------
    bin_edges_ : ndarray of shape (n_features, n_edges)
        Edges of each feature's bins, NaN after the last; with ``embedding="piecewise"``.
    {shared attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sktraffic.neural_network import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier(hidden_sizes=(32, 32), random_state=0)
    >>> bool(clf.fit(X, y).score(X, y) > 0.9)
    True
    """

    hidden_sizes: tuple = parameter((256, 256), "array-like", kw_only=False)
    activation: str = parameter("relu", StrOptions(set(ACTIVATIONS)))
    dropout: float = parameter(0.1, SHARE)
    n_members: int = parameter(3, COUNT)
    lr: float = 0.004
    batch_size: int | None = 128
    max_epochs: int = 25
    warmup_ratio: float = 0.1
    early_stopping: bool = False

    def _without_effect(self):
        yield from super()._without_effect()
        if self.embedding == "linear":
            yield "n_members", "embedding='linear'"

    def _build_module(self, n_features, n_classes):
        check_sizes("hidden_sizes", self.hidden_sizes)
        sizes = self.hidden_sizes, self.activation, self.dropout
        if self.embedding == "linear":
            return MLP(n_features, n_classes, *sizes)
        return WideMLP(self._encoding(), n_classes, *sizes, self.n_members)
