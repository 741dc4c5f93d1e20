"""Damaged and hostile model files: clear errors, no crash, and above all no code that runs."""

import io
import json
import os
import pickle
import random
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sktraffic.persistence import ModelFileError, UntrustedTypeError, load, read_provenance, save
from sktraffic.persistence._sound import trees_are_sound
from tests.persistence.attacks._craft import archive as write
from tests.persistence.attacks._craft import node

X = np.random.default_rng(0).normal(size=(60, 4))
Y = np.array(["web", "vpn"] * 30)


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """Return the members of a sound model file."""
    path = tmp_path_factory.mktemp("model") / "model.skt"
    model = make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0)).fit(X, Y)
    save(model, path, X=X, y=Y)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


class Canary:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.fixture
def canary(tmp_path):
    """Return the path that any code from the file would make; it must not exist afterwards."""
    path = tmp_path / "canary"
    pickle.loads(pickle.dumps(Canary(path))).close()
    assert path.exists()  # the canary sings when it is let
    path.unlink()
    yield path
    assert not path.exists()


def payloads(canary):
    """Pickles in the clothes that a member could wear."""
    plain = pickle.dumps(Canary(canary))
    array = io.BytesIO()
    np.save(array, np.array([Canary(canary)], dtype=object), allow_pickle=True)
    return {"pickle": plain, "object array": array.getvalue()}


@pytest.mark.parametrize("kind", ["pickle", "object array"])
def test_a_pickle_in_any_member_does_not_run(members, canary, tmp_path, kind):
    """Every member in turn is a pickle, with hashes that fit."""
    payload = payloads(canary)[kind]
    for name in members:
        path = write(tmp_path / "model.skt", members | {name: payload}, name != "provenance.json")
        with pytest.raises(ModelFileError):
            load(path)
        assert not canary.exists(), name


def test_a_pickle_that_is_the_whole_file_does_not_run(canary, tmp_path):
    """As joblib or pickle would have written it; and one more member that nobody named."""
    path = tmp_path / "model.skt"
    path.write_bytes(payloads(canary)["pickle"])
    with pytest.raises(ModelFileError, match="damaged or no model file"):
        load(path)


def test_members_that_nobody_named_are_refused(members, canary, tmp_path):
    """Also where the hashes of the others fit."""
    path = write(tmp_path / "model.skt", members)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("extra.pkl", payloads(canary)["pickle"])
    with pytest.raises(ModelFileError, match="not those that its provenance names"):
        load(path)


def hostile_nodes(canary):
    """Nodes that would call something, were they trusted."""
    text = node("builtins", "str", "JsonNode", content=json.dumps(f"touch {canary}"), is_json=True)
    types = node("builtins", "list", "ListNode", content=[])
    args = node("builtins", "tuple", "TupleNode", content=[text])
    attrs = node("builtins", "dict", "DictNode", content={}, key_types=types)
    return {
        "posix.system": node("posix", "system", "ConstructorFromReduceNode", content=args),
        "os.system": node("os", "system", "FunctionNode"),
        "subprocess.Popen": node("subprocess", "Popen", "ConstructorFromReduceNode", content=args),
        "builtins.eval": node("builtins", "eval", "TypeNode"),
        "builtins.open": node("builtins", "open", "FunctionNode"),
        "joblib.memory.Memory": node("joblib.memory", "Memory", "ObjectNode", content=attrs),
        "torch.nn.modules.linear.Linear": node(
            "torch.nn.modules.linear", "Linear", "ObjectNode", content=attrs
        ),
        "functools.partial": node("functools", "partial", "PartialNode", content={}),
        "operator.methodcaller": node("operator", "methodcaller", "OperatorFuncNode", attrs=args),
        "builtins.str (MethodNode)": node(
            "builtins", "str", "MethodNode", content={"func": "format", "obj": text}
        ),
        "builtins.str (NoSuchNode)": node("builtins", "str", "NoSuchNode"),
        "antigravity.fly": node("antigravity", "fly", "TypeNode"),
    }


@pytest.mark.parametrize("name", hostile_nodes("x"))
def test_types_outside_the_list_are_refused_by_name(members, canary, tmp_path, name):
    """At the root and deep inside, whatever node carries them."""
    evil = hostile_nodes(canary)[name]
    schema = json.loads(members["schema.json"])
    root = {**evil, "protocol": schema["protocol"], "_skops_version": schema["_skops_version"]}
    deep = json.loads(members["schema.json"])
    deep["content"]["content"]["steps"]["content"].append(evil)
    for changed in (root, deep):
        data = json.dumps(changed).encode()
        path = write(tmp_path / "model.skt", members | {"schema.json": data})
        with pytest.raises(UntrustedTypeError) as caught:
            load(path)
        assert any(found.startswith(name.split(" ")[0]) for found in caught.value.names)


