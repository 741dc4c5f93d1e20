"""Errors of the user in one line, warnings in one line, exit codes."""

import functools
import inspect
import os
import re
import sys
import warnings
from concurrent.futures import BrokenExecutor
from typing import Annotated

import typer

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
SKIP = " Pass --skip-unreadable to leave such captures out."
# parameters as messages name them -> options
OPTIONS = (
    (r"\bon_error='skip'", "--skip-unreadable"),
    (r"\bbpf_filter=(?=['\"])", "--filter "),
    (r"\bbpf_filter\b", "--filter"),
    (r"\b(overwrite|drop_duplicates)=True", lambda found: f"--{found[1].replace('_', '-')}"),
    (r"\bpass max_unpacked=BYTES", "pass --max-unpacked BYTES"),
    (r"\bkey='five_tuple'", "--key five_tuple"),
    (r"\b(idle_timeout|active_timeout|max_packets)\b", lambda f: f"--{f[1].replace('_', '-')}"),
)


def guarded(command):
    """Wrap a command: what the user can mend ends in one line and exit code 1.

    The command gets one option more, ``--debug``, which shows the traceback in place of the line.
    """

    @functools.wraps(command)
    def run(*args, debug, **kwargs):
        with warnings.catch_warnings():
            warnings.showwarning = _show
            warnings.simplefilter("once", UserWarning)
            try:
                return command(*args, **kwargs)
            except KeyboardInterrupt:
                say("interrupted")
                raise typer.Exit(130) from None
            except BrokenPipeError:  # the reader of a pipe has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise typer.Exit(0) from None
            except (ValueError, OSError, ImportError, BrokenExecutor) as error:
                if debug:
                    raise
                text = _one_line(error)
                if (
                    type(error).__name__ == "CaptureError"
                    and kwargs.get("skip_unreadable") is False
                ):
                    text += SKIP * ("--skip-unreadable" not in text)
                say(f"error: {text}")
                raise typer.Exit(1) from None

    signature = inspect.signature(command)
    last = inspect.Parameter(
        "debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug
    )
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), last])
    run.__annotations__ = {**command.__annotations__, "debug": Debug}
    return run


def say(text):
    """Print a line to standard error."""
    print(text, file=sys.stderr, flush=True)


def _one_line(error):
    said = in_options(" ".join(str(error).split())) or type(error).__name__
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return said + notes


def in_options(text):
    """Write what a message says of parameters in the words of the command line."""
    for pattern, option in OPTIONS:
        text = re.sub(pattern, option, text)
    return text


def _show(message, category, filename, lineno, file=None, line=None):
    if issubclass(category, UserWarning):  # the others are for programmers
        say(f"warning: {_one_line(message)}")
