"""What a fitted masked-token model holds: weights that travel, history, and their views."""

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sktraffic.neural_network._runtime import (
    DTYPES,
    isolated_rng,
    load_numpy_state,
    to_numpy_state,
    usable_device,
)
from sktraffic.nn import MaskedByteNet


class MaskedState:
    """Mixin in front of scikit-learn's base: the network, its making, pickling and history."""

    @property
    def module_(self):
        """The trained network, built from the stored weights where a pickle was loaded."""
        check_is_fitted(self)
        if "_module" not in self.__dict__:
            device = usable_device(self.device)
            with isolated_rng(0, device):
                module = self._build_module(device)
            load_numpy_state(module, self._weights)
            self._module = module.eval()
            del self._weights
        return self._module

    @property
    def history_(self):
        """One row an epoch: loss, masked accuracy, seconds."""
        check_is_fitted(self)
        return pd.DataFrame(self._history)

    @property
    def n_epochs_(self):
        """Number of epochs trained."""
        check_is_fitted(self)
        return len(self._history)

    @property
    def _n_features_out(self):
        return self._fit_params["hidden_size"]

    def _build_module(self, device):
        params = self._fit_params
        module = MaskedByteNet(
            params["vocab_size"],
            params["hidden_size"],
            params["n_layers"],
            params["n_heads"],
            params["intermediate_size"],
            params["max_length"],
            params["dropout"],
        )
        return module.to(device, DTYPES[params["precision"]])

    def _forget(self):
        """Drop what an earlier fit left."""
        for name in ("_module", "_weights"):
            self.__dict__.pop(name, None)

    def __sklearn_is_fitted__(self):
        """Whether there are weights."""
        return "_module" in self.__dict__ or "_weights" in self.__dict__

    def __getstate__(self):
        """State for pickling: the weights as NumPy arrays, so that no torch object is stored."""
        state = dict(super().__getstate__())
        module = state.pop("_module", None)
        if module is not None:
            state["_weights"] = to_numpy_state(module)
        return state
