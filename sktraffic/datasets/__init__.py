"""Captures with labels: the user's own, bundled ones, public sets."""

from sktraffic.datasets._captures import load_captures
from sktraffic.datasets._download import get_data_home
from sktraffic.datasets._iscx import fetch_iscx_vpn2016
from sktraffic.datasets._iscx_flows import fetch_iscx_vpn2016_flows
from sktraffic.datasets._lab import lab_captures, load_lab_sessions
from sktraffic.datasets._label_rules import label_sessions, read_label_rules
from sktraffic.datasets._listing import find_captures, split_captures
from sktraffic.datasets._ustc import fetch_ustc_tfc2016

__all__ = [
    "fetch_iscx_vpn2016",
    "fetch_iscx_vpn2016_flows",
    "fetch_ustc_tfc2016",
    "find_captures",
    "get_data_home",
    "lab_captures",
    "label_sessions",
    "load_captures",
    "load_lab_sessions",
    "read_label_rules",
    "split_captures",
]
