"""Session tables to features: statistics, messages, packet sizes, packet sequences, bytes."""

from sktraffic.feature_extraction._byte_tokens import ByteTokens
from sktraffic.feature_extraction._packet_sizes import PacketSizeMatrix
from sktraffic.feature_extraction._parts import to_features
from sktraffic.feature_extraction._protocol_matrix import ProtocolMatrix
from sktraffic.feature_extraction._sequences import PacketSequences
from sktraffic.feature_extraction._session_features import SessionFeatures
from sktraffic.feature_extraction._session_statistics import SessionStatistics

__all__ = [
    "ByteTokens",
    "PacketSequences",
    "PacketSizeMatrix",
    "ProtocolMatrix",
    "SessionFeatures",
    "SessionStatistics",
    "to_features",
]
