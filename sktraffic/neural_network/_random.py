"""Random numbers that belong to one fit.

torch's layers draw initial weights and dropout from one global generator, which all threads of a
process share: fits in threads would disturb each other and the user. A `FitRandom` is a mode of
torch that holds for the thread that entered it and gives every function that draws a generator of
its own.
"""

import os
import threading

import numpy as np
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from sktraffic.nn import bit_dropout

_LOCK = threading.Lock()


class FitRandom(TorchFunctionMode):
    """Context in which what torch draws comes from generators of this object.

    Parameters
    ----------
    seed : int
        Of the generators, one for each device that is drawn on.

    Notes
    -----
    Functions that take a ``generator`` get one. Few have no such argument (attention with dropout
    on a GPU, dropout between the layers of torch's own GRU): for their call alone, and one thread
    at a time, torch's global generator is in the state of ours, and is then put back.

    Examples
    --------
    >>> import torch
    >>> from sktraffic.neural_network._random import FitRandom
    >>> with FitRandom(0):
    ...     one = torch.nn.Linear(2, 2)
    >>> with FitRandom(0):
    ...     two = torch.nn.Linear(2, 2)
    >>> torch.equal(one.weight, two.weight)
    True
    """

    def __init__(self, seed):
        self.seed = seed
        self._generators = {}
        self._bits = np.random.Generator(np.random.SFC64(seed))

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        draw = _DRAWS.get(func)
        if draw is None and getattr(func, "__name__", None) in _INITIALISERS:
            draw = _with_generator  # a wrapper, such as transformers puts around torch's own
        return func(*args, **kwargs) if draw is None else draw(self, func, args, kwargs)

    @staticmethod
    def device(args, kwargs):
        """Return the device of a call's tensor, or where a new tensor is to be."""
        tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor)]
        device = tensors[0].device if tensors else kwargs.get("device")
        return torch.get_default_device() if device is None else torch.device(device)

    def generator(self, device):
        """Return the generator on a device."""
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self._generators[device]

    def dropout(self, x, p):
        """Drop units of x, on the CPU with bits of NumPy."""
        generator = self._bits if x.device.type == "cpu" else self.generator(x.device)
        return bit_dropout(x, p, generator=generator)


def _with_generator(random, func, args, kwargs):
    """Call a function that takes a generator; tensors without data, on "meta", draw nothing."""
    device = random.device(args, kwargs)
    if kwargs.get("generator") is None and device.type != "meta":
        kwargs = {**kwargs, "generator": random.generator(device)}
    return func(*args, **kwargs)


def _swapped(random, func, args, kwargs):
    """Call a function that knows the global generator only, with that in the state of ours."""
    own = random.generator(random.device(args, kwargs))
    with _LOCK:
        shared = _shared_generator(own.device)
        before = shared.get_state()
        shared.set_state(own.get_state())
        try:
            return func(*args, **kwargs)
        finally:
            own.set_state(shared.get_state())
            shared.set_state(before)


def _shared_generator(device):
    """Torch's global generator of a device."""
    if device.type != "cuda":
        return torch.default_generator
    torch.cuda.init()
    index = torch.cuda.current_device() if device.index is None else device.index
    return torch.cuda.default_generators[index]


def _dropout(random, func, args, kwargs):
    """Dropout with a generator, on the CPU in its fast form, where that is possible."""
    x, p, training, inplace = _bound(args, kwargs, ("input", "p", "training", "inplace"))
    p, training = 0.5 if p is None else p, training is None or training
    if not training or p == 0:
        return func(*args, **kwargs)
    if inplace or p == 1:
        return _swapped(random, func, args, kwargs)
    return random.dropout(x, p)


def _attention(random, func, args, kwargs):
    """Scaled dot-product attention, written out on the CPU where its weights are dropped."""
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale")
    query, key, value, mask, p, is_causal, scale = _bound(args, kwargs, names)
    if not p:
        return func(*args, **kwargs)
    if query.device.type != "cpu" or is_causal or kwargs.get("enable_gqa"):
        return _swapped(random, func, args, kwargs)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    score = (query * scale) @ key.transpose(-2, -1)  # (..., T_query, T_key)
    if mask is not None:
        score = score.masked_fill(~mask, -torch.inf) if mask.dtype is torch.bool else score + mask
    return random.dropout(score.softmax(dim=-1), p) @ value


def _recurrent(random, func, args, kwargs):
    """Torch's own GRU, LSTM or RNN; only dropout between its layers draws."""
    packed = not isinstance(args[3], bool)  # (x, batch_sizes, hx, weights, ...) or (x, hx, ...)
    dropout, training = args[5 + packed : 7 + packed]
    if not (dropout and training):
        return func(*args, **kwargs)
    return _swapped(random, func, args, kwargs)


def _bound(args, kwargs, names):
    """Arguments by position or name; None for those not given."""
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    return [given.get(name) for name in names]


_T = torch.Tensor
_INITIALISERS = {"uniform_", "normal_", "kaiming_uniform_"}
_DRAWS = {
    **dict.fromkeys(
        (
            _T.uniform_, _T.normal_, _T.random_, _T.bernoulli_, _T.exponential_, _T.geometric_,
            _T.cauchy_, _T.log_normal_, _T.bernoulli, _T.multinomial, torch.bernoulli,
            torch.multinomial, torch.normal, torch.poisson, torch.rand, torch.randn, torch.randint,
            torch.randperm,
        ),
        _with_generator,
    ),
    **dict.fromkeys(
        (
            torch.rand_like, torch.randn_like, torch.randint_like, torch.dropout, torch.dropout_,
            torch.alpha_dropout, torch.feature_dropout, F.alpha_dropout, F.feature_alpha_dropout,
            F.dropout1d, F.dropout2d, F.dropout3d, F.rrelu, F.gumbel_softmax,
            F.multi_head_attention_forward,
        ),
        _swapped,
    ),
    F.dropout: _dropout,
    bit_dropout: lambda random, func, args, kwargs: random.dropout(*args),
    F.scaled_dot_product_attention: _attention,
    **dict.fromkeys((torch.gru, torch.lstm, torch.rnn_tanh, torch.rnn_relu), _recurrent),
}  # fmt: skip


def _new_lock():
    """Replace the lock in a forked child: a thread that is not there any more may hold it."""
    global _LOCK
    _LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)
