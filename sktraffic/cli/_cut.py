"""``sktraffic cut``."""

import pandas as pd

from sktraffic.capture import SessionExtractor, cut_sessions
from sktraffic.cli._output import check_free, on_terminal, print_json
from sktraffic.sessions import FACTS, IDENTITY, LABELS


def run(captures, output, where, settings, overwrite, jobs, as_json):
    """Choose sessions, and write their packets."""
    check_free(output, overwrite)
    extractor = SessionExtractor(
        **settings, messages=False, n_bytes=0, n_jobs=jobs, progress=on_terminal()
    )
    sessions = extractor.transform(captures)
    chosen = sessions[_chosen(sessions, where)]
    if not len(chosen):
        raise ValueError(f"None of the {len(sessions)} sessions is {where}.")
    packets = cut_sessions(chosen, output, extractor=extractor, overwrite=overwrite)
    if as_json:
        print_json({"output": output, "sessions": len(chosen), "packets": packets})
        return
    print(f"{packets:,} packets of {len(chosen):,} of {len(sessions):,} sessions in {output}.")


def _chosen(sessions, where):
    """Say which sessions a condition is true of; (n_sessions,) bool."""
    names = [name for name in (*IDENTITY, *FACTS, *LABELS) if name in sessions]
    try:
        found = sessions[names].eval(where, engine="python")
    except (SyntaxError, AttributeError, TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"--where {where!r} cannot be read ({_first_line(error)}). Write a condition on the "
            f"columns {', '.join(names)}, such as: application == 'TLS.Spotify' and duration > 1"
        ) from None
    except pd.errors.UndefinedVariableError as error:
        raise ValueError(f"--where: {error}. The columns are {', '.join(names)}.") from None
    if not isinstance(found, pd.Series) or not pd.api.types.is_bool_dtype(found.dtype):
        raise ValueError(f"--where {where!r} is no condition: it is neither true nor false.")
    return found.fillna(False).astype(bool).to_numpy()


def _first_line(error):
    return str(error).partition("\n")[0] or type(error).__name__
