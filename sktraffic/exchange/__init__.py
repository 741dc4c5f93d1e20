"""Tables of other tools as session tables, and session tables that can be given away."""

from sktraffic.exchange._anonymise import anonymise
from sktraffic.exchange._cicflowmeter import read_cicflowmeter
from sktraffic.exchange._frame import TableWarning
from sktraffic.exchange._nfdump import read_nfdump
from sktraffic.exchange._nfstream import read_nfstream
from sktraffic.exchange._sequences import read_packet_sequences
from sktraffic.exchange._zeek import read_zeek

__all__ = [
    "TableWarning",
    "anonymise",
    "read_cicflowmeter",
    "read_nfdump",
    "read_nfstream",
    "read_packet_sequences",
    "read_zeek",
]
