"""Masked-token pre-training and what is read off the network after it: plain functions."""

import time
from functools import partial

import torch
import torch.nn.functional as F

from sktraffic.neural_network._runtime import autocast
from sktraffic.neural_network._schedule import warmup_decay
from sktraffic.nn import masked_mean

_PREDICT_ROWS = 256


def widen(x):
    """Return bfloat16 as float32, the rest as it is."""
    return x.float() if x.dtype is torch.bfloat16 else x


class MaskedTraining:
    """Training of a `MaskedByteNet`, an epoch at a time.

    Parameters
    ----------
    module : sktraffic.nn.MaskedByteNet
        Changed in place, on the device where it is.
    tokens : Tensor of shape (N, T), int64
        On the CPU.
    mask : callable
        Tokens (B, T) and a generator -> inputs (B, T), chosen (B, T).
    params : dict
        Of the estimator.
    seed : int
        Of the order and the masks.
    """

    def __init__(self, module, tokens, mask, params, seed):
        self.module, self.tokens, self.mask = module, tokens, mask
        self.batch_size, self.precision = params["batch_size"], params["precision"]
        self.order = torch.Generator().manual_seed(seed)
        self.optimizer = torch.optim.AdamW(
            module.parameters(), lr=params["lr"], weight_decay=params["weight_decay"]
        )
        n_steps = params["max_epochs"] * -(-len(tokens) // self.batch_size)
        factor = partial(warmup_decay, n_steps=n_steps, warmup_ratio=params["warmup_ratio"])
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, factor)
        module.train()

    def epoch(self):
        """Train on all tokens once.

        Returns
        -------
        dict
            ``train_loss``, ``train_accuracy``, ``dur``.
        """
        begin = time.perf_counter()
        sums = torch.zeros(3, dtype=torch.float64)
        for rows in torch.randperm(len(self.tokens), generator=self.order).split(self.batch_size):
            tokens = self.tokens[rows]
            inputs, chosen = self.mask(tokens, self.order)
            sums += _step(
                self.module, inputs, chosen, tokens[chosen], self.optimizer, self.precision
            )
            self.schedule.step()
        loss, hits, count = sums.tolist()
        return {
            "train_loss": loss / count,
            "train_accuracy": hits / count,
            "dur": time.perf_counter() - begin,
        }


def run_masked_training(training, history, max_epochs, at_end):
    """Train to the end, adding each epoch to a history.

    Parameters
    ----------
    training : MaskedTraining
    history : list of dict
        Empty; changed in place.
    max_epochs : int
    at_end : callable
        Called with an epoch's row; a true result stops the training.
    """
    stop = False
    while not stop and len(history) < max_epochs:
        history.append({"epoch": len(history) + 1, **training.epoch()})
        stop = bool(at_end(history[-1]))


def embeddings(module, tokens, precision):
    """Mean of BERT's outputs over the tokens of each row: (N, T) -> (N, hidden_size)."""
    device, parts = next(module.parameters()).device, []
    with torch.inference_mode(), autocast(precision, device):
        for part in tokens.split(_PREDICT_ROWS):
            hidden, mask = module.encode(part.to(device))
            parts.append(masked_mean(widen(hidden), mask).cpu())
    return torch.cat(parts)


def share_named(module, tokens, mask, precision):
    """Share of hidden tokens that the network names, for the same masks at every call."""
    device = next(module.parameters()).device
    generator, hits, count = torch.Generator().manual_seed(0), 0, 0
    with torch.inference_mode(), autocast(precision, device):
        for part in tokens.split(_PREDICT_ROWS):
            inputs, chosen = mask(part, generator)
            logits = module(inputs.to(device), chosen.to(device))
            hits += (logits.argmax(dim=-1).cpu() == part[chosen]).sum().item()
            count += int(chosen.sum())
    return hits / max(count, 1)


def _step(module, inputs, chosen, target, optimizer, precision):
    """Make one optimiser step; returns summed loss, hits and number of hidden tokens M."""
    device = next(module.parameters()).device
    target = target.to(device)  # (M,)
    with autocast(precision, device):
        logits = widen(module(inputs.to(device), chosen.to(device)))  # (M, vocab_size)
    loss = F.cross_entropy(logits, target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    hits = (logits.argmax(dim=-1) == target).sum()
    return torch.stack([loss.detach() * len(target), hits, hits.new_tensor(len(target))]).cpu()
