"""PacketSequences against plain Python."""

import numpy as np
import pandas as pd
import pytest

from sktraffic.feature_extraction import PacketSequences
from sktraffic.ragged import list_column

X = pd.DataFrame(
    {
        "packet_time": list_column([0.0, 0.5, 2.0, 0.0], [0, 3, 3, 4]),
        "packet_size": list_column([60, 1500, 52, 70], [0, 3, 3, 4]),
        "packet_direction": list_column([1, -1, 1, 1], [0, 3, 3, 4]),
        "packet_payload_size": list_column([0, 1448, 0, 30], [0, 3, 3, 4]),
    }
)


def test_rows_by_hand():
    """Packet by packet, zero-padded; a session without packets is all zero."""
    out = PacketSequences(2).set_output(transform="pandas").fit_transform(X)
    assert list(out.columns)[:4] == [
        "packet_0_size",
        "packet_0_iat",
        "packet_0_direction",
        "packet_1_size",
    ]
    expected = [[60, 0, 1, 1500, 0.5, -1], [0] * 6, [70, 0, 1, 0, 0, 0]]
    np.testing.assert_array_equal(out, expected)


def test_signed_fields_by_hand():
    """A signed field is the field times the direction."""
    fields = ["signed_size", "signed_payload_size", "signed_iat", "time"]
    out = PacketSequences(3, fields=fields).fit_transform(X)[0]
    np.testing.assert_array_equal(out, [60, 0, 0, 0, -1500, -1448, -0.5, 0.5, 52, 0, 1.5, 2.0])


def test_log_scale_by_hand():
    """Sizes become log(1 + bytes), times log(1 + microseconds), signs and directions stay."""
    out = PacketSequences(2, fields=["signed_size", "iat", "direction"], scale="log")
    expected = [np.log(61), 0, 1, -np.log(1501), np.log(500_001), -1]
    np.testing.assert_allclose(out.fit_transform(X)[0], expected)


def test_random_sessions_equal_plain_python(make_sessions, rng):
    """Cut, padded and differenced as a loop over packets does it."""
    table = make_sessions(40, rng)
    out = PacketSequences(6, fields=["iat", "size"]).fit_transform(table).reshape(40, 6, 2)
    for row, (_, session) in zip(out, table.iterrows(), strict=True):
        times, sizes = list(session["packet_time"]), list(session["packet_size"])
        iats = [0.0] + [b - a for a, b in zip(times, times[1:], strict=False)]  # noqa: RUF007
        pairs = list(zip(iats, sizes, strict=True))[:6]
        np.testing.assert_array_equal(row, pairs + [(0, 0)] * (6 - len(pairs)))


@pytest.mark.parametrize("fields", [[], ["size", "size"], ["colour"]])
def test_bad_fields_are_refused(fields):
    """No, repeated and unknown fields are answered with the list of those there are."""
    with pytest.raises(ValueError, match="fields must be different names from size, signed_size"):
        PacketSequences(fields=fields).fit(X)


def test_null_column_is_refused():
    """Payload sizes that nobody recorded cannot be zeros."""
    table = X.assign(packet_payload_size=X["packet_payload_size"].where([True, True, False]))
    with pytest.raises(ValueError, match=r"packet_payload_size .* is null in 1 of 3 rows"):
        PacketSequences(fields=["payload_size"]).fit(table)
