"""Residual convolutions over the first packets of a session, statistics beside them."""

import torch
import torch.nn.functional as F
from torch import nn

from sktraffic.nn._dropout import BitDropout
from sktraffic.nn._packet_augment import (
    drop_packets,
    jitter_intervals,
    merge_packets,
    random_start,
)

LARGEST = 1500  # bytes; larger packets share one embedding


class PacketEmbedding(nn.Module):
    """Numbers of each packet as a vector: size, interval, direction, flags, message, place.

    Parameters
    ----------
    n_packets : int
        T.
    channels : sequence of str
        What a packet's C numbers are: "signed_size" (bytes) and "iat" (s), then any of
        "payload_size" (bytes), "flags" (an eight-bit number) and "message" (an id from 0).
    size_embedding : int, default=32
        Width of the learned embedding of each signed size; 0 leaves the logarithm only.
    n_messages : int, default=0
        Message ids.
    size_dropout : float, default=0.3
        Probability in training that a packet's size embedding is hidden; its logarithm stays.

    Notes
    -----
    Shape: (B, T, C) -> (B, T, width).
    """

    def __init__(self, n_packets, channels, size_embedding=32, n_messages=0, size_dropout=0.3):
        super().__init__()
        self.channels, self.size_dropout = tuple(channels), size_dropout
        self.size = self.message = None
        self.place = nn.Parameter(torch.zeros(n_packets, 8))
        self.width = 3 + 8
        if size_embedding:
            self.size = nn.Embedding(2 * LARGEST + 2, size_embedding)
            nn.init.normal_(self.size.weight, std=0.3)
            self.width += size_embedding
        if "payload_size" in channels:
            self.width += 1
        if "flags" in channels:
            self.width += 8
        if "message" in channels:
            self.message = nn.Embedding(n_messages, 16)
            nn.init.normal_(self.message.weight, std=0.3)
            self.width += 16

    def forward(self, x):
        """Embed packets."""
        size, iat = x[:, :, 0], x[:, :, 1]
        log_size = size.sign() * size.abs().log1p() / 8
        numbers = [log_size, size.sign(), (iat.clamp(min=0) * 1e6).log1p() / 10]
        if "payload_size" in self.channels:
            numbers.append(x[:, :, self.channels.index("payload_size")].log1p() / 8)
        parts = [torch.stack(numbers, dim=2), self.place.expand(len(x), -1, -1)]
        if "flags" in self.channels:
            flags = x[:, :, self.channels.index("flags")].long()
            bits = 2 ** torch.arange(8, device=x.device)
            parts.append((flags[:, :, None] & bits != 0).to(x.dtype))
        if self.size is not None:
            parts.append(self.size(self._size_ids(size)))
        if self.message is not None:
            parts.append(self.message(x[:, :, self.channels.index("message")].long()))
        return torch.cat(parts, dim=2)

    def _size_ids(self, size):
        """Row of each signed size; the last is that of hidden ones."""
        ids = size.round().clamp(-LARGEST, LARGEST).long() + LARGEST
        if self.training and self.size_dropout:
            hidden = torch.rand(ids.shape, device=ids.device) < self.size_dropout
            ids = ids.masked_fill(hidden, 2 * LARGEST + 1)
        return ids


class ResidualBlock(nn.Module):
    """x + conv(dropout(act(norm(conv(act(norm(x))))))): pre-activation, masked before each.

    He et al., "Identity mappings in deep residual networks", ECCV 2016, figure 1b.

    Notes
    -----
    Shape: (B, C, 1, T) -> (B, C, 1, T), with a mask (B, 1, 1, T). Two dimensions, channels last in
    memory: torch's convolutions of one dimension are slower.
    """

    def __init__(self, n_channels, kernel_size, dropout):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(n_channels) for _ in range(2))
        self.convs = nn.ModuleList(
            nn.Conv2d(n_channels, n_channels, (1, kernel_size), padding="same") for _ in range(2)
        )
        self.dropout = BitDropout(dropout)

    def forward(self, x, mask):
        """Add what the two convolutions say."""
        h = self.convs[0](F.gelu(self.norms[0](x)) * mask)
        return x + self.convs[1](self.dropout(F.gelu(self.norms[1](h)) * mask))


