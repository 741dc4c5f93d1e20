"""Downloads against a local server: whole and right, or not at all."""

import hashlib
import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import sktraffic
from sktraffic.datasets import fetch_iscx_vpn2016_flows, get_data_home
from sktraffic.datasets._download import CHUNK, Remote, Resuming, fetch_files, sha256_of

BODY = bytes(range(256)) * 1200  # several chunks


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Do not wait between attempts."""
    monkeypatch.setattr(Resuming, "pause", 0)


@pytest.fixture
def remote(server):
    """Return a file that the server has."""
    server.files["/there/file.bin"] = BODY
    digest = hashlib.sha256(BODY).hexdigest()
    return Remote("part/file.bin", "there/file.bin", digest, len(BODY))


def get(server, remote, folder, **settings):
    """Fetch one file."""
    settings = {"verbose": False, "progress": False} | settings
    return fetch_files([remote], folder, server.address, **settings)[0]


def left(folder):
    """Files in a folder but for the lock."""
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.name != ".download.lock")


def test_whole_file_comes_once(server, remote, tmp_path):
    """The bytes are the server's, nothing else is left, and a second call asks for nothing."""
    path = get(server, remote, tmp_path)
    assert path == tmp_path / "part" / "file.bin"
    assert path.read_bytes() == BODY
    assert left(tmp_path) == ["file.bin"]
    assert len(server.requests) == 1
    assert get(server, remote, tmp_path) == path
    assert len(server.requests) == 1


def test_a_cut_is_resumed_within_one_call(server, remote, tmp_path):
    """After a cut the rest is asked for, with the version that the first part is of."""
    server.cuts = [100_000]
    assert get(server, remote, tmp_path).read_bytes() == BODY
    (_, first), (_, second) = server.requests
    assert "Range" not in first
    assert second["Range"] == f"bytes={CHUNK}-"  # whole chunks are kept
    assert second["If-Range"] == '"one"'
    assert second["Accept-Encoding"] == "identity"


def test_a_cut_is_resumed_by_a_later_call(server, remote, tmp_path):
    """What had come before the program ended is not asked for again."""
    server.cuts = [70_000]
    with pytest.raises(OSError, match=r"could not be downloaded.*goes on from there"):
        get(server, remote, tmp_path, retries=0)
    assert not (tmp_path / "part" / "file.bin").exists()
    assert get(server, remote, tmp_path).read_bytes() == BODY
    assert server.requests[1][1]["Range"] == f"bytes={CHUNK}-"
    assert left(tmp_path) == ["file.bin"]


def test_server_without_ranges_sends_all_again(server, remote, tmp_path):
    """A server that ignores the range is understood: nothing is written twice."""
    server.cuts, server.ranges = [100_000], False
    assert get(server, remote, tmp_path).read_bytes() == BODY
    assert "Range" in server.requests[1][1]


def test_changed_version_is_not_mixed(server, remote, tmp_path):
    """If the file changed between the cut and the next call, it comes from its start."""
    server.files["/there/file.bin"] = bytes(len(BODY))
    server.cuts = [100_000]
    with pytest.raises(OSError):
        get(server, remote, tmp_path, retries=0)
    server.files["/there/file.bin"], server.etag = BODY, '"two"'
    assert get(server, remote, tmp_path).read_bytes() == BODY
    assert server.requests[1][1]["If-Range"] == '"one"'
    assert len(server.requests) == 2


def test_wrong_part_is_found_by_the_checksum(server, remote, tmp_path):
    """Without ETags a resumed file that turns out wrong is downloaded anew, once."""
    server.etag = ""
    (tmp_path / "part").mkdir()
    Resuming.part_of(tmp_path / "part" / "file.bin").write_bytes(b"wrong")
    assert get(server, remote, tmp_path).read_bytes() == BODY
    assert [("Range" in headers) for _, headers in server.requests] == [True, False]


def test_part_that_is_complete_needs_no_request(server, remote, tmp_path):
    """A program that ended between the last byte and the checksum loses nothing."""
    (tmp_path / "part").mkdir()
    Resuming.part_of(tmp_path / "part" / "file.bin").write_bytes(BODY)
    assert get(server, remote, tmp_path).read_bytes() == BODY
    assert server.requests == []


