"""What packets say in their protocols: from their bytes, and from Wireshark's text.

Both give the same messages, ``"PROTOCOL: info"`` of a fixed vocabulary.
"""

from sktraffic.messages._reader import MessageReader
from sktraffic.messages._vocabulary import (
    CODES,
    MESSAGE_PROTOCOL,
    MESSAGE_PROTOCOLS,
    MESSAGES,
    PROTOCOLS,
    normalise_messages,
)

__all__ = [
    "CODES",
    "MESSAGES",
    "MESSAGE_PROTOCOL",
    "MESSAGE_PROTOCOLS",
    "PROTOCOLS",
    "MessageReader",
    "normalise_messages",
]
