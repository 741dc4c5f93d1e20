"""Devices, precision, seeds and weights: what a fit runs on and leaves behind."""

import os
from contextlib import nullcontext

import numpy as np
import torch

#: What a network computes in, by the name that the estimators take.
DTYPES = {"float32": torch.float32, "bfloat16": torch.float32, "float64": torch.float64}

if hasattr(os, "register_at_fork"):
    # a forked child has the parent's thread pool but none of its threads, and would wait for them
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def resolve_device(device):
    """Turn "auto", "cpu", "cuda" or "cuda:1" into a torch.device that exists.

    "auto" is the first CUDA device where there is one that this process can use, and the CPU
    otherwise: in a child that was forked from a process that uses one, say.
    """
    if device == "auto":
        return torch.device("cuda" if _cuda_works() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N', got {device!r}."
        ) from error
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device={device!r} was asked for, but torch sees {torch.cuda.device_count()} CUDA "
            "devices. Pass device='auto' to use one where there is one, or device='cpu'."
        )
    return resolved


def _cuda_works():
    if not torch.cuda.is_available():
        return False
    try:
        torch.cuda.init()
    except RuntimeError:  # no forked child can use what its parent has begun
        return False
    return True


def usable_device(device):
    """As `resolve_device`, but the CPU where a fitted model's device is not on this machine."""
    try:
        return resolve_device(device)
    except ValueError:
        return torch.device("cpu")


def autocast(precision, device):
    """Context in which a forward pass runs in bfloat16 where asked for; weights stay float32."""
    if precision == "bfloat16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def draw_seed(random_state):
    """Seed of one fit.

    None takes fresh entropy instead of NumPy's global generator, so that a fit leaves that
    generator where it was; a ``RandomState`` is the caller's to advance.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(np.iinfo(np.int32).max))
    return int(random_state)


def derive_seed(seed, *path):
    """Independent seed for a part of a fit, such as the cut, the sampler or one member."""
    return int(np.random.SeedSequence([seed, *path]).generate_state(1)[0] >> 1)


def to_numpy_state(module):
    """Weights and buffers of a module as new NumPy arrays by name.

    bfloat16, which NumPy lacks, becomes float32: exact, and back again on loading.
    """
    return {name: _to_array(value) for name, value in _plain(module).state_dict().items()}


def _plain(module):
    """Return the module inside a compiled one, which names its weights otherwise."""
    return getattr(module, "_orig_mod", module)


def _to_array(value):
    value = value.detach().cpu()
    value = value.float() if value.dtype is torch.bfloat16 else value
    return np.array(value.numpy())


def load_numpy_state(module, weights):
    """Put arrays of `to_numpy_state` into a module of the same architecture."""
    state = {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}
    _plain(module).load_state_dict(state)
