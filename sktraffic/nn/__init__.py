"""Losses and modules in plain PyTorch; every tensor's shape is in its docstring."""

from sktraffic._extras import require

require("neural", "sktraffic.nn")

from sktraffic.nn._attention import DifferentialAttention, SoftmaxAttention, lambda_init
from sktraffic.nn._bert import BertEncoder
from sktraffic.nn._bigru import BiGRU
from sktraffic.nn._bigru_da_bert import BiGRUDABertNet
from sktraffic.nn._cnn_lstm import CNNLSTMNet
from sktraffic.nn._deep_packet import DeepPacketCNNNet, DeepPacketSAENet
from sktraffic.nn._dropout import BitDropout, bit_dropout
from sktraffic.nn._focal import FocalLoss, balanced_alpha, focal_loss
from sktraffic.nn._masked_lm import MaskedByteNet, mask_tokens
from sktraffic.nn._masking import masked_mean, padding_mask
from sktraffic.nn._mlp import ACTIVATIONS, MLP
from sktraffic.nn._packet_sequence import PacketSequenceNet
from sktraffic.nn._piecewise import PiecewiseLinearEncoding
from sktraffic.nn._stacked import stack_members, stacked_forward
from sktraffic.nn._tokens import FeatureTokenizer, GroupTokenizer
from sktraffic.nn._transformer import FeatureTransformer
from sktraffic.nn._wide import PeriodicEmbedding, WideMLP, member_mean

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "BertEncoder",
    "BiGRU",
    "BiGRUDABertNet",
    "BitDropout",
    "CNNLSTMNet",
    "DeepPacketCNNNet",
    "DeepPacketSAENet",
    "DifferentialAttention",
    "FeatureTokenizer",
    "FeatureTransformer",
    "FocalLoss",
    "GroupTokenizer",
    "MaskedByteNet",
    "PacketSequenceNet",
    "PeriodicEmbedding",
    "PiecewiseLinearEncoding",
    "SoftmaxAttention",
    "WideMLP",
    "balanced_alpha",
    "bit_dropout",
    "focal_loss",
    "lambda_init",
    "mask_tokens",
    "masked_mean",
    "member_mean",
    "padding_mask",
    "stack_members",
    "stacked_forward",
]
