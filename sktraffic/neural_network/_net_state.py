"""State of a net in the middle of its training, as tensors and plain values, and back."""

from skorch.callbacks import GradientNormClipping

from sktraffic.neural_network._runtime import generator_states, set_generator_states

#: Callbacks of skorch that carry nothing from one epoch to the next.
_STATELESS = (GradientNormClipping,)


def net_state(net):
    """Return what `load_net_state` needs to go on after the last epoch.

    Parameters
    ----------
    net : TensorNet
        After the end of an epoch.

    Returns
    -------
    dict
        Tensors of the net itself, not copies.
    """
    watch = net.watch
    rows = [{k: v for k, v in row.items() if k != "batches"} for row in net.history]
    return {
        "module": dict(net.module_.state_dict()),
        "criterion": dict(net.criterion_.state_dict()),
        "optimizer": net.optimizer_.state_dict(),
        "history": [{k: getattr(v, "item", lambda v=v: v)() for k, v in r.items()} for r in rows],
        "step": net._step,
        "stop": net.stop_,
        "order": net.generator.get_state(),
        "generators": generator_states(net.device),
        "best": (watch.best_score, watch.best_epoch, watch.best_weights),
    }


def load_net_state(net, state):
    """Put a net of the same kind where another was when `net_state` was taken of it."""
    net.module_.load_state_dict(state["module"])
    net.criterion_.load_state_dict(state["criterion"])
    net.optimizer_.load_state_dict(state["optimizer"])
    for row in state["history"]:
        net.history.append({**row, "batches": []})
    net._step, net.stop_ = state["step"], state["stop"]
    net.watch.best_score, net.watch.best_epoch, net.watch.best_weights = state["best"]
    net.generator.set_state(state["order"])
    set_generator_states(state["generators"], net.device)


def check_resumable(net_params):
    """Raise where skorch callbacks of the user keep what a state file does not hold."""
    for given in (net_params or {}).get("callbacks") or []:
        callback = given[-1] if isinstance(given, tuple) else given
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, _STATELESS):
            raise ValueError(
                f"net_params holds the callback {kind.__name__}, whose own state "
                "resumable_training does not keep. Leave it out, use the estimator's parameters "
                "(early_stopping, warmup_ratio, ...), or train without resumable_training."
            )
