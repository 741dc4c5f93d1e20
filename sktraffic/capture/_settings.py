"""What shapes a session table."""

from dataclasses import dataclass

from sktraffic.packets import compile_filter

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """The parameters of SessionExtractor of the same names."""

    idle_timeout: int = 120
    active_timeout: int = 1800
    end_on: str = "timeout"
    key: str = "five_tuple"
    vlan_in_key: bool = True
    size: str = "ip"
    max_packets: int | None = None
    messages: bool = True
    n_bytes: int = 256
    n_byte_packets: int = 4
    headers: bool = False
    n_dissections: int = 20
    bpf_filter: str | None = None
    decode_tunnels: bool = True
    join_fragments: bool = True
    drop_duplicates: bool = False

    @property
    def dissections(self):
        """Packets of a session that nDPI may see: no more than the table may."""
        return min(self.n_dissections, self.max_packets or self.n_dissections)

    def packet_filter(self):
        """Compile `bpf_filter`; None where there is none. Raises ValueError about the filter."""
        return None if self.bpf_filter is None else compile_filter(self.bpf_filter)
