"""Exports of Wireshark and tshark to packets, and to session tables."""

from sktraffic.wireshark._packets import ExportPackets, export_packets
from sktraffic.wireshark._read import read_wireshark

__all__ = ["ExportPackets", "export_packets", "read_wireshark"]
