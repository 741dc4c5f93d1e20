"""Several feature transformers at once, for prediction.

For one session a call into torch costs more than its arithmetic. So M members share each call
through batched products, and whatever does not depend on the input is computed beforehand:

- a layer norm's scale and shift go into the linear layer behind it;
- the class token is a feature that is always 0;
- the first layer's queries, keys and values need no product. A token is t = b + x w with a scalar
  x, so its norm is ((b - mean b) + x (w - mean w)) / s, where
  s^2 = var b + 2 x cov(b, w) + x^2 var w + eps,
  and its product with a matrix W is (b' + x w') / s, where b' and w' are the centred b and w
  times W.

Members with a tokenizer of another kind than `FeatureTokenizer`, in which a token is not one number
times one vector, each make their own tokens; what follows them is shared.
"""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from sktraffic.nn._tokens import FeatureTokenizer


def stack_members(modules):
    """Prepare equal `FeatureTransformer` modules for `stacked_forward`.

    Every weight of M members is stacked along a new first dimension, linear ones transposed to
    (M, in, out) for `baddbmm`, with what is constant at inference folded in.

    Parameters
    ----------
    modules : list of FeatureTransformer
        M modules of the same shape.

    Returns
    -------
    dict of str to Tensor
        Stacked weights, without gradient; ``"tokenizers"``, where they are not folded in, is a
        ModuleList.

    Examples
    --------
    >>> from sktraffic.nn import FeatureTransformer, stack_members
    >>> members = [FeatureTransformer(3, 2, d_token=8, n_heads=2) for _ in range(3)]
    >>> stack_members(members)["head.3.weight"].shape
    torch.Size([3, 128, 2])
    """
    with torch.no_grad():
        dtype = modules[0].class_token.dtype
        # in float64, so that what is folded does not round otherwise on more threads
        members = [_folded(copy.deepcopy(module).double()) for module in modules]
        stacked = {name: torch.stack([m[name] for m in members]).to(dtype) for name in members[0]}
    if "tokens.weight" not in stacked:
        stacked["tokenizers"] = nn.ModuleList(module.tokenizer for module in modules)
    return stacked


def _folded(module):
    """Inference weights of one member by name."""
    weights, simple = _folded_tokens(module)
    linear = {"head.0": (module.head[0], module.norm), "head.3": (module.head[3], None)}
    for i, layer in enumerate(module.layers):
        linear[f"{i}.qkv"] = layer.qkv, layer.norm1
        linear[f"{i}.out"] = layer.out, None
        linear[f"{i}.up"] = layer.up, layer.norm2
        linear[f"{i}.down"] = layer.down, None
    for name, (layer, norm) in linear.items():
        weight, bias = layer.weight.T, layer.bias
        if norm is not None:
            weight, bias = norm.weight[:, None] * weight, bias + norm.bias @ weight
        weights[f"{name}.weight"], weights[f"{name}.bias"] = weight.contiguous(), bias[None]
    if module.layers and simple:
        _fold_first(weights, module.layers[0].norm1.eps)
    return weights


def _folded_tokens(module):
    """Weights of one member's tokens, and whether each is one number times one vector."""
    tokenizer, first = module.tokenizer, module.class_token[None]
    if not isinstance(tokenizer, FeatureTokenizer):
        return {"first": first[None]}, False  # (1, 1, E)
    weight = torch.cat([torch.zeros_like(first), tokenizer.weight])[None]  # (1, F + 1, E)
    return {"tokens.weight": weight, "tokens.bias": torch.cat([first, tokenizer.bias])[None]}, True


def _fold_first(weights, eps):
    """Replace the first layer's product by what it makes of each feature's two vectors."""
    w, b = weights["tokens.weight"], weights["tokens.bias"]  # (1, T, E)
    w, b = w - w.mean(-1, keepdim=True), b - b.mean(-1, keepdim=True)
    product = weights.pop("0.qkv.weight")
    weights["first.weight"], weights["first.bias"] = w @ product, b @ product  # (1, T, 3E)
    # s^2 by powers of x, each (1, T, 1)
    weights["first.s0"] = b.square().mean(-1, keepdim=True) + eps
    weights["first.s1"] = 2 * (b * w).mean(-1, keepdim=True)
    weights["first.s2"] = w.square().mean(-1, keepdim=True)
    weights["first.shift"] = weights.pop("0.qkv.bias")[None]  # (1, 1, 3E)


