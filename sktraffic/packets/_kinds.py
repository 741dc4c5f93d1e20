"""What a header in front of IP can be, and what ends the way to it."""

__all__ = ["CAUSES", "ETHERNET", "FOUND", "IP", "LINK_TYPE", "PPP"]

# EtherTypes, and the lengths that stand in their place up to 1500, are numbered as they are
LINK_TYPE, PPP, OTHER = 1 << 16, 2 << 16, 3 << 16
IP, LLC, MPLS, WIRELESS = (OTHER + number for number in range(4))
ETHERNET, PPP_FRAME = LINK_TYPE + 1, LINK_TYPE + 9
KINDS = 4 << 16

# what a walk ends with
FOUND = -1
NOT_IP, CUT, MALFORMED, ENCRYPTED, AGGREGATE, UNREAD_LINK, NO_INTERFACE = range(-2, -9, -1)
CAUSES = {
    NOT_IP: "not_ip",  # another protocol than IP
    CUT: "cut_header",  # the frame ends before the addresses of its IP header do
    MALFORMED: "malformed_ip",  # said to be IP, but of no known version
    ENCRYPTED: "encrypted_link",  # 802.11 or MACsec with encryption
    AGGREGATE: "aggregate",  # several packets in one 802.11 frame
    UNREAD_LINK: "unread_link_layer",  # a link type that is not read
    NO_INTERFACE: "no_interface",  # a pcapng record whose interface was never described
}
# what becomes of later fragments
LATER_FRAGMENT = "later_fragment"  # left out because they are not joined
TUNNEL_FRAGMENT = "tunnel_fragment"  # the rest of a tunnel's packet whose inner packet was counted
