"""HTTP messages over segments: where a request or response ends (RFC 9112, section 6)."""

import numpy as np

from sktraffic.messages._streams import OPEN
from sktraffic.messages._vocabulary import CODES
from sktraffic.packets import window

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
    low, high = int(start.min()), int(stop.max())
    feed = np.flatnonzero(data[low:high] == 10) + low
    order = np.argsort(start)
    packet = order[np.maximum(np.searchsorted(start[order], feed, side="right") - 1, 0)]
    inside = (feed >= start[packet]) & (feed < stop[packet])
    feed, packet = feed[inside], packet[inside]
    line = window(data, feed + 1, stop[packet], _LINE)
    blank = (line[:, 0] == 10) | ((line[:, 0] == 13) & (line[:, 1] == 10))
    head = np.full(n, -1, dtype=np.int64)
    rows = np.flatnonzero(blank & (feed + 1 < stop[packet]))[::-1]
    head[packet[rows]] = feed[rows] + np.where(line[rows, 0] == 10, 2, 3) - start[packet[rows]]
    in_head = (head[packet] < 0) | (feed - start[packet] < head[packet])
    folded = np.where((line >= 0x41) & (line <= 0x5A), line | 0x20, line)

    def having(name):
        return np.flatnonzero(in_head & (folded[:, : len(name)] == name).all(axis=1))

    body = np.full(n, -1, dtype=np.int64)
    rows = having(_LENGTH)
    text = window(data, feed[rows] + 1 + len(_LENGTH), stop[packet[rows]], _DIGITS)
    body[packet[rows]] = _number(text)
    chunked, typed = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    chunked[packet[having(_CODING)]] = True
    typed[packet[having(_TYPE)]] = True
    return head, body, chunked & (body < 0), typed


def _number(text):
    """Read decimal numbers after blanks; (n, width) -> (n,) int64, -1 where there is none."""
    value = np.full(len(text), -1, dtype=np.int64)
    over = np.zeros(len(text), dtype=bool)
    for column in text.T:
        digit = (column >= 48) & (column <= 57) & ~over
        value = np.where(digit, np.maximum(value, 0) * 10 + column - 48, value)
        over |= ~digit & ((value >= 0) | (column != 32))
    return value
