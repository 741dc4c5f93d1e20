"""Labels from a table of rules: who, where, when."""

import fnmatch
import ipaddress
import os
from pathlib import Path

import numpy as np
import pandas as pd

from sktraffic.sessions import check_sessions

__all__ = ["label_sessions", "read_label_rules"]

ENDS = ("src_ip", "dst_ip", "src_port", "dst_port")
EITHER = ("ip", "port")
PATTERNS = ("capture", "application", "sni")
CONDITIONS = (*ENDS, *EITHER, "protocol", "start", "end", *PATTERNS)
COLUMNS = ("label", *CONDITIONS, "either_direction")
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "sctp": 132}


def read_label_rules(rules):
    """Check a table of label rules.

    Parameters
    ----------
    rules : DataFrame, path-like of a CSV file, or sequence of dict
        A row a rule; see :func:`label_sessions`.

    Returns
    -------
    DataFrame of str of shape (n_rules, 14)
        All columns; "" is any value.

    Raises
    ------
    ValueError
        If a column is not known, a rule has no label, or a value cannot be read; it names the rule.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> from sktraffic.datasets import read_label_rules
    >>> rules = read_label_rules([{"label": "scan", "dst_port": "22"}, {"label": "benign"}])
    >>> rules[["label", "dst_port", "protocol"]].values.tolist()
    [['scan', '22', ''], ['benign', '', '']]
    """
    if isinstance(rules, str | os.PathLike):
        if not Path(rules).is_file():
            raise FileNotFoundError(f"There is no file {rules} to read label rules from.")
        table = pd.read_csv(rules, dtype=str, keep_default_na=False, skipinitialspace=True)
    else:
        table = pd.DataFrame(rules).astype(object)
        table = table.where(table.notna(), "").astype(str)
    table.columns = [str(name).strip() for name in table.columns]
    unknown = [name for name in table.columns if name not in COLUMNS]
    if unknown or "label" not in table:
        raise ValueError(
            f"Label rules have the column label and any of {', '.join(COLUMNS[1:])}; got "
            f"{', '.join(table.columns) or 'none'}."
        )
    table = table.reindex(columns=COLUMNS, fill_value="").apply(lambda column: column.str.strip())
    for number, rule in enumerate(table.to_dict("records"), 1):
        if not rule["label"]:
            raise ValueError(f"Rule {number} has no label.")
        _Rule(rule, number)
    return table


def label_sessions(X, rules):
    """Label sessions by rules: the first that matches a session says what it is.

    ================== ===================================================================
    Column             Matches
    ================== ===================================================================
    label              (what the session is then)
    src_ip, dst_ip     an address, or a network such as ``192.0.2.0/24``, of that end
    ip                 the same, of either end
    src_port, dst_port a port, or a range such as ``6881-6889``, of that end
    port               the same, of either end
    protocol           a number or name: ``6``, ``tcp``
    start, end         sessions that begin at or after, and before; UTC unless a zone is told
    capture            a pattern of the capture's path or file name, such as ``monday*``
    application, sni   a pattern, such as ``TLS.*`` or ``*.example.org``: a weak label
    either_direction   ``yes``: src and dst may be exchanged
    ================== ===================================================================

    An empty cell matches everything, so a last rule of a label alone takes the rest.

    Parameters
    ----------
    X : DataFrame of shape (n_sessions, n_columns)
        Session table with the columns that the rules ask for.
    rules : DataFrame, path-like of a CSV file, or sequence of dict
        A row a rule, in order.

    Returns
    -------
    labels : ndarray of object of shape (n_sessions,)
        None where no rule matches.
    report : DataFrame of shape (n_rules + 1, 5)
        A row a rule: `rule` (from 1), `label`,
        `matched` (sessions that it matches), `labelled`
        (those of them that no earlier rule took) and `contradicted` (those that an earlier rule
        of another label took). The last row, rule 0, counts the sessions that none labelled;
        the column `labelled` sums up to n_sessions.

    Raises
    ------
    ValueError
        If a rule cannot be read, or the table lacks a column that a rule asks for.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktraffic.datasets import label_sessions
    >>> X = pd.DataFrame({"src_ip": ["192.0.2.9", "198.51.100.1"], "dst_port": [22, 22]})
    >>> rules = [
    ...     {"label": "brute force", "src_ip": "192.0.2.0/24", "dst_port": "22"},
    ...     {"label": "benign"},
    ... ]
    >>> labels, report = label_sessions(X, rules)
    >>> labels.tolist()
    ['brute force', 'benign']
    >>> report[["rule", "matched", "labelled", "contradicted"]].values.tolist()
    [[1, 1, 1, 0], [2, 2, 1, 1], [0, 0, 0, 0]]
    """
    rules = read_label_rules(rules)
    asked = [name for name in CONDITIONS if (rules[name] != "").any()]
    check_sessions(X, sorted({column for name in asked for column in NEEDS.get(name, (name,))}))
    sessions = _Sessions(X)
    winner = np.full(len(X), -1)
    names = rules["label"].to_numpy(object)
    rows = []
    for place, rule in enumerate(rules.to_dict("records")):
        matched = _Rule(rule, place + 1).matches(sessions)
        free = matched & (winner < 0)
        taken = matched & ~free
        against = taken & (names[winner] != rule["label"])
        winner[free] = place
        rows.append((place + 1, rule["label"], matched.sum(), free.sum(), against.sum()))
    rows.append((0, None, (winner < 0).sum(), (winner < 0).sum(), 0))
    columns = ["rule", "label", "matched", "labelled", "contradicted"]
    labels = np.append(names, None)[winner]
    return labels, pd.DataFrame(rows, columns=columns)