def test_part_beyond_the_end_starts_anew(server, remote, tmp_path):
    """A range that the server cannot serve is given up for the whole file."""
    (tmp_path / "part").mkdir()
    Resuming.part_of(tmp_path / "part" / "file.bin").write_bytes(BODY + b"more")
    assert get(server, remote, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("body", [BODY[:-1] + b"!", BODY + b"!", BODY[:-1]])
def test_wrong_content_is_refused(server, remote, tmp_path, body):
    """A file of another checksum or size never gets its name, and says so."""
    server.files["/there/file.bin"] = body
    with pytest.raises(OSError, match="not the file that this package knows"):
        get(server, remote, tmp_path)
    assert left(tmp_path) == []


def test_unsaid_length_is_bounded(server, remote, tmp_path):
    """A server that does not say how much it sends cannot fill the disk."""
    server.says_length = False
    assert get(server, remote, tmp_path / "right").read_bytes() == BODY
    small = Remote(remote.path, remote.url, remote.sha256, 1000)
    with pytest.raises(OSError, match="not the file that this package knows"):
        get(server, small, tmp_path)
    assert left(tmp_path / "part") == []


def test_unsaid_length_is_resumed_after_a_cut(server, remote, tmp_path):
    """Where the server does not say the length, the known one tells a cut from an end."""
    server.says_length, server.cuts = False, [100_000]
    assert get(server, remote, tmp_path).read_bytes() == BODY
    assert len(server.requests) == 2


def test_missing_file_is_not_asked_for_twice(server, remote, tmp_path):
    """404 is an answer, not a fault that passes."""
    server.files.clear()
    with pytest.raises(OSError, match=r"404.*base_url") as caught:
        get(server, remote, tmp_path)
    assert len(server.requests) == 1
    assert str(tmp_path / "part" / "file.bin") in str(caught.value)


def test_passing_faults_are_tried_again(server, remote, tmp_path):
    """Busy servers get a second and a third call."""
    server.statuses = [503, 429]
    assert get(server, remote, tmp_path).read_bytes() == BODY
    assert len(server.requests) == 3


def test_fault_while_resuming_keeps_the_part(server, remote, tmp_path):
    """A busy server in the middle does not throw away what has come."""
    server.cuts = [100_000]
    server_statuses = [503]
    with pytest.raises(OSError):
        get(server, remote, tmp_path, retries=0)
    server.statuses = server_statuses
    assert get(server, remote, tmp_path).read_bytes() == BODY
    assert server.requests[2][1]["Range"] == f"bytes={CHUNK}-"  # whole chunks are kept


def test_server_down(server, remote, tmp_path):
    """Nobody there: OSError with a way out."""
    server.address = "http://127.0.0.1:9"  # discard: nobody listens
    with pytest.raises(OSError, match="Check the connection"):
        get(server, remote, tmp_path, retries=1)


def test_two_at_once_download_once(server, remote, tmp_path):
    """Whoever comes second waits and finds the file."""
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(get(server, remote, tmp_path)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len(server.requests) == 1
    assert sha256_of(results[0]) == remote.sha256


def test_notice_comes_before_the_first_byte(server, remote, tmp_path, capsys, caplog):
    """Licence, size and place are printed and logged, also where the download then fails."""
    server.files.clear()
    with caplog.at_level(logging.INFO, "sktraffic"), pytest.raises(OSError):
        get(server, remote, tmp_path, notice="Licence: MPL-2.0.", verbose=True)
    printed = capsys.readouterr()
    assert printed.out == ""
    for text in (printed.err, caplog.text):
        assert "Licence: MPL-2.0." in text
        assert "1 file(s), 0.3 MB" in text
        assert str(tmp_path) in text


def test_bar_only_where_asked_for(server, remote, tmp_path, capsys):
    """Standard error that is no terminal gets a bar on request only."""
    get(server, remote, tmp_path / "quiet", progress=None)
    assert capsys.readouterr().err == ""
    get(server, remote, tmp_path / "shown", progress=True)
    assert "307.2/307.2 kB" in capsys.readouterr().err


def test_data_home(monkeypatch, tmp_path):
    """An argument beats the environment, that beats the user's data folder; nothing is made."""
    monkeypatch.setenv("SKTRAFFIC_DATA_HOME", str(tmp_path / "set"))
    assert get_data_home() == tmp_path / "set"
    assert get_data_home(tmp_path / "given") == tmp_path / "given"
    monkeypatch.delenv("SKTRAFFIC_DATA_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert get_data_home().name == "sktraffic"
    assert list(tmp_path.iterdir()) == []


def test_fetcher_downloads_from_a_mirror(server, tmp_path, monkeypatch, capsys):
    """A table comes from `base_url`, is checked, and is read; the second call asks for nothing."""
    from sktraffic.datasets import _iscx_flows

    header = "Flow ID,Src IP,Src Port,Dst IP,Dst Port,Protocol,Timestamp,Flow Duration,Label\n"
    row = "x,10.0.0.1,5,10.0.0.2,53,17,14/04/2015 02:19:26 p.m.,413,No Label\n"
    body = (header + row).encode()
    server.files["/tables/vpn_a_chat.csv"] = body
    known = Remote(
        "cicflow_per_capture/vpn_a_chat.csv", "tables/vpn_a_chat.csv",
        hashlib.sha256(body).hexdigest(), len(body),
    )  # fmt: skip
    monkeypatch.setattr(_iscx_flows, "known_files", lambda name: [known])
    for _ in range(2):
        flows = fetch_iscx_vpn2016_flows(data_home=tmp_path, base_url=server.address + "/")
        assert flows.data["Flow Duration"].tolist() == [413.0]
        assert flows.target.tolist() == ["Vpn_Chat"]
    assert len(server.requests) == 1
    assert "MIT" in capsys.readouterr().err


def test_download_can_be_forbidden(server, tmp_path, no_network):
    """`download_if_missing=False` says what is missing, where, and what to do."""
    with pytest.raises(OSError, match=r"download_if_missing=False.*data_home") as caught:
        fetch_iscx_vpn2016_flows(data_home=tmp_path, download_if_missing=False)
    assert str(tmp_path / "iscx_vpn2016") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_importing_touches_no_downloader():
    """`import sktraffic.datasets` brings neither pooch nor requests."""
    code = (
        "import sys, sktraffic.datasets\n"
        "heavy = {'pooch', 'requests', 'urllib3', 'rich', 'tqdm'} & set(sys.modules)\n"
        "sys.exit(f'imports {heavy}' if heavy else 0)"
    )
    root = Path(sktraffic.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
