"""Devices, precision and random states: what a fit may use and must leave as it was."""

import random
from contextlib import contextmanager, nullcontext

import numpy as np
import torch

#: What a network computes in, by the name that the estimators take.
DTYPES = {"float32": torch.float32, "bfloat16": torch.float32, "float64": torch.float64}


def resolve_device(device):
    """Turn "auto", "cpu", "cuda" or "cuda:1" into a torch.device that exists.

    "auto" is the first CUDA device where there is one, and the CPU otherwise.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
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


@contextmanager
def isolated_rng(seed, device):
    """Run with freshly seeded global generators and put the caller's states back afterwards.

    Dropout and initialisation draw from torch's default generators; a sampler or a user's
    callback may draw from NumPy's or Python's. ``torch.manual_seed`` is not used: it would
    reach every CUDA device, also those that are not ours to put back.
    """
    states = generator_states(device)
    try:
        for generator in _torch_generators(device):
            generator.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        yield
    finally:
        set_generator_states(states, device)


def _torch_generators(device):
    """Torch's default generators of the CPU and, where that is another, of the device."""
    generators = [torch.default_generator]
    if device.type == "cuda":
        torch.cuda.init()
        index = torch.cuda.current_device() if device.index is None else device.index
        generators.append(torch.cuda.default_generators[index])
    return generators


def generator_states(device):
    """States of torch's, NumPy's and Python's global generators, as tensors and plain values."""
    name, key, *rest = np.random.get_state()
    return {
        "torch": [generator.get_state() for generator in _torch_generators(device)],
        "numpy": (name, key.tolist(), *rest),
        "python": random.getstate(),
    }


def set_generator_states(states, device):
    """Put the global generators where `generator_states` found them."""
    for generator, state in zip(_torch_generators(device), states["torch"], strict=True):
        generator.set_state(state)
    np.random.set_state(states["numpy"])
    random.setstate(states["python"])


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