NEEDS = {
    "ip": ("src_ip", "dst_ip"),
    "port": ("src_port", "dst_port"),
    "end": ("start",),
}


class _Sessions:
    """Columns of a session table as NumPy arrays, each made when first asked for."""

    def __init__(self, X):
        self._X, self._made = X, {}
        self.n = len(X)

    def numbers(self, name):
        """Ports and protocols, -1 where missing; (n_sessions,) int64."""
        return self._once(name, lambda: self._X[name].astype("Int64").fillna(-1).to_numpy(np.int64))

    def times(self):
        """Nanoseconds since 1970 of the sessions' starts; the least int64 where missing."""

        def make():
            column = pd.to_datetime(self._X["start"].astype(object), utc=True)
            return column.dt.tz_localize(None).to_numpy("datetime64[ns]").astype(np.int64)

        return self._once("start", make)

    def values(self, name, parse):
        """Codes (n_sessions,) and the distinct values, parsed; code -1 is missing."""

        def make():
            codes, values = pd.factorize(self._X[name].astype(object))
            return codes, [parse(value) for value in values]

        return self._once((name, "values"), make)

    def _once(self, key, make):
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


class _Rule:
    """One rule, parsed; `matches` says which sessions it fits."""

    def __init__(self, rule, number):
        self._parsed = {}
        for name in CONDITIONS:
            text = rule[name]
            if text:
                try:
                    self._parsed[name] = _PARSERS[name](text)
                except ValueError as error:
                    raise ValueError(f"Rule {number}, {name}: {error}") from None
        direction = rule["either_direction"].lower()
        if direction not in ("", "yes", "no", "true", "false", "1", "0"):
            raise ValueError(f"Rule {number}: either_direction is {direction!r}; write yes or no.")
        self._both = direction in ("yes", "true", "1")

    def matches(self, sessions):
        """Say which sessions the rule fits; (n_sessions,) bool."""
        out = np.ones(sessions.n, bool)
        for name, wanted in self._parsed.items():
            if name not in ENDS:
                out &= _TESTS[name](sessions, name, wanted)
        ends = {name: wanted for name, wanted in self._parsed.items() if name in ENDS}
        forth = np.ones(sessions.n, bool)
        for name, wanted in ends.items():
            forth &= _TESTS[name](sessions, name, wanted)
        if self._both and ends:
            back = np.ones(sessions.n, bool)
            for name, wanted in ends.items():
                other = ("dst" if name.startswith("src") else "src") + name[3:]
                back &= _TESTS[name](sessions, other, wanted)
            forth |= back
        return out & forth


def _network(text):
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is neither an address nor a network.") from None


def _port_range(text):
    low, dash, high = text.partition("-")
    try:
        low, high = int(low), int(high) if dash else int(low)
    except ValueError:
        raise ValueError(f"{text!r} is neither a port nor a range such as 6881-6889.") from None
    if not 0 <= low <= high <= 65_535:
        raise ValueError(f"{text!r} is no range of ports between 0 and 65535.")
    return low, high


def _protocol(text):
    number = PROTOCOLS.get(text.lower())
    if number is None:
        if not text.isdigit() or int(text) > 255:
            known = ", ".join(PROTOCOLS)
            raise ValueError(f"{text!r} is no IP protocol: a number up to 255, or {known}.")
        number = int(text)
    return number


def _time(text):
    try:
        time = pd.Timestamp(text)
    except ValueError:
        raise ValueError(f"{text!r} is no date and time such as 2017-07-05 14:30.") from None
    time = time.tz_localize("UTC") if time.tz is None else time.tz_convert("UTC")
    return time.value


def _in_network(sessions, name, network):
    codes, addresses = sessions.values(name, _address)
    inside = [
        address is not None and address.version == network.version and address in network
        for address in addresses
    ]
    return np.append(np.asarray(inside, bool), False)[codes]


def _address(text):
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _in_range(sessions, name, wanted):
    values = sessions.numbers(name)
    return (values >= wanted[0]) & (values <= wanted[1])


def _fits(sessions, name, pattern):
    codes, values = sessions.values(name, str)
    fits = [
        fnmatch.fnmatchcase(value, pattern)
        or (name == "capture" and fnmatch.fnmatchcase(os.path.basename(value), pattern))
        for value in values
    ]
    return np.append(np.asarray(fits, bool), False)[codes]


def _either(test, names):
    return lambda sessions, _, wanted: (
        test(sessions, names[0], wanted) | test(sessions, names[1], wanted)
    )


_PARSERS = {
    **dict.fromkeys(("src_ip", "dst_ip", "ip"), _network),
    **dict.fromkeys(("src_port", "dst_port", "port"), _port_range),
    "protocol": _protocol,
    **dict.fromkeys(("start", "end"), _time),
    **dict.fromkeys(PATTERNS, str),
}
_TESTS = {
    **dict.fromkeys(("src_ip", "dst_ip"), _in_network),
    **dict.fromkeys(("src_port", "dst_port"), _in_range),
    "ip": _either(_in_network, ("src_ip", "dst_ip")),
    "port": _either(_in_range, ("src_port", "dst_port")),
    "protocol": lambda sessions, name, number: sessions.numbers(name) == number,
    "start": lambda sessions, _, time: sessions.times() >= time,
    "end": lambda sessions, _, time: (
        (sessions.times() < time) & (sessions.times() > np.iinfo(np.int64).min)
    ),
    **dict.fromkeys(PATTERNS, _fits),
}
