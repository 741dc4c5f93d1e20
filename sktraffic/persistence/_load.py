"""Reading a model file, without running anything from it."""

import dataclasses
import io
import json
import warnings
import zipfile

from sklearn.exceptions import InconsistentVersionWarning

from sktraffic._extras import require
from sktraffic.capture import SessionExtractor
from sktraffic.persistence._archive import damaged, read_archive, read_note
from sktraffic.persistence._errors import (
    ModelFileError,
    ModelMismatchError,
    ModelMismatchWarning,
    UntrustedTypeError,
)
from sktraffic.persistence._provenance import versions
from sktraffic.persistence._sound import lacking_parameters, trees_are_sound

_OLDEST_PROTOCOL = 2
# packages whose objects are in a file; the others' versions are for the record
_HELD = {"sktraffic": "sktraffic", "scikit-learn": "sklearn", "imbalanced-learn": "imblearn"}


def load(path, *, extractor=None, on_mismatch=None, trusted=(), max_unpacked=None):
    """Read an estimator from a file of :func:`save`.

    Nothing from the file runs: it names types, all of which must be on a list of known
    ones, and these are filled with data. Every member is checked against its hash first.

    Parameters
    ----------
    path : path-like
    extractor : SessionExtractor, default=None
        How the sessions that are to be classified are extracted; it is compared with how the
        training data were. A `CaptureClassifier` brings its own extractor and needs none.
    on_mismatch : {"warn", "raise"}, default=None
        What to do about other versions of sktraffic, scikit-learn or imbalanced-learn, and about
        other extraction settings. None warns about versions and refuses other settings.
    trusted : sequence of str, type or function, default=()
        Classes and functions of your own that may be in the file, as in :func:`save`. Each is code
        that runs on what the file says, so name those only that you know.
    max_unpacked : int, default=None
        Bytes that the file may unpack to. None stands for 1 GiB, or a hundred times the file's own
        size where that is more.

    Returns
    -------
    estimator

    Raises
    ------
    UntrustedTypeError
        If the file names a type that is neither on the list nor in `trusted`; the error says which.
    ModelMismatchError
        If versions or extraction settings differ and are not let pass, or if an estimator has a
        parameter here that it did not have where it was saved; the error says which.
    ModelFileError
        If the file is missing, damaged, cut, of a later format, or unpacks to more than it may.
    ImportError
        If it holds a neural network and the extra ``neural`` is not installed.

    Warns
    -----
    ModelMismatchWarning
        If versions or settings differ and are let pass.

    Examples
    --------
    >>> from sktraffic.persistence import load
    >>> classifier = load("lab.skt")  # doctest: +SKIP
    >>> classifier.predict(["unknown.pcap"])  # doctest: +SKIP
    """
    if on_mismatch not in (None, "warn", "raise"):
        raise ValueError(f"on_mismatch is {on_mismatch!r}; it must be None, 'warn' or 'raise'.")
    note, structure, members = read_archive(path, max_unpacked)
    # late: skops imports every module of scikit-learn, and with them torch where it is installed
    from skops.io import load as build
    from skops.io.exceptions import UntrustedTypesFoundException

    from sktraffic.persistence._trust import audit, type_names

    schema = _schema(path, structure)
    names, foreign = audit(schema, type_names(trusted))
    if foreign:
        raise UntrustedTypeError(*foreign, source=path, remedy=_remedy(note, foreign))
    if any(name.startswith("sktraffic.neural_network.") for name in names):
        require("neural", f"The neural network in {path}")
    _check_versions(path, note, schema, on_mismatch or "warn")
    _check_extraction(path, note, extractor, on_mismatch or "raise")
    try:
        with warnings.catch_warnings():
            # one warning of ours stands for one of each estimator in the file
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            model = build(members, trusted=sorted(names))
        if not trees_are_sound(model):
            raise damaged(path, "a decision tree points outside of itself")
        _check_parameters(path, note, model)
    except ModelFileError:
        raise
    except UntrustedTypesFoundException as error:
        raise UntrustedTypeError(str(error), source=path) from None
    except Exception as error:  # a crafted file can make any part of the building fail
        raise damaged(path, f"{type(error).__name__}: {error}") from error
    return model