def mapping(*key_types):
    """Return the node of a dictionary whose keys are made by calling these types."""
    keys = [node(*name.rsplit(".", 1), "TypeNode") for name in key_types]
    value = node("builtins", "str", "JsonNode", content="1", is_json=True)
    return node(
        "builtins",
        "dict",
        "DictNode",
        content={str(i): value for i in range(len(keys))},
        key_types=node("builtins", "list", "ListNode", content=keys),
    )


def misuses():
    """Nodes that call a name which may only be filled, referred to, or not be called with data."""
    text = node("builtins", "str", "JsonNode", content='"x"', is_json=True)
    args = node("builtins", "tuple", "TupleNode", content=[text])
    here = __name__
    seed = node(
        "builtins", "dict", "DictNode", content={"bit_generator": {**text, "content": '"seed"'}}
    )
    return {
        "a function of the package called": node(
            "sktraffic.preprocessing._preprocessor", "to_words", "ConstructorFromReduceNode",
            content=args,
        ),
        "an estimator called": node(
            "sklearn.dummy", "DummyClassifier", "ConstructorFromReduceNode", content=args
        ),
        "an estimator as a list": node("sklearn.dummy", "DummyClassifier", "ListNode", content=[]),
        "an admitted function called": node(
            here, "sing", "ConstructorFromReduceNode", content=args
        ),
        "an admitted function as a list": node(here, "sing", "ListNode", content=[text]),
        "an admitted function as a tuple": node(here, "sing", "TupleNode", content=[text]),
        "an admitted function as a key": mapping(f"{here}.sing"),
        "an estimator as a key": mapping("sklearn.dummy.DummyClassifier"),
        "a function of numpy.random": node(
            "numpy.random._generator", "Generator", "RandomGeneratorNode",
            content={"bit_generator": seed, "seed_seq": text},
        ),
        "a dictionary without keys": node("builtins", "dict", "DictNode", content={}, key_types=3),
    }  # fmt: skip


SUNG = []


def sing(*args):
    """Note that the file had this called."""
    SUNG.append(args)


@pytest.mark.parametrize("kind", misuses())
def test_trusted_names_are_used_only_for_what_they_are_trusted_with(members, tmp_path, kind):
    """A name that may be filled or referred to may not be called, not even one of the user's."""
    deep = json.loads(members["schema.json"])
    deep["content"]["content"]["steps"]["content"].append(misuses()[kind])
    path = write(tmp_path / "model.skt", members | {"schema.json": json.dumps(deep).encode()})
    state = np.random.get_state()[1].copy()
    with pytest.raises(UntrustedTypeError, match=r"Node\)"):
        load(path, trusted=[sing])
    assert SUNG == [] and (np.random.get_state()[1] == state).all()
    if "admitted" in kind:
        with pytest.raises(UntrustedTypeError, match="sing"):
            load(path)


def test_trees_that_point_outside_of_themselves_are_refused(members, tmp_path):
    """scikit-learn would follow these children and features into foreign memory."""
    trees = [name for name in members if name.endswith(".npy")]
    changed = 0
    for name in trees:
        array = np.load(io.BytesIO(members[name]))
        if array.dtype.names is None or "left_child" not in array.dtype.names:
            continue
        for field, value in (("left_child", 10**6), ("right_child", 0), ("feature", 4)):
            bad = array.copy()
            inner = np.flatnonzero(bad["left_child"] >= 0)
            bad[field][inner[-1]] = value
            buffer = io.BytesIO()
            np.save(buffer, bad)
            path = write(tmp_path / "model.skt", members | {name: buffer.getvalue()})
            with pytest.raises(ModelFileError, match="decision tree"):
                load(path)
            changed += 1
    assert changed == 9


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomForestClassifier(2, random_state=0),
        lambda: GradientBoostingClassifier(n_estimators=2, init="zero", random_state=0),
        lambda: IsolationForest(n_estimators=2, random_state=0),
        lambda: HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2),
        lambda: DecisionTreeClassifier(random_state=0),
    ],
)
def test_trees_that_read_more_columns_than_their_ensemble_is_given_are_refused(make):
    """An ensemble of one column would hand rows of one to trees of four: foreign memory."""
    model = make().fit(X, Y)
    assert trees_are_sound(model)
    model.n_features_in_ = 1
    assert not trees_are_sound(model)
    del model.n_features_in_  # then scikit-learn would compare with nothing
    assert not trees_are_sound(model)


def test_boosted_trees_that_point_outside_of_themselves_are_refused():
    """As those of forests; and nothing may take columns away or look bits of categories up."""
    for field, value in (
        ("left", 10**6), ("right", 0), ("feature_idx", 4), ("feature_idx", -1),
        ("is_categorical", 1),
    ):  # fmt: skip
        model = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2).fit(X, Y)
        nodes = model._predictors[1][-1].nodes
        nodes[field][np.flatnonzero(nodes["is_leaf"] == 0)[-1]] = value
        assert not trees_are_sound(model), field
    model = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2).fit(X, Y)
    model._preprocessor = StandardScaler().fit(X[:, :1])
    assert not trees_are_sound(model)
    model = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2).fit(X, Y)
    tree = model._predictors[0][0]
    for nodes in (tree.nodes[:0], np.zeros(3), tree.nodes.reshape(-1, 1), None):
        tree.nodes = nodes
        assert not trees_are_sound(model)


