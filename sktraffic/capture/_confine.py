"""The fewest rights that reading a small capture needs, for the process that runs nDPI.

Run by `_nfstream.py`, which is no part of the package's process; it imports the standard library
alone. Everywhere but on Windows memory, processor time, open files and file sizes are limited. On
Linux (x86-64) a filter of system calls is laid over that, which cannot be taken off: what is open
can be read and written, files can be opened for reading, memory can be had; there is no socket, no
new process, no new or changed file, no signal to another process.
"""

import contextlib
import ctypes
import errno
import os
import platform
import struct
import sys

MEMORY = 2 << 30  # bytes of address space; a request needs about a tenth of it
OPEN_FILES = 64
CPU_SECONDS = 120  # of one request; the caller's patience ends long before, if it is still there

# include/uapi/linux: audit.h, seccomp.h, prctl.h
ARCHITECTURE = 0xC000003E  # AUDIT_ARCH_X86_64
X32 = 0x40000000  # bit of the calls of another binary interface of the same processor
PR_SET_NO_NEW_PRIVS, SET_MODE_FILTER, ALL_THREADS = 38, 1, 1
SECCOMP = 317
KILL, ALLOW, FAIL = 0x80000000, 0x7FFF0000, 0x00050000
# calls from here on are younger than the C libraries that we meet: they try others on ENOSYS
YOUNG = 424

# numbers of x86-64's calls by what they are for
ALLOWED = {
    "reading and writing what is open": (0, 1, 3, 8, 17, 19, 20, 32, 33, 72, 292),
    "looking at files": (4, 5, 6, 21, 79, 89, 137, 138, 217, 262, 267, 269, 332),
    "waiting": (7, 23, 24, 35, 202, 230, 232, 270, 271, 281),
    "memory": (9, 10, 11, 12, 25, 28),
    "signals of its own": (13, 14, 15, 127, 128, 131, 219),
    "threads that are there": (158, 186, 204, 218, 273, 274, 334),
    "knowing itself": (39, 63, 97, 98, 99, 100, 102, 104, 107, 108, 110, 160),
    "time and chance": (96, 201, 228, 229, 318),
    "ending": (60, 231),
}
OPEN, OPENAT, IOCTL, TGKILL, PRLIMIT = 2, 257, 16, 234, 302
CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | 0o20000000  # __O_TMPFILE
ASKS = (0x5401, 0x5413, 0x541B, 0x5450, 0x5451)  # ioctl: is it a terminal, how large; close on exec


def limit():
    """Limit what this process may use; without effect on Windows."""
    with contextlib.suppress(ImportError):
        import resource

        for what, most in (
            (resource.RLIMIT_AS, MEMORY),
            (resource.RLIMIT_NOFILE, OPEN_FILES),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
        ):
            _, hard = resource.getrlimit(what)
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            with contextlib.suppress(ValueError, OSError):  # macOS has no limit of address space
                resource.setrlimit(what, (most, most))


def more_time():
    """Let this process have `CPU_SECONDS` from now on; then it is killed."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        until = int(used.ru_utime + used.ru_stime) + 1 + CPU_SECONDS  # whole seconds
        resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


def _program(pid):
    """Return the filter, instructions of the classic Berkeley packet filter; bytes."""
    load, equal, at_least, any_bit, end = 0x20, 0x15, 0x35, 0x45, 0x06
    number, architecture, argument = 0, 4, (16, 24, 32)  # offsets in struct seccomp_data
    refused, unknown = FAIL | errno.EPERM, FAIL | errno.ENOSYS

    def when(test, value, verdict):
        return [(test, 0, 1, value), (end, 0, 0, verdict)]

    def call(wanted, *body):
        return [(equal, 0, len(body), wanted), *body]

    allow, refuse = (end, 0, 0, ALLOW), (end, 0, 0, refused)
    steps = [(load, 0, 0, architecture), (equal, 1, 0, ARCHITECTURE), (end, 0, 0, KILL)]
    steps += [(load, 0, 0, number), *when(at_least, X32, refused)]
    for wanted, place in ((OPEN, argument[1]), (OPENAT, argument[2])):
        changes = when(any_bit, CHANGES, refused)
        steps += call(wanted, (load, 0, 0, place), *changes, allow)
    for wanted, whom in ((TGKILL, pid), (PRLIMIT, 0)):  # its own process and no other
        steps += call(wanted, (load, 0, 0, argument[0]), *when(equal, whom, ALLOW), refuse)
    asks = [step for ask in ASKS for step in when(equal, ask, ALLOW)]
    steps += call(IOCTL, (load, 0, 0, argument[1]), *asks, refuse)
    for numbers in ALLOWED.values():
        for wanted in numbers:
            steps += when(equal, wanted, ALLOW)
    steps += [*when(at_least, YOUNG, unknown), refuse]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def filter_calls():
    """Lay the filter over all threads of this process; says whether this system has such."""
    if sys.platform != "linux" or platform.machine() != "x86_64" or sys.maxsize < 1 << 32:
        return False
    program = _program(os.getpid())
    kept = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(kept))
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    numbers = (ctypes.c_long(SECCOMP), ctypes.c_ulong(SET_MODE_FILTER), ctypes.c_ulong(ALL_THREADS))
    return call(*numbers, ctypes.c_char_p(head)) == 0


def confine():
    """Give up all rights that are not needed, for good; says whether system calls are filtered."""
    sys.dont_write_bytecode = True
    limit()
    return filter_calls()
