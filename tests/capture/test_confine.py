"""The process that runs nDPI can read captures and answer, and do nothing else."""

import json
import lzma
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sktraffic.capture import _confine
from sktraffic.capture._naming import NamingProcess
from sktraffic.datasets import lab_captures

SCRIPT = Path(_confine.__file__)
RIGHTS = f"import runpy; rights = runpy.run_path({str(SCRIPT)!r})\n"
TRY = """
import errno, json, os, resource, signal, socket, subprocess, sys, threading

def outcome(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno]
    except (MemoryError, RuntimeError) as error:  # Python's own word for a refused thread
        return type(error).__name__
    return "done"

there, absent = sys.argv[1:]
"""
ACTS = {
    "a socket": "socket.socket()",
    "a local socket": "socket.socket(socket.AF_UNIX)",
    "two sockets": "socket.socketpair()",
    "a new process": "os.fork()",
    "another program": "subprocess.run([sys.executable, '-c', ''])",
    "becoming another program": "os.execv(sys.executable, [sys.executable, '-c', ''])",
    "a new file": "open(absent, 'w')",
    "a file in memory": "os.memfd_create('x')",
    "writing a file": "open(there, 'r+')",
    "appending to a file": "open(there, 'a')",
    "emptying a file": "os.truncate(there, 0)",
    "removing a file": "os.unlink(there)",
    "renaming a file": "os.rename(there, absent)",
    "linking to a file": "os.symlink(there, absent)",
    "making a folder": "os.mkdir(absent)",
    "a pipe with a name": "os.mkfifo(absent)",
    "changing rights": "os.chmod(there, 0o777)",
    "changing times": "os.utime(there)",
    "a signal to its parent": "os.kill(os.getppid(), 0)",
    "limits of its parent": "resource.prlimit(os.getppid(), resource.RLIMIT_CPU)",
}
MAY = {
    "reading a file": "open(there).read()",
    "listing a folder": "os.listdir(os.path.dirname(there))",
    "memory": "bytearray(10 << 20)",
    "asking what is a terminal": "os.isatty(0)",
    "time": "__import__('time').sleep(0.001)",
}

linux = pytest.mark.skipif(
    not Path("/proc/sys/kernel/seccomp").exists() or _confine.platform.machine() != "x86_64",
    reason="filters of system calls are Linux's, and written for x86-64",
)


def run(code, *arguments):
    """Run code in a process of its own."""
    command = [sys.executable, "-c", RIGHTS + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """Return what came of each act of a confined process, by its name, and the folder."""
    folder = tmp_path_factory.mktemp("confined")
    there = folder / "there"
    there.write_text("as it was", "utf-8")
    acts = "".join(f"acts[{n!r}] = lambda: {act}\n" for n, act in (ACTS | MAY).items())
    code = (
        f"{TRY}\nacts = {{}}\n{acts}"
        "acts['a new thread'] = lambda: threading.Thread(target=print).start()\n"
        "assert rights['confine']()\n"
        "print(json.dumps({name: outcome(act) for name, act in acts.items()}))\n"
    )
    done = run(code, there, folder / "absent")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in folder.iterdir()] == ["there"]
    assert there.read_text("utf-8") == "as it was"
    return json.loads(done.stdout)


@linux
@pytest.mark.parametrize("act", ACTS)
def test_what_is_not_needed_is_refused(tried, act):
    """With "not permitted"."""
    assert tried[act] == "EPERM"


@linux
def test_no_thread_is_started(tried):
    """Python's own word for it is a RuntimeError."""
    assert tried["a new thread"] == "RuntimeError"


@linux
@pytest.mark.parametrize("act", MAY)
def test_what_is_needed_works(tried, act):
    """Files can be read, memory had, time passed."""
    assert tried[act] == "done"


@linux
def test_threads_that_run_already_are_confined():
    """The filter is laid over all threads of the process."""
    done = run(
        f"{TRY}"
        "asked, answered = threading.Event(), []\n"
        "def later():\n"
        "    asked.wait()\n"
        "    answered.append(outcome(socket.socket))\n"
        "thread = threading.Thread(target=later)\n"
        "thread.start()\n"
        "assert rights['confine']()\n"
        "asked.set()\n"
        "thread.join()\n"
        "print(*answered)",
        "",
        "",
    )
    assert done.stdout.strip() == "EPERM", done.stderr


@linux
def test_a_crash_still_has_its_signal():
    """abort() sends the process a signal of its own, which is told as before."""
    assert run("rights['confine'](); __import__('os').abort()").returncode == -signal.SIGABRT


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX's")
def test_limits_hold_without_the_filter(tmp_path):
    """On other POSIX systems no byte can be written into a file, and memory ends."""
    code = (
        f"{TRY}rights['limit']()\n"
        "def write():\n"
        "    with open(there, 'w') as file:\n"
        "        file.write('x')\n"
        "print(outcome(write), outcome(lambda: bytearray(rights['MEMORY'])))"
    )
    done = run(code, tmp_path / "file", "")
    written, had = done.stdout.split()
    assert written == "EFBIG"
    assert had == "MemoryError" or sys.platform == "darwin"


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX's")
def test_a_hang_ends_without_a_caller():
    """When the processor time of a request is over; the next request has as much again."""
    spin = (
        "import time\n"
        "more = rights['more_time']\n"
        "more.__globals__['CPU_SECONDS'] = 1\n"
        "for _ in range(4):\n"
        "    more()\n"
        "    until = time.process_time() + 0.4\n"
        "    while time.process_time() < until: pass\n"
        "print('four requests', flush=True)\n"
        "more()\n"
        "while True: pass"
    )
    done = run(spin)
    assert done.stdout.strip() == "four requests"
    assert done.returncode == -signal.SIGXCPU


@linux
def test_the_process_that_names_sessions_is_confined(tmp_path):
    """From its first request on, which it answers all the same."""
    capture = next(path for path in lab_captures()[0] if path.endswith(".xz"))
    plain = tmp_path / "a capture.pcap"
    plain.write_bytes(lzma.decompress(Path(capture).read_bytes()))
    process = NamingProcess()
    try:
        process.ask(plain, 20)
        answers = [process.answer(60)]
        while isinstance(answers[-1], list):
            answers.append(process.answer(60))
        about = Path(f"/proc/{process._process.pid}/status").read_text("utf-8")
        limits = Path(f"/proc/{process._process.pid}/limits").read_text("utf-8")
    finally:
        process.close()
    assert answers[-1]["flows"] == sum(map(len, answers[:-1])) > 0
    assert {"Seccomp:\t2", "NoNewPrivs:\t1"} <= set(about.splitlines())
    [peak] = (int(line.split()[1]) for line in about.splitlines() if line.startswith("VmPeak"))
    assert 2 * 1024 * peak < _confine.MEMORY
    [files] = (line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open"))
    assert files == [str(_confine.OPEN_FILES)] * 2
