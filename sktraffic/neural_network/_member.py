"""One feature-token transformer as an estimator: the member of an ensemble."""

from numbers import Integral, Real

from joblib import Parallel, delayed

from sktraffic._compat import Interval
from sktraffic.neural_network._base import BaseTorchClassifier
from sktraffic.nn import FeatureTransformer

_COUNT = Interval(Integral, 1, None, closed="left")


class TransformerMember(BaseTorchClassifier):
    """One member of a `TransformerEnsemble`, which documents the parameters.

    Examples
    --------
    >>> from sktraffic.neural_network import TransformerEnsemble
    >>> clf = TransformerEnsemble(d_token=8, n_heads=2, max_epochs=1, early_stopping=False)
    >>> clf.fit([[0.0], [1.0]], [0, 1]).members_[0].n_epochs_
    1
    """

    _parameter_constraints: dict = {
        **BaseTorchClassifier._parameter_constraints,
        "d_token": [_COUNT],
        "n_heads": [_COUNT],
        "n_layers": [Interval(Integral, 0, None, closed="left")],
        "d_hidden": [_COUNT],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        *,
        d_token=128,
        n_heads=8,
        n_layers=2,
        d_hidden=128,
        dropout=0.1,
        lr=0.001,
        batch_size=256,
        max_epochs=100,
        weight_decay=0.0,
        warmup_ratio=0.0,
        loss="focal",
        gamma=2.0,
        alpha=None,
        class_weight=None,
        weighted_sampling=False,
        resampler=None,
        validation_fraction=0.1,
        early_stopping=True,
        patience=15,
        monitor="f1_weighted",
        device="auto",
        precision="float32",
        random_state=None,
        verbose=0,
        warm_start=False,
        net_params=None,
    ):
        self.d_token = d_token
        self.n_heads = n_heads
        self.n_layers = n_layers
        self.d_hidden = d_hidden
        self.dropout = dropout
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.weight_decay = weight_decay
        self.warmup_ratio = warmup_ratio
        self.loss = loss
        self.gamma = gamma
        self.alpha = alpha
        self.class_weight = class_weight
        self.weighted_sampling = weighted_sampling
        self.resampler = resampler
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.patience = patience
        self.monitor = monitor
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start
        self.net_params = net_params

    def _build_module(self, n_features, n_classes):
        sizes = self.d_token, self.n_heads, self.n_layers, self.d_hidden
        return FeatureTransformer(n_features, n_classes, *sizes, self.dropout)


def fit_members(members, ensemble, data, context, n_jobs):
    """Fit the members of an ensemble; returns those fitted, fewer where Ctrl-C came.

    Parameters
    ----------
    members : list of TransformerMember
    ensemble : TransformerEnsemble
    data : tuple
        X, target, weight and groups of the ensemble's fit.
    context : CallbackContext
        Of the ensemble's fit.
    n_jobs : int or None
        Processes.

    Returns
    -------
    list of TransformerMember
    """
    jobs = [
        delayed(_fit_member)(member, ensemble, *data, context.subcontext("fit-member"))
        for member in members
    ]
    fitted = []
    try:
        for member in Parallel(n_jobs=n_jobs, return_as="generator")(jobs):
            fitted.append(member)
            if member._interrupted:
                break
    except KeyboardInterrupt:
        if not fitted:
            raise
    return fitted


def _fit_member(member, ensemble, X, target, weight, groups, context):
    """Fit one member, maybe in another process, as a subtask of the ensemble's fit."""
    with context.propagate_callback_context(member):
        context.call_on_fit_task_begin(estimator=ensemble, X=X, y=target)
        member.fit(X, target, sample_weight=weight, groups=groups)
    context.call_on_fit_task_end(estimator=ensemble, X=X, y=target)
    return member