def damage(data, rng):
    """Damage a file in one of the ways that disks, networks and people do."""
    data = bytearray(data)
    way = rng.randrange(5)
    at = rng.randrange(len(data))
    if way == 0:  # some bits flip
        for _ in range(rng.randint(1, 20)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif way == 1:  # the end is missing
        del data[at:]
    elif way == 2:  # a stretch is zeros
        stretch = min(rng.randint(1, 5000), len(data) - at)
        data[at : at + stretch] = bytes(stretch)
    elif way == 3:  # a stretch is missing
        del data[at : at + rng.randint(1, 5000)]
    else:  # a stretch is noise
        stretch = min(rng.randint(1, 500), len(data) - at)
        data[at : at + stretch] = rng.randbytes(stretch)
    return bytes(data)


SCRIPT = """
import sys, warnings
from pathlib import Path
import numpy as np
from sktraffic.persistence import ModelFileError, load
folder = Path(sys.argv[1])
X, expected = np.load(folder / "X.npy"), np.load(folder / "expected.npy")
refused = same = 0
for path in sorted(folder.glob("*.skt")):
    try:
        model = load(path)
    except ModelFileError as error:
        assert str(path) in str(error), error
        refused += 1
        continue
    if sys.argv[2] == "stored":  # the damage hit nothing that is read: then nothing may differ
        assert np.array_equal(model.predict_proba(X), expected), path
        same += 1
        continue
    same += 1
    try:  # numbers may differ, and shapes: an error is fine, a crash is not
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.predict_proba(X)
    except Exception:
        pass
print(refused, same)
"""


def load_all(folder, model, how):
    """Load and use all files of a folder in another process; returns (refused, loaded)."""
    np.save(folder / "X.npy", X)
    np.save(folder / "expected.npy", model.predict_proba(X))
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", SCRIPT, str(folder), how],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert done.returncode == 0, done.stderr
    return tuple(map(int, done.stdout.split()))


def test_200_damaged_files_are_refused_without_harm(tmp_path):
    """Each gives a clear error, or, where nothing that is read was hit, the model as it was."""
    model = make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0)).fit(X, Y)
    save(model, tmp_path / "sound", X=X, y=Y)
    sound, rng = (tmp_path / "sound").read_bytes(), random.Random(0)
    for i in range(200):
        (tmp_path / f"{i:03}.skt").write_bytes(damage(sound, rng))
    refused, loaded = load_all(tmp_path, model, "stored")
    assert refused + loaded == 200
    assert refused >= 180


def test_200_damaged_members_with_hashes_that_fit_crash_nothing(members, tmp_path):
    """What checksums would catch is let through to the reader of types, arrays and trees."""
    model = make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0)).fit(X, Y)
    rng = random.Random(1)
    names = [name for name in members if name != "provenance.json"]
    for i in range(200):
        name = rng.choice(names) if i % 2 else "schema.json"
        write(tmp_path / f"{i:03}.skt", members | {name: damage(members[name], rng)})
    refused, loaded = load_all(tmp_path, model, "crafted")
    assert refused + loaded == 200
    assert refused > 50


def test_what_is_no_model_file_is_said(members, tmp_path):
    """Nothing there, a folder, an empty file, a plain skops file, JSON of the wrong kind."""
    with pytest.raises(ModelFileError, match="There is no model file"):
        load(tmp_path / "none.skt")
    with pytest.raises(ModelFileError, match="is a folder"):
        read_provenance(tmp_path)
    empty = tmp_path / "empty.skt"
    empty.touch()
    with pytest.raises(ModelFileError, match="damaged or no model file"):
        load(empty)
    bare = {name: data for name, data in members.items() if name != "provenance.json"}
    with pytest.raises(ModelFileError, match="Plain skops files"):
        load(write(tmp_path / "bare.skt", bare, hashed=False))
    for wrong in (b"[1]", b"{}", b"[" * 100_000, b'{"format": "1"}', b"\xff"):
        path = write(tmp_path / "w.skt", members | {"provenance.json": wrong}, hashed=False)
        with pytest.raises(ModelFileError):
            read_provenance(path)
    protocols = [f'{{"protocol": {p}}}'.encode() for p in ("99", "1", "0", "-1", "true", '"2"')]
    for wrong in (b"[1]", b"{}", b"[" * 100_000, *protocols):
        with pytest.raises(ModelFileError):
            load(write(tmp_path / "w.skt", members | {"schema.json": wrong}))
    with pytest.raises(ValueError, match="on_mismatch"):
        load(tmp_path / "none.skt", on_mismatch="hope")
