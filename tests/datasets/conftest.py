"""Captures of a few packets, made byte by byte, and a server that can fail."""

import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

A, B = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])


def ipv4(source, destination, ports, payload=b"", flags=0x18, protocol=6):
    """Make an IPv4 packet with a TCP or UDP header."""
    transport = struct.pack(">HH", *ports)
    if protocol == 6:
        transport += struct.pack(">IIBBHHH", 1, 1, 0x50, flags, 1000, 0, 0)
    else:
        transport += struct.pack(">HH", 8 + len(payload), 0)
    total = 20 + len(transport) + len(payload)
    head = struct.pack(">BBHHHBBH", 0x45, 0, total, 7, 0, 64, protocol, 0)
    return head + source + destination + transport + payload


def ipv6(source, destination, ports, payload=b""):
    """Make an IPv6 packet with a UDP header."""
    udp = struct.pack(">HHHH", *ports, 8 + len(payload), 0)
    return (
        struct.pack(">IHBB", 6 << 28, len(udp + payload), 17, 64)
        + source
        + destination
        + (udp + payload)
    )


def pcap(frames, link=1, order=">", nanoseconds=False, start=100):
    """Make a pcap file; a frame a second. `frames` are bytes, or pairs of time and bytes."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for number, frame in enumerate(frames):
        time, data = frame if isinstance(frame, tuple) else (start + number, frame)
        tick = 1e9 if nanoseconds else 1e6
        part = round((time - int(time)) * tick)
        out += struct.pack(order + "IIII", int(time), part, len(data), len(data)) + data
    return out


def ethernet(packet, kind=0x0800, vlan=None):
    """Put an Ethernet header in front, and pad to 60 bytes as cards do."""
    tag = b"" if vlan is None else struct.pack(">HH", 0x8100, vlan)
    return (bytes(12) + tag + struct.pack(">H", kind) + packet).ljust(60, b"\x55")


@pytest.fixture
def make():
    """Functions that make packets, frames and captures."""

    class Make:
        a, b = A, B

    for function in (ipv4, ipv6, pcap, ethernet):
        setattr(Make, function.__name__, staticmethod(function))
    return Make


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files`; cuts, ignores ranges or fails as the test says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answer, and note what was asked for."""
        server = self.server
        server.requests.append((self.path, dict(self.headers)))
        if server.statuses:
            return self.send_error(server.statuses.pop(0))
        if self.path not in server.files:
            return self.send_error(404)
        body, asked = server.files[self.path], self.headers.get("Range")
        validator = self.headers.get("If-Range", server.etag)
        start = 0
        if asked and server.ranges and validator == server.etag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if server.etag:
            self.send_header("ETag", server.etag)
        if server.says_length:
            self.send_header("Content-Length", str(len(body) - start))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        stop = len(body)
        if server.cuts:
            stop = server.cuts.pop(0)
        self.wfile.write(body[start:stop])
        self.wfile.flush()
        if stop < len(body):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def server():
    """Serve files over HTTP on this machine, as badly as asked to."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.files, server.requests, server.statuses, server.cuts = {}, [], [], []
        server.ranges, server.etag, server.says_length = True, '"one"', True
        server.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def no_network(monkeypatch):
    """Make every attempt to reach another machine fail the test."""

    def forbidden(*args, **kwargs):
        raise AssertionError(f"the network was touched: {args}")

    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, forbidden)
    monkeypatch.setattr(socket.socket, "connect", forbidden)
