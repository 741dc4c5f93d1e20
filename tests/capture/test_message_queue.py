"""Small captures whose messages are read together."""

import pytest

from sktraffic.capture import CaptureError, SessionExtractor, _message_queue, _tasks
from sktraffic.sessions import to_arrow

# one of the devices is told of: its announcements come back from the access point
pytestmark = pytest.mark.filterwarnings("ignore:.*there twice:sktraffic.capture.CaptureWarning")


@pytest.fixture
def captures(traffic_data):
    """Return small captures of several devices, which speak TLS, HTTP, DNS and more."""
    folders = sorted((traffic_data / "iot_devices").iterdir())[:6]
    return [path for folder in folders for path in sorted(folder.glob("*.pcap"))[:3]]


@pytest.mark.parametrize("waiting", [300, 50_000])
def test_captures_read_together_say_what_each_says_alone(captures, monkeypatch, waiting):
    """Sessions of different captures have the same numbers, but keep their own streams."""
    monkeypatch.setattr(_message_queue, "MOST_WAITING", waiting)
    extractor = SessionExtractor(n_dissections=0)
    together, report = extractor.extract(captures)
    monkeypatch.setattr(_tasks, "MOST_TOGETHER", 0)
    alone, reports = extractor.extract(captures)
    assert to_arrow(together).equals(to_arrow(alone))
    assert report.drop(columns="seconds").equals(reports.drop(columns="seconds"))
    assert together["packet_message"].explode().nunique() > 30


def test_a_bad_one_among_them(captures, tmp_path):
    """It is left out by name, or an error; the others are whole."""
    text, empty = tmp_path / "notes.pcap", tmp_path / "empty.pcap"
    text.write_bytes(b"Dear diary, this is no capture.")
    empty.write_bytes(captures[0].read_bytes()[:24])
    mixed = [captures[0], text, captures[1], empty, captures[2]]
    X, report = SessionExtractor(n_dissections=0, on_error="skip").extract(mixed)
    assert report["error"].notna().tolist() == [False, True, False, True, False]
    assert "notes.pcap" in report["error"][1] and "no IP packet" in report["error"][3]
    whole = SessionExtractor(n_dissections=0).transform(captures[:3])
    assert to_arrow(X).equals(to_arrow(whole))
    for bad in (text, empty):
        with pytest.raises(CaptureError, match=bad.name):
            SessionExtractor(n_dissections=0).transform([captures[0], bad])
