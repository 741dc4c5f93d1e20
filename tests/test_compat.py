"""What stands in where scikit-learn is older than what the package can use."""

import numpy as np
import pytest
import sklearn
from sklearn.utils.fixes import parse_version

import sktraffic._compat as compat

NO_CALLBACKS = parse_version(sklearn.__version__) < parse_version("1.9")


def test_every_name_is_there():
    """Private names that moved would be found here first, the late ones too."""
    for name in compat.__all__:
        assert getattr(compat, name) is not None


@pytest.mark.skipif(not NO_CALLBACKS, reason="this scikit-learn has callbacks")
@pytest.mark.neural
def test_setting_a_callback_says_what_it_needs():
    """One sentence: the release that has callbacks, and the one that is here."""
    from sktraffic.neural_network import MLPClassifier

    with pytest.raises(NotImplementedError, match=r"need scikit-learn 1\.9 or later; 1\.\d"):
        MLPClassifier().set_callbacks(object())


@pytest.mark.skipif(not NO_CALLBACKS, reason="this scikit-learn has callbacks")
@pytest.mark.neural
def test_members_are_fitted_without_callbacks():
    """Epochs, members and ensembles run through the context that tells nobody."""
    from sktraffic.neural_network import TransformerEnsemble

    X, y = np.linspace(0, 1, 40)[:, np.newaxis], np.repeat(["web", "vpn"], 20)
    small = {"d_token": 8, "n_heads": 2, "n_layers": 1, "d_hidden": 8, "max_epochs": 3}
    clf = TransformerEnsemble(2, **small, early_stopping=False, random_state=0).fit(X, y)
    assert clf.n_epochs_.tolist() == [3, 3] and clf.predict(X).shape == (40,)
