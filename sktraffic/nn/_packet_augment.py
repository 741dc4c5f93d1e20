"""Random changes of packet sequences that leave their meaning: what another network would show.

A sequence is a tensor (B, T, C): channel 0 is the signed size in bytes (0 is no packet, and
packets stand first), channel 1 the seconds since the packet before; further channels are moved
with their packet.
"""

import torch


def jitter_intervals(x, rate):
    """Stretch all intervals of a session by one factor, and each by a small one of its own.

    Parameters
    ----------
    x : Tensor of shape (B, T, C)
    rate : float
        Standard deviation of the logarithm of a session's factor; a packet's own has a third.

    Returns
    -------
    Tensor of shape (B, T, C)
    """
    common = torch.randn(x.shape[0], 1, device=x.device)
    own = torch.randn(x.shape[:2], device=x.device) / 3
    x = x.clone()
    x[:, :, 1] *= torch.exp(rate * (common + own)).to(x.dtype)
    return x


def drop_packets(x, rate):
    """Lose packets; the interval after a lost one is the longer for it.

    Parameters
    ----------
    x : Tensor of shape (B, T, C)
    rate : float
        Probability that a packet is lost. The first of a session stays.

    Returns
    -------
    Tensor of shape (B, T, C)
    """
    lost = torch.rand(x.shape[:2], device=x.device) < rate
    lost[:, 0] = False
    return keep_packets(x, ~lost)


def merge_packets(x, rate):
    """Merge packets with the next of the same direction, as offloading in network cards does.

    Parameters
    ----------
    x : Tensor of shape (B, T, C)
    rate : float
        Probability that a packet that could be merged with its predecessor is.

    Returns
    -------
    Tensor of shape (B, T, C)
    """
    size = x[:, :, 0]
    merged = torch.zeros(size.shape, dtype=torch.bool, device=x.device)
    merged[:, 1:] = size[:, 1:] * size[:, :-1] > 0
    merged &= torch.rand(size.shape, device=x.device) < rate
    merged[:, 1:] &= ~merged[:, :-1].clone()  # a packet takes in one other at most
    moved = torch.where(merged, size, torch.zeros_like(size))
    x = x.clone()
    x[:, :-1, 0] += moved[:, 1:]
    return keep_packets(x, ~merged)


def random_start(x, rate, longest=3):
    """Leave out the first packets of some sessions, as a capture that begins late does.

    Parameters
    ----------
    x : Tensor of shape (B, T, C)
    rate : float
        Probability that a session starts late; one packet of it always stays.
    longest : int, default=3
        Most packets that are left out.

    Returns
    -------
    Tensor of shape (B, T, C)
    """
    n_packets = (x[:, :, 0] != 0).sum(dim=1)
    start = torch.randint(1, longest + 1, n_packets.shape, device=x.device)
    late = torch.rand(n_packets.shape, device=x.device) < rate
    start = torch.where(late, torch.minimum(start, (n_packets - 1).clamp(min=0)), 0)
    place = torch.arange(x.shape[1], device=x.device)
    x = keep_packets(x, place >= start[:, None])
    x[:, 0, 1] = 0.0  # nothing came before the first packet
    return x


def keep_packets(x, kept):
    """Keep some packets, in their order, at the front; time between them is not lost.

    Parameters
    ----------
    x : Tensor of shape (B, T, C)
    kept : Tensor of bool of shape (B, T)

    Returns
    -------
    Tensor of shape (B, T, C)
    """
    kept = kept & (x[:, :, 0] != 0)
    time = x[:, :, 1].cumsum(dim=1)
    # (B, T): the packets that stay, in order, then the others
    order = torch.argsort(~kept, dim=1, stable=True)
    there = torch.arange(x.shape[1], device=x.device) < kept.sum(dim=1, keepdim=True)
    x = x.gather(1, order[:, :, None].expand(x.shape)) * there[:, :, None]
    time = time.gather(1, order)
    first = time[:, :1] - x[:, :1, 1]
    x[:, :, 1] = torch.diff(time, dim=1, prepend=first) * there
    return x