def read_provenance(path):
    """Return what a model file says of itself, without building the model.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    dict
        ``created`` (UTC), ``versions``, ``estimator`` (its class), ``extraction`` (settings or
        None), ``feature_names``, ``classes``, ``class_counts``, ``data_hash`` (SHA-256),
        ``scores``, ``intervals`` (low and high end of those scores that have one), ``card`` (the
        model card, Markdown), ``format`` and ``members`` (the SHA-256 of each). What is not known
        is None.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged or no model file.

    Examples
    --------
    >>> import tempfile, os
    >>> from sklearn.dummy import DummyClassifier
    >>> from sktraffic.persistence import read_provenance, save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "dummy.skt")
    ...     save(DummyClassifier().fit([[0], [1]], ["a", "b"]), path, y=["a", "b"])
    ...     read_provenance(path)["class_counts"]
    {'a': 1, 'b': 1}
    """
    return read_note(path)


def _remedy(note, foreign):
    """Say what to do about foreign types: those that the file was saved with can be named."""
    known = note.get("trusted")
    if isinstance(known, list) and foreign <= {name for name in known if isinstance(name, str)}:
        return (
            "The file says that it was saved with them. If you know who wrote it, and what they "
            f"do, load it with trusted={sorted(foreign)}."
        )
    return "The file was not made by sktraffic, or was tampered with."


def _schema(path, structure):
    try:
        schema = json.loads(structure)
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"schema.json is missing or no JSON ({error})") from error
    if not isinstance(schema, dict):
        raise damaged(path, "schema.json holds no object")
    protocol = schema.get("protocol")
    if isinstance(protocol, bool) or not isinstance(protocol, int):
        raise damaged(path, f"schema.json names no protocol of skops but {protocol!r}")
    newest = _protocol_here()
    if not _OLDEST_PROTOCOL <= protocol <= newest:
        raise ModelMismatchError(
            f"{path} was written with skops {schema.get('_skops_version')} (protocol {protocol}); "
            f"the skops here reads protocols {_OLDEST_PROTOCOL} to {newest}. Load it in an "
            "environment with that version, or save the model anew with this one."
        )
    return schema


def _protocol_here():
    """Return the protocol that the installed skops writes."""
    from skops.io import dumps

    with zipfile.ZipFile(io.BytesIO(dumps(None))) as archive:
        return json.loads(archive.read("schema.json"))["protocol"]


def _check_versions(path, note, schema, policy):
    there, here = note.get("versions"), versions()
    if not isinstance(there, dict):
        raise damaged(path, "its provenance names no versions")
    text = json.dumps(schema)
    different = [
        f"{name} {there.get(name, 'unknown')} there, {here.get(name, 'none')} here"
        for name, module in _HELD.items()
        if f'"__module__": "{module}' in text and there.get(name) != here.get(name)
    ]
    if different:
        _complain(
            f"{path} was written with other versions ({'; '.join(different)}): predictions may "
            "differ. Install those versions, or train and save the model anew.",
            policy,
        )


def _check_parameters(path, note, model):
    lacking = lacking_parameters(model, tuple(_HELD.values()))
    if lacking:
        here = versions()
        there = [f"{name} {note['versions'].get(name, 'unknown')}" for name in _HELD]
        raise ModelMismatchError(
            f"{path} was written with {', '.join(there)}; of what the versions here "
            f"({', '.join(f'{name} {here.get(name)}' for name in _HELD)}) need, it lacks "
            + "; ".join(f"{', '.join(names)} of {kind}" for kind, names in lacking.items())
            + ". Load it with those versions, or train and save the model anew."
        )


def _check_extraction(path, note, extractor, policy):
    there = note.get("extraction")
    if there is None:
        if extractor is not None:
            _complain(
                f"{path} does not say how its sessions were extracted, so it cannot be compared "
                "with `extractor`. Save the model with extractor=..., or load it without.",
                policy,
            )
        return
    if not isinstance(there, dict):
        raise damaged(path, "its extraction settings are no table")
    asked = SessionExtractor() if extractor is None else extractor
    here = dataclasses.asdict(asked._settings())
    names = sorted(set(there) ^ set(here))
    if names:  # settings that only one of the two versions has
        _complain(
            f"{path} was made by a version of sktraffic with other extraction settings "
            f"({', '.join(names)}).",
            policy,
        )
    different = [
        f"{name}={there[name]!r} there, {here[name]!r} here"
        for name in here
        if extractor is not None and name in there and there[name] != here[name]
    ]
    if different:
        _complain(
            f"{path} was trained on sessions with other extraction settings "
            f"({'; '.join(different)}). Extract as it was trained, or train anew.",
            policy,
        )


def _complain(text, policy):
    if policy == "raise":
        raise ModelMismatchError(text)
    warnings.warn(text, ModelMismatchWarning, stacklevel=4)
