"""scikit-learn's own estimator checks, with no expected failure."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from sktraffic.neural_network import MLPClassifier, TransformerEnsemble

# One check demands that a row of weight two equals that row twice, to 1e-7: true of any rows in one
# batch, without dropout and validation part, and in float64.
EXACT = {"lr": 0.05, "early_stopping": False, "precision": "float64", "random_state": 0}


@parametrize_with_checks(
    [
        MLPClassifier(hidden_sizes=(16,), dropout=0.0, max_epochs=25, **embedding, **EXACT)
        for embedding in ({}, {"embedding": "linear"})
    ]
)
def test_mlp(estimator, check):
    """MLPClassifier is a scikit-learn classifier."""
    check(estimator)


@parametrize_with_checks(
    [
        TransformerEnsemble(
            2, d_token=8, n_heads=2, n_layers=1, d_hidden=16, dropout=0.0, max_epochs=15, **EXACT
        )
    ]
)
def test_ensemble(estimator, check):
    """TransformerEnsemble is a scikit-learn classifier."""
    check(estimator)
