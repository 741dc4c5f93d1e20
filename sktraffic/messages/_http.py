"""HTTP messages over segments: where a request or response ends (RFC 9112, section 6)."""

import numpy as np

from sktraffic.messages._streams import OPEN
from sktraffic.messages._vocabulary import CODES
from sktraffic.packets import slices, window

__all__ = ["find_http_records"]

_LENGTH = np.frombuffer(b"content-length:", dtype=np.uint8)
_CODING = np.frombuffer(b"transfer-encoding:", dtype=np.uint8)
_TYPE = np.frombuffer(b"content-type:", dtype=np.uint8)
_RESPONSES = (CODES["HTTP: Response 1xx"], CODES["HTTP: Response 5xx"])
_INFORMATIONAL = CODES["HTTP: Response 1xx"]
_DIGITS = 12
_LINE = 20


def find_http_records(data, start, stop, length, code):
    """Say how long the HTTP messages are that begin at the beginning of segments.

    Parameters
    ----------
    data : ndarray of shape (n_bytes,), uint8
    start, stop : ndarray of shape (n,)
        Captured payload of the segments, rising.
    length : ndarray of shape (n,)
        Bytes of payload on the wire.
    code : ndarray of shape (n,), int16
        The messages' codes.

    Returns
    -------
    ndarray of shape (n,), int64
        Bytes from the first line to the end of the body. `OPEN` where the end must be awaited:
        the head is not complete, the body is chunked, or it lasts until the connection closes.
    """
    head, body, chunked, typed = _read_fields(data, start, stop)
    response = (code >= _RESPONSES[0]) & (code <= _RESPONSES[1])
    size = np.where(body >= 0, head + body, head)
    # Without a length a request has no body; a response of a content type lasts until the end.
    unknown = chunked | (response & typed & (body < 0) & (code != _INFORMATIONAL))
    size = np.where(unknown, OPEN, size)
    ends = window(data, np.maximum(stop - 4, start), stop, 4)
    closed = (ends == np.frombuffer(b"\r\n\r\n", dtype=np.uint8)).all(axis=1)
    size = np.where(chunked & closed & (head < length), length, size)
    # What lies beyond the captured bytes cannot be awaited.
    cut = stop - start < length
    return np.where(head < 0, np.where(cut, length, OPEN), size)


def _read_fields(data, start, stop):
    """Read the head's size (-1 if not complete), Content-Length, and which fields there are."""
    n = len(start)
    order = np.argsort(start)
    content, offsets = slices(data, start[order], stop[order])
    feed = np.flatnonzero(content == 10)
    packet = np.searchsorted(offsets, feed, side="right") - 1
    # an empty line, "\n\n" or "\n\r\n", ends the head
    left = offsets[packet + 1] - feed - 1  # bytes behind the line feed
    padded = np.append(content, np.zeros(2, np.uint8))
    bare = (padded[feed + 1] == 10) & (left >= 1)
    blank = bare | ((padded[feed + 1] == 13) & (padded[feed + 2] == 10) & (left >= 2))
    head = np.full(n, -1, dtype=np.int64)
    rows = np.flatnonzero(blank)[::-1]
    head[packet[rows]] = feed[rows] + np.where(bare[rows], 2, 3) - offsets[packet[rows]]
    in_head = (head[packet] < 0) | (feed - offsets[packet] < head[packet])
    feed, packet = feed[in_head], packet[in_head]
    line = window(content, feed + 1, offsets[packet + 1], _LINE)
    folded = np.where((line >= 0x41) & (line <= 0x5A), line | 0x20, line)

    def having(name):
        return np.flatnonzero((folded[:, : len(name)] == name).all(axis=1))

    body = np.full(n, -1, dtype=np.int64)
    rows = having(_LENGTH)
    text = window(content, feed[rows] + 1 + len(_LENGTH), offsets[packet[rows] + 1], _DIGITS)
    body[packet[rows]] = _number(text)
    chunked, typed = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    chunked[packet[having(_CODING)]] = True
    typed[packet[having(_TYPE)]] = True
    back = np.empty(n, np.int64)
    back[order] = np.arange(n)
    return head[back], body[back], (chunked & (body < 0))[back], typed[back]


def _number(text):
    """Read decimal numbers after blanks; (n, width) -> (n,) int64, -1 where there is none."""
    value = np.full(len(text), -1, dtype=np.int64)
    over = np.zeros(len(text), dtype=bool)
    for column in text.T:
        digit = (column >= 48) & (column <= 57) & ~over
        value = np.where(digit, np.maximum(value, 0) * 10 + column - 48, value)
        over |= ~digit & ((value >= 0) | (column != 32))
    return value
