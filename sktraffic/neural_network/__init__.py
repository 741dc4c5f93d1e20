"""Neural classifiers that behave as scikit-learn's own."""

from sktraffic._extras import require

require("neural", "sktraffic.neural_network")

from sktraffic.neural_network._base import BaseTorchClassifier
from sktraffic.neural_network._bigru_da_bert import BiGRUDABert
from sktraffic.neural_network._cnn_lstm import CNNLSTM
from sktraffic.neural_network._deep_packet_cnn import DeepPacketCNN
from sktraffic.neural_network._deep_packet_sae import DeepPacketSAE
from sktraffic.neural_network._ensemble import TransformerEnsemble
from sktraffic.neural_network._masked_byte_model import MaskedByteModel
from sktraffic.neural_network._mlp import MLPClassifier
from sktraffic.neural_network._onnx import network_to_onnx
from sktraffic.neural_network._packet_sequence import PacketSequenceClassifier
from sktraffic.neural_network._sequence_encoder import SequenceEncoder

__all__ = [
    "CNNLSTM",
    "BaseTorchClassifier",
    "BiGRUDABert",
    "DeepPacketCNN",
    "DeepPacketSAE",
    "MLPClassifier",
    "MaskedByteModel",
    "PacketSequenceClassifier",
    "SequenceEncoder",
    "TransformerEnsemble",
    "network_to_onnx",
]