def _first_qkv(stacked, x):
    """Compute queries, keys and values of the first layer: (B, T, 1) -> (M, B, T, 3E)."""
    variance = stacked["first.s0"] + x * (stacked["first.s1"] + x * stacked["first.s2"])
    product = torch.addcmul(stacked["first.bias"], x, stacked["first.weight"])
    return torch.addcmul(stacked["first.shift"], product, variance.rsqrt())


def stacked_forward(stacked, x, n_heads):
    """Logits of M members for the same batch, without dropout: (B, F) -> (M, B, K).

    Equal to calling each member in evaluation mode, up to rounding. The last layer goes on with
    the class token alone, since the head reads no other.

    Parameters
    ----------
    stacked : dict of str to Tensor
        From `stack_members`.
    x : Tensor of shape (B, F)
        Features.
    n_heads : int
        H, as the members have.

    Returns
    -------
    Tensor of shape (M, B, K)
        Logits of every member.

    Examples
    --------
    >>> import torch
    >>> from sktraffic.nn import FeatureTransformer, stack_members, stacked_forward
    >>> members = [FeatureTransformer(3, 2, d_token=8, n_heads=2).eval() for _ in range(3)]
    >>> x = torch.ones(4, 3)
    >>> together = stacked_forward(stack_members(members), x, n_heads=2)
    >>> torch.allclose(together[1], members[1](x), atol=1e-5)
    True
    """
    simple = "tokens.weight" in stacked
    if simple:
        x = F.pad(x, (1, 0))[:, :, None]  # (B, T, 1)
        tokens = torch.addcmul(stacked["tokens.bias"], x, stacked["tokens.weight"])
    else:
        tokens = torch.stack([tokenizer(x) for tokenizer in stacked["tokenizers"]])
        first = stacked["first"].expand(-1, x.shape[0], -1, -1)  # (M, B, 1, E)
        tokens = torch.cat([first, tokens], dim=2)
    n_members, _, length, width = tokens.shape
    tokens = tokens.view(n_members, -1, width)  # (M, B T, E)
    n_layers = sum(name.endswith(".up.weight") for name in stacked)
    for i in range(n_layers):
        shape, last = (length, n_heads, width // n_heads), i == n_layers - 1
        if i == 0 and simple:
            q, k, v = _heads(_first_qkv(stacked, x), shape, 3)
            q = q[:, :, :1] if last else q
        else:
            q, k, v = _qkv(stacked, f"{i}.qkv", _norm(tokens), shape, last)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        tokens = tokens[:, ::length] if last else tokens
        tokens = _rest_of_layer(stacked, f"{i}.", tokens, mixed.reshape(tokens.shape))
    tokens = tokens if n_layers else tokens[:, ::length]  # (M, B, E)
    return _linear(stacked, "head.3", torch.relu(_linear(stacked, "head.0", _norm(tokens))))


def _heads(x, shape, n):
    """Split n side by side into heads: (M, B T, n E) -> n times (M B, H, T, E / H)."""
    length, n_heads, size = shape
    return x.view(-1, length, n, n_heads, size).permute(2, 0, 3, 1, 4)


def _qkv(stacked, name, x, shape, last):
    """Compute queries, keys and values: (M, B T, E) -> (M B, H, T, E / H) each.

    In the last layer only the class token's query, since the head reads no other token.
    """
    if not last:
        return _heads(_linear(stacked, name, x), shape, 3)
    length, n_heads, size = shape
    weight, bias, width = stacked[f"{name}.weight"], stacked[f"{name}.bias"], n_heads * size
    q = torch.baddbmm(bias[..., :width], x[:, ::length], weight[..., :width])
    k, v = _heads(torch.baddbmm(bias[..., width:], x, weight[..., width:]), shape, 2)
    return q.view(-1, 1, n_heads, size).transpose(1, 2), k, v


def _linear(stacked, name, x):
    """(M, rows, in) -> (M, rows, out)."""
    return torch.baddbmm(stacked[f"{name}.bias"], x, stacked[f"{name}.weight"])


def _norm(x):
    """Layer norm whose scale and shift are in the next layer's weights."""
    return F.layer_norm(x, x.shape[-1:])


def _rest_of_layer(stacked, name, x, mixed):
    """Do what follows attention: (M, rows, E) twice -> (M, rows, E)."""
    x = x + _linear(stacked, f"{name}out", mixed)
    hidden = torch.relu_(_linear(stacked, f"{name}up", _norm(x)))
    return x + _linear(stacked, f"{name}down", hidden)
