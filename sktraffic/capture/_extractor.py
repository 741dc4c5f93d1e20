"""SessionExtractor: captures in, session table out."""

import dataclasses
import hashlib
import json
import os
import warnings
from concurrent.futures import BrokenExecutor
from numbers import Integral

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.base import TransformerMixin

from sktraffic._base import BaseEstimator
from sktraffic._compat import Interval, StrOptions, _fit_context
from sktraffic.capture._errors import CaptureWarning
from sktraffic.capture._naming import KEPT, POOL
from sktraffic.capture._parts import check_parts, part_name
from sktraffic.capture._paths import capture_paths
from sktraffic.capture._progress import track
from sktraffic.capture._read import capture_name
from sktraffic.capture._report import REPORT_COLUMNS, all_notices
from sktraffic.capture._settings import Settings
from sktraffic.capture._stream import SessionStream, stream_settings
from sktraffic.capture._tasks import extract, extract_to_parts, portions
from sktraffic.sessions import PACKET_COLUMNS, concat, from_arrow, read_sessions, session_schema


class SessionExtractor(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Turn captures into a session table, its sessions named by nDPI.

    A capture has many sessions, so the table has more rows than there are captures; its column
    `capture` says where a row came from. With ``key="capture"`` a whole capture is one session,
    rows are kept, and the extractor can stand inside a cross-validated Pipeline.

    Captures are pcap or pcapng files, told by their first bytes and not by their names, also
    compressed (gzip, bzip2, xz; Zstandard with the extra ``zstd``), named pipes, or standard
    input. Each is read once, from front to back, in memory bounded by its open sessions. Sessions
    are those of nfstream. Captures are spread over joblib's workers, so
    ``joblib.parallel_config(backend="dask")`` spreads them over a cluster.

    Times do not run backwards: the latest time so far stands in for an earlier one, as in
    nfstream. A single time stamp far from both its neighbours stops nobody's clock; the report and
    a warning name it. The source of a session is its client: told from a SYN or SYN-ACK where one
    was seen, kept in the pieces that a timeout leaves, and else the first sender.

    nDPI runs inside nfstream, in a process of its own that is given the first packets of each
    session, and stays for a minute for captures read later. If that fails, sessions go without
    `application`, `category`, `sni` and fingerprints, and a warning says so.

    Parameters
    ----------
    idle_timeout : int, default=120
        Longest silence of a session, seconds.
    active_timeout : int, default=1800
        Longest life of a session, seconds.
    end_on : {"timeout", "fin"}, default="timeout"
        What ends a session: the timeouts alone, as in nfstream, or also a SYN that comes after a
        FIN or RST, so that a port that is used again is two sessions.
    key : {"five_tuple", "host_pair", "capture"}, default="five_tuple"
        What makes packets one session: addresses, ports and protocol in either direction
        (nfstream's biflow); the two addresses (the SessionID of Qi et al. 2025, section 2.1, in
        either direction); or being in the same capture, without timeouts.
    vlan_in_key : bool, default=True
        Whether packets of different VLANs belong to different sessions, as in nfstream.
    size : {"ip", "frame", "transport", "payload"}, default="ip"
        Which bytes `packet_size` and `total_bytes` count. Link layers differ between captures and
        give labels away, so the frame is not the default.
    max_packets : int, default=None
        Only the first packets of each session: what an early decision may see, nDPI too. The
        session goes on to its timeout, unseen.
    messages : bool, default=True
        Whether to read `packet_message` from the packets' bytes.
    n_bytes : int, default=256
        Bytes kept of a packet in `packet_bytes`, from the IP header on; 0 for none.
    n_byte_packets : int, default=4
        Of how many first packets of a session bytes are kept.
    headers : bool, default=False
        Whether to add what headers say of every packet, the columns of
        :data:`sktraffic.sessions.HEADERS`: size of the transport header, TCP window and sequence
        number, time to live. ``SessionStatistics(features="all")`` and ``"cicflowmeter"`` read
        them.
    bpf_filter : str, default=None
        Only packets that pass this filter of libpcap, ``"tcp port 443"`` say. It is about the IP
        packet, whatever tags or decoded tunnels lie in front of it; see
        :func:`sktraffic.packets.compile_filter`.
    decode_tunnels : bool, default=True
        Whether packets in tunnels (`sktraffic.packets.TUNNELS`) stand for themselves, not for the
        tunnel.
    join_fragments : bool, default=True
        Whether later fragments belong to the session of their datagram. Otherwise they are left
        out, as in nfstream, and counted.
    drop_duplicates : bool, default=False
        Whether to leave out copies of packets that come within 5 milliseconds, as from two
        interfaces; they are counted. Where they are many a warning says so.
    n_dissections : int, default=20
        Packets of a session that nDPI may look at for `application` and its like; 0 for no nDPI.
    n_jobs : int, default=None
        Captures read at the same time; None means 1 unless in a `joblib.parallel_config`.
    on_error : {"raise", "warn", "skip"}, default="raise"
        What to do with a capture that cannot be read. The report names it in any case; with
        ``key="capture"`` its row stays, without packets.
    progress : bool, default=False
        Whether to show a progress bar.
    max_unpacked : int, default=None
        Bytes that a compressed capture may unpack to; one that goes beyond cannot be read. None
        stands for 4 GiB, or a hundred times the file's own size where that is more.

    See Also
    --------
    sktraffic.wireshark.read_wireshark : Reads Wireshark's CSV and XLSX exports.
    sktraffic.datasets.load_captures : Sessions with labels.

    Examples
    --------
    >>> from sktraffic.capture import SessionExtractor
    >>> extractor = SessionExtractor(idle_timeout=60, size="payload", n_jobs=2)
    >>> sessions = extractor.transform("captures/")  # doctest: +SKIP
    >>> sessions.groupby("capture").size()  # doctest: +SKIP
    """

    _parameter_constraints: dict = {
        "idle_timeout": [Interval(Integral, 0, None, closed="left")],
        "active_timeout": [Interval(Integral, 0, None, closed="left")],
        "end_on": [StrOptions({"timeout", "fin"})],
        "vlan_in_key": ["boolean"],
        "key": [StrOptions({"five_tuple", "host_pair", "capture"})],
        "size": [StrOptions({"ip", "frame", "transport", "payload"})],
        "max_packets": [Interval(Integral, 1, None, closed="left"), None],
        "messages": ["boolean"],
        "n_bytes": [Interval(Integral, 0, 65535, closed="both")],
        "n_byte_packets": [Interval(Integral, 0, None, closed="left")],
        "headers": ["boolean"],
        "bpf_filter": [str, None],
        "decode_tunnels": ["boolean"],
        "join_fragments": ["boolean"],
        "drop_duplicates": ["boolean"],
        "n_dissections": [Interval(Integral, 0, 255, closed="both")],
        "n_jobs": [Integral, None],
        "on_error": [StrOptions({"raise", "warn", "skip"})],
        "progress": ["boolean"],
        "max_unpacked": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        *,
        idle_timeout=120,
        active_timeout=1800,
        end_on="timeout",
        key="five_tuple",
        vlan_in_key=True,
        size="ip",
        max_packets=None,
        messages=True,
        n_bytes=256,
        n_byte_packets=4,
        headers=False,
        bpf_filter=None,
        decode_tunnels=True,
        join_fragments=True,
        drop_duplicates=False,
        n_dissections=20,
        n_jobs=None,
        on_error="raise",
        progress=False,
        max_unpacked=None,
    ):
        self.idle_timeout = idle_timeout
        self.active_timeout = active_timeout
        self.end_on = end_on
        self.key = key
        self.vlan_in_key = vlan_in_key
        self.size = size
        self.max_packets = max_packets
        self.messages = messages
        self.n_bytes = n_bytes
        self.n_byte_packets = n_byte_packets
        self.headers = headers
        self.bpf_filter = bpf_filter
        self.decode_tunnels = decode_tunnels
        self.join_fragments = join_fragments
        self.drop_duplicates = drop_duplicates
        self.n_dissections = n_dissections
        self.n_jobs = n_jobs
        self.on_error = on_error
        self.progress = progress
        self.max_unpacked = max_unpacked

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters; there is nothing to learn.

        Parameters
        ----------
        X : path-like or iterable of path-like
        y : None

        Returns
        -------
        SessionExtractor
        """
        return self

    def transform(self, X):
        """Read captures into a session table.

        Parameters
        ----------
        X : path-like or iterable of path-like
            Files, folders, glob patterns, named pipes, and "-" for standard input.

        Returns
        -------
        DataFrame of shape (n_sessions, 25 or 29)
            Columns as in :data:`sktraffic.sessions.SCHEMA`; captures in the order given, sessions
            in the order of their first packets. `extract` gives the report with it.

        Raises
        ------
        CaptureError
            If a path names nothing, or (unless `on_error` says otherwise) a capture cannot be read.
        ValueError
            If `bpf_filter` is no filter.
        """
        return self.extract(X)[0]

    def extract(self, X, *, cache=None):
        """Read captures into a session table and a report.

        Parameters
        ----------
        X : path-like or iterable of path-like
            As for `transform`.
        cache : path-like, default=None
            Folder for the extracted sessions, a subfolder for each combination of settings;
            captures that are there and unchanged are not read again.

        Returns
        -------
        sessions : DataFrame of shape (n_sessions, 25 or 29)
            As `transform` gives it.
        report : DataFrame of shape (n_captures, 30)
            A row a capture: its records, the packets in sessions, and why the others are in none
            (the three sum up); what is damaged or odd; the error of a capture left out.

        Raises
        ------
        CaptureError, ValueError
            As `transform` does.
        """
        files = capture_paths(X)
        if cache is not None:
            return self._through_cache(files, cache)
        tables, reports = [], []
        for portion in self._run(extract, files):
            for table, report in portion:
                tables.append(table)
                reports.append(report)
        report = self._report(reports)
        if self.key == "capture":
            tables = [
                _no_packets(file, self.headers) if table is None else table
                for file, table in zip(files, tables, strict=True)
            ]
        tables = [table for table in tables if table is not None]
        if not tables:
            return from_arrow(session_schema(self.headers).empty_table()), report
        return from_arrow(pa.concat_tables(tables).unify_dictionaries()), report

    def _through_cache(self, files, cache):
        """Read sessions from parts, which are written first where they are missing."""
        settings = json.dumps(dataclasses.asdict(self._settings()), sort_keys=True)
        digest = hashlib.sha256(settings.encode()).hexdigest()[:12]
        folder = os.path.join(cache, f"sessions-{digest}")
        report = self.to_parquet(files, folder)
        tables = []
        for file in files:
            part = os.path.join(folder, part_name(file))
            if os.path.exists(part):  # a capture that on_error let pass has none
                table = read_sessions(part).sort_values("session", ignore_index=True)
                # the part may have been written under another spelling of the same path
                name = pd.Series(capture_name(file), index=table.index)
                table["capture"] = name.astype(table["capture"].dtype)
                tables.append(table)
        return concat(tables), report

    def to_parquet(self, X, folder, *, overwrite=False):
        """Read captures into a folder of Parquet files, one a capture, in bounded memory.

        A part is written under a temporary name and renamed when it is whole, with the settings
        and the report of its capture inside. Called again, after a kill say, it goes on with what
        is missing; a capture that has changed since is read anew.

        Parameters
        ----------
        X : path-like or iterable of path-like
            As for `transform`.
        folder : path-like
            Made if it does not exist. :func:`sktraffic.sessions.read_sessions` reads it whole.
        overwrite : bool, default=False
            Whether to replace parts that are already there.

        Returns
        -------
        DataFrame of shape (n_captures, 30)
            The report, those of parts that were already there included; see `extract`.

        Raises
        ------
        ValueError
            If the folder holds parts that were extracted with other settings.
        CaptureError
            As in `transform`.
        OSError
            If the folder cannot be written to; parts that are there stay.
        """
        files = capture_paths(X)
        folder = os.fspath(folder)
        os.makedirs(folder, exist_ok=True)
        if not overwrite:
            check_parts(folder, self._settings())
        reports = self._run(extract_to_parts, files, folder, overwrite)
        reports = [report for portion in reports for report in portion]
        return self._report(reports)

    def fit_transform(self, X, y=None):
        """Read captures into a session table; see `transform`."""
        return self.fit(X, y).transform(X)

    def stream(
        self,
        source,
        *,
        max_packets=None,
        stop_after=None,
        max_waiting=1_000_000,
        max_open=100_000,
    ):
        """Read live traffic: sessions as they end, in bounded memory.

        Packets go through the same engine as those of a file, with the same settings.

        Parameters
        ----------
        source : str or path-like
            The name of an interface (Linux; needs CAP_NET_RAW), a capture that another program is
            still writing, a named pipe, or "-" for standard input; uncompressed.
        max_packets : int, default=None
            Give a session when it has shown so many packets, if it has not ended by then. None
            stands for the extractor's own `max_packets`.
        stop_after : float, default=None
            Seconds of silence after which the stream ends; None for never.
        max_waiting : int, default=1_000_000
            Packets that may wait for their sessions' ends. Beyond, sessions that hold
            more than their share are given as they are.
        max_open : int, default=100_000
            Sessions that may be open at a time. Beyond, those silent for longest are ended.

        Returns
        -------
        SessionStream
            Iterator over session tables with a column `closed`; close it, or use ``with``.

        Raises
        ------
        CaptureError
            If the source is neither, or may not be read.
        ValueError
            If `key` is not "five_tuple", or a limit is below 1.

        Examples
        --------
        >>> from sktraffic.capture import SessionExtractor
        >>> with SessionExtractor().stream("eth0", max_packets=20) as stream:  # doctest: +SKIP
        ...     for sessions in stream:
        ...         print(len(sessions), sessions["closed"].mean())
        """
        for name, value in (
            ("max_packets", max_packets),
            ("max_waiting", max_waiting),
            ("max_open", max_open),
        ):
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1.")
        return SessionStream(
            source,
            stream_settings(self._settings(), max_packets),
            stop_after=stop_after,
            max_waiting=max_waiting,
            max_open=max_open,
        )

    def get_feature_names_out(self, input_features=None):
        """Return the names of the session table's columns."""
        return np.asarray(session_schema(self.headers).names, dtype=object)

    def set_output(self, *, transform=None):
        """Do nothing: a session table is always a DataFrame."""
        return self

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.requires_fit = False
        return tags

    def _settings(self):
        self._validate_params()
        names = [field.name for field in dataclasses.fields(Settings)]
        return Settings(**{name: getattr(self, name) for name in names})

    def _run(self, task, files, *args):
        """Yield what `task` returns for portions of the files, in order, over joblib's workers."""
        settings, keep_going = self._settings(), self.on_error != "raise"
        settings.packet_filter()  # an error about the filter is none about a capture
        how = (settings, keep_going, self.max_unpacked)
        parallel = joblib.Parallel(n_jobs=self.n_jobs)
        chosen = portions(files, parallel._effective_n_jobs())
        calls = (joblib.delayed(task)(some, *how, *args) for some in chosen)
        if parallel._backend.supports_return_generator:
            parallel = joblib.Parallel(n_jobs=self.n_jobs, return_as="generator")
        try:
            yield from track(parallel(calls), total=len(files), show=self.progress)
        except BrokenExecutor as error:
            error.add_note(
                "A process that read captures died, most often for want of memory. Parts that were "
                "written are kept; call again to go on, with fewer jobs."
            )
            raise
        finally:
            POOL.close(keep=KEPT)

    def _report(self, reports):
        """Put the captures' reports together, and warn of what a user should know."""
        for text in all_notices(reports, self.on_error):
            warnings.warn(text, CaptureWarning, stacklevel=4)
        return pd.DataFrame(reports, columns=list(REPORT_COLUMNS))


def _no_packets(path, headers):
    """Return the row of a capture without packets, for `key="capture"`."""
    schema = session_schema(headers)
    row = dict.fromkeys(schema.names) | {name: [] for name in PACKET_COLUMNS}
    row |= {"capture": capture_name(path), "session": 0}
    row |= {"duration": 0.0, "packet_count": 0, "total_bytes": 0}
    return pa.table([pa.array([row[f.name]], f.type) for f in schema], schema=schema)
