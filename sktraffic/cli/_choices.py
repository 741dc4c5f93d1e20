"""What options may be."""

from enum import Enum


class LabelFrom(str, Enum):  # noqa: UP042 - typer shows and parses the values
    """Where labels come from."""

    folder = "folder"
    stem = "stem"


class Model(str, Enum):  # noqa: UP042
    """Names of `sktraffic.pipeline.make_estimator`."""

    forest = "forest"
    best = "best"
    sequences = "sequences"
    knn = "knn"
    mlp = "mlp"
    transformer = "transformer"
    bert = "bert"


class Key(str, Enum):  # noqa: UP042
    """What a session is; a whole capture as one session would leave nothing to vote."""

    five_tuple = "five_tuple"
    host_pair = "host_pair"
    capture = "capture"


class Size(str, Enum):  # noqa: UP042
    """Which bytes count."""

    ip = "ip"
    frame = "frame"
    transport = "transport"
    payload = "payload"


class By(str, Enum):  # noqa: UP042
    """What a row of predictions is."""

    session = "session"
    capture = "capture"


class Features(str, Enum):  # noqa: UP042
    """Which features of sessions are written; `statistics` are the nine of Qi et al. (2025)."""

    statistics = "statistics"
    extended = "extended"
    all = "all"
    cicflowmeter = "cicflowmeter"


class EndOn(str, Enum):  # noqa: UP042
    """What ends a session."""

    timeout = "timeout"
    fin = "fin"