class PacketSequenceNet(nn.Module):
    """Classify sessions by their first packets and by statistics of the whole.

    After the 30-packet convolutional network of Luxemburk, Hynek and others (arXiv 2502.12930):
    embedded sizes, residual convolutions, generalised-mean pooling (Radenovic et al., 2019, eq.
    3) beside the maximum, flow statistics joined before the head. After half of the blocks
    neighbouring packets are averaged in pairs: the rest costs half.

    Parameters
    ----------
    n_classes : int
        K.
    n_packets : int
        T.
    channels : sequence of str
        See `PacketEmbedding`.
    n_statistics : int, default=0
        S, standardised statistics of a session.
    n_cuts : int, default=0
        Cuts in training: a row holds the number of packets and the statistics of each.
    n_messages, size_embedding, size_dropout
        Of `PacketEmbedding`.
    n_channels, n_blocks, kernel_size, dropout
        Of the residual blocks.
    jitter, packet_loss, packet_merge, late_start : float
        Changes of the sequences in training.
    head : {"linear", "cosine"}, default="linear"

    Notes
    -----
    Shape: (B, T * C + S) -> (B, K), logits; behind the statistics a row may hold the cuts.

    Examples
    --------
    >>> import torch
    >>> from sktraffic.nn import PacketSequenceNet
    >>> net = PacketSequenceNet(n_classes=3, n_packets=2, n_channels=8)
    >>> rows = torch.tensor([[60.0, 0.0, -1500.0, 0.1], [90.0, 0.0, 0.0, 0.0]])
    >>> net(rows).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        n_classes,
        n_packets,
        channels=("signed_size", "iat"),
        n_statistics=0,
        n_cuts=0,
        *,
        n_messages=0,
        size_embedding=32,
        n_channels=128,
        n_blocks=4,
        kernel_size=3,
        dropout=0.3,
        size_dropout=0.3,
        jitter=0.1,
        packet_loss=0.1,
        packet_merge=0.0,
        late_start=0.0,
        head="linear",
    ):
        super().__init__()
        self.n_packets, self.channels, self.n_statistics = n_packets, tuple(channels), n_statistics
        self.n_cuts = n_cuts
        self.rates = jitter, packet_loss, packet_merge, late_start
        self.embedding = PacketEmbedding(
            n_packets, channels, size_embedding, n_messages, size_dropout
        )
        self.stem = nn.Conv2d(self.embedding.width, n_channels, (1, kernel_size), padding="same")
        self.blocks = nn.ModuleList(
            ResidualBlock(n_channels, kernel_size, dropout / 2) for _ in range(n_blocks)
        )
        self.norm = nn.BatchNorm2d(n_channels)
        self.power = nn.Parameter(torch.tensor(3.0))
        width = 2 * n_channels
        self.statistics = None
        if n_statistics:
            self.statistics = nn.Sequential(
                nn.Linear(n_statistics, 128), nn.GELU(), BitDropout(dropout),
                nn.Linear(128, 64), nn.GELU(),
            )  # fmt: skip
            width += 64
        self.join = nn.Sequential(
            nn.Linear(width, 256), nn.LayerNorm(256), nn.GELU(), BitDropout(dropout)
        )
        self.head = CosineHead(256, n_classes) if head == "cosine" else nn.Linear(256, n_classes)

    def forward(self, x):
        """Rows (B, T * C + S [+ cuts * (1 + S)]) -> logits (B, K)."""
        return self.head(self.embed(x))

    def embed(self, x):
        """Rows -> embeddings (B, 256)."""
        n_sequence = self.n_packets * len(self.channels)
        sequence = x[:, :n_sequence].unflatten(1, (self.n_packets, len(self.channels)))
        statistics = x[:, n_sequence : n_sequence + self.n_statistics]
        if self.training:
            if self.n_cuts:
                sequence, statistics = self._cut(
                    sequence, statistics, x[:, n_sequence + self.n_statistics :]
                )
            sequence = self._augment(sequence)
        mask = (sequence[:, :, 0] != 0)[:, None, None].to(x.dtype)  # (B, 1, 1, T)
        # (B, T, width) -> (B, width, 1, T), channels last in memory
        h = self.stem(self.embedding(sequence).transpose(1, 2).unsqueeze(2) * mask)
        for i, block in enumerate(self.blocks):
            if i and i == len(self.blocks) // 2:
                h, mask = halve(h, mask)
            h = block(h, mask)
        pooled = [self._pool(F.gelu(self.norm(h)), mask)]
        if self.statistics is not None:
            pooled.append(self.statistics(statistics))
        return self.join(torch.cat(pooled, dim=1))

    def _pool(self, h, mask):
        """Maximum and generalised mean over the packets: (B, C, 1, T) -> (B, 2 C)."""
        count = mask.sum(dim=3).clamp(min=1)
        largest = h.masked_fill(mask == 0, -torch.inf).amax(dim=3)
        largest = torch.where(mask.amax(dim=3) > 0, largest, 0)
        power = self.power.clamp(1, 10)
        # the root has no gradient at 0
        mean = ((h.clamp(min=1e-4) ** power * mask).sum(dim=3) / count).clamp(min=1e-12)
        return torch.cat([largest, mean ** (1 / power)], dim=1).flatten(1)

    def _augment(self, sequence):
        jitter, loss, merge, late = self.rates
        if late:
            sequence = random_start(sequence, late)
        if loss:
            sequence = drop_packets(sequence, loss)
        if merge:
            sequence = merge_packets(sequence, merge)
        return jitter_intervals(sequence, jitter) if jitter else sequence

    def _cut(self, sequence, statistics, cuts):
        """Cut each second session at one of the cuts, drawn for each row."""
        cuts = cuts.unflatten(1, (self.n_cuts, 1 + self.n_statistics))
        drawn = torch.randint(2 * self.n_cuts, (len(cuts),), device=cuts.device)
        whole = drawn >= self.n_cuts
        chosen = cuts[torch.arange(len(cuts), device=cuts.device), drawn % self.n_cuts]
        place = torch.arange(self.n_packets, device=cuts.device)
        kept = whole[:, None] | (place < chosen[:, :1])
        return (
            sequence * kept[:, :, None],
            torch.where(whole[:, None], statistics, chosen[:, 1:]),
        )


def halve(h, mask):
    """Mean of each two neighbouring packets, of those that are there.

    Parameters
    ----------
    h : Tensor of shape (B, C, 1, T)
    mask : Tensor of shape (B, 1, 1, T)

    Returns
    -------
    h : Tensor of shape (B, C, 1, ceil(T / 2))
    mask : Tensor of shape (B, 1, 1, ceil(T / 2))
        1 where one of the two is there.
    """
    share = F.avg_pool2d(mask, (1, 2), ceil_mode=True)
    h = F.avg_pool2d(h * mask, (1, 2), ceil_mode=True) / share.clamp(min=0.5)
    return h, (share > 0).to(mask.dtype)


class CosineHead(nn.Module):
    """Cosine of an embedding and each class's direction, times a learned scale.

    Notes
    -----
    Shape: (B, D) -> (B, K).
    """

    def __init__(self, n_features, n_classes):
        super().__init__()
        self.in_features, self.out_features = n_features, n_classes
        self.weight = nn.Parameter(torch.empty(n_classes, n_features))
        nn.init.normal_(self.weight)
        self.scale = nn.Parameter(torch.tensor(2.7))  # exp: about 15

    def forward(self, x):
        """Compare directions."""
        return F.normalize(x, dim=1) @ F.normalize(self.weight, dim=1).T * self.scale.exp()
