"""``sktraffic demo``: everything once, on the bundled captures."""

import contextlib
import hashlib
import shutil
import time
from pathlib import Path

import sklearn
from platformdirs import user_cache_path
from sklearn.dummy import DummyClassifier
from threadpoolctl import threadpool_limits

from sktraffic import __version__
from sktraffic._extras import missing
from sktraffic.capture import SessionExtractor
from sktraffic.cli._guard import say
from sktraffic.cli._output import print_json, print_table, watched, working
from sktraffic.cli._train import held_out_scores
from sktraffic.datasets import lab_captures, split_captures
from sktraffic.persistence import ModelFileError, load, save
from sktraffic.pipeline import CaptureClassifier, data_hash, make_estimator
from sktraffic.report import (
    compare_classes,
    compare_overall,
    evaluate_captures,
    evaluation_report,
)

# any host looks up names, sets its clock and announces itself, whatever else it does
FILTER = "not (port 53 or port 123 or port 5353)"
LEAD = (
    "Six services, plain and through tunnels, recorded with real programs in a laboratory. The "
    "model learned from {train} runs and is scored on {test} others; DNS, NTP and mDNS, which any "
    "host has, are left out. Real networks are harder: train on captures of your own."
)


def run(output, model, cache, fresh, jobs, as_json):
    """Read, learn, save, load, classify, report."""
    begin = time.perf_counter()
    output.mkdir(parents=True, exist_ok=True)
    cache = user_cache_path("sktraffic", appauthor=False) / "demo" if cache is None else cache
    if fresh:
        _forget(cache)
    paths, labels = lab_captures()
    with _stage(f"reading {len(paths)} captures", spin=False):  # it has a bar of its own
        extractor = SessionExtractor(bpf_filter=FILTER)
        watched(extractor, jobs).extract(paths, cache=cache)
    train, test = split_captures(labels)
    known, unseen = ([paths[i] for i in part] for part in (train, test))
    models = _learn(model, extractor, known, labels[train], cache)
    sessions, found = extractor.extract(unseen, cache=cache)[0], {}
    learnt = extractor.extract(known, cache=cache)[0]
    for name, clf in models.items():
        with _stage(f"{name}: classifying {len(unseen)} captures that it has not seen"):
            found[name] = evaluate_captures(
                clf, unseen, labels[test], sessions=sessions, training_sessions=learnt
            )
    own = found.pop(model)
    file = output / "model.skt"
    with _stage(f"writing {file}"):
        split = f"Trained on {len(train)} runs of programs, scored on {len(test)} others."
        save(models[model], file, scores=held_out_scores(own), card={"split": split})
    page = output / "report.html"
    with _stage("report: feature scores, robustness, latency"):
        lead = LEAD.format(train=len(train), test=len(test))
        title = "sktraffic demo: what runs inside the encryption?"
        evaluation_report(
            models[model], own, sessions, others=found, name=model, title=title, lead=lead
        ).save(page)
    seconds = time.perf_counter() - begin
    _tell(model, own, found, file, page, cache, seconds, as_json)


def _learn(model, extractor, paths, labels, cache):
    """Fit the model and what it is compared with, save them, and load them from their files."""
    key = _key(paths, labels, extractor)
    models = {}
    other = "mlp" if model == "forest" else "forest"
    if other == "mlp" and missing("neural"):
        say("The network to compare with is left out: pip install 'sktraffic[neural]' brings it.")
        other = model
    for name in dict.fromkeys((model, other, "knn")):
        file = cache / "models" / f"{name}-{key}.skt"
        models[name] = _remembered(name, file)
        if models[name] is None:
            with _stage(f"{name}: learning from {len(paths)} captures"):
                clf = CaptureClassifier(make_estimator(name), extractor, cache=cache)
                # small matrices: a second thread only waits, longest where cores are taken
                with threadpool_limits(1):
                    clf.fit(paths, labels)
            with _stage(f"{name}: saving the model"):
                file.parent.mkdir(parents=True, exist_ok=True)
                save(clf, file)
            with _stage(f"{name}: loading the saved model"):
                models[name] = load(file)
    dummy = CaptureClassifier(DummyClassifier(strategy="prior"), extractor, cache=cache)
    models["most frequent"] = dummy.fit(paths, labels)
    return models


def _remembered(name, file):
    """Load a model of an earlier run; None where there is none that can be used here."""
    if not file.is_file():
        return None
    try:
        with _stage(f"{name}: loading the saved model"):
            return load(file)
    except ModelFileError as error:  # of another version under the same number, or damaged
        say(f"It is trained anew: {error}")
        return None


def _key(paths, labels, extractor):
    """Name what a cached model depends on."""
    parts = (__version__, sklearn.__version__, data_hash(paths, labels), repr(extractor))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _forget(cache):
    for folder in [cache / "models", *cache.glob("sessions-*")]:
        if folder.is_dir():
            shutil.rmtree(folder)


@contextlib.contextmanager
def _stage(text, spin=True):
    """Tell what is done, and how long it took, on standard error."""
    begin = time.perf_counter()
    with working(text) if spin else contextlib.nullcontext():
        yield
    say(f"{time.perf_counter() - begin:6.1f} s  {text}")


def _tell(model, own, found, file, page, cache, seconds, as_json):
    wrong = own.captures[own.captures["true"] != own.captures["label"]]
    if as_json:
        print_json(
            {
                "scores": {model: own.scores, **{name: f.scores for name, f in found.items()}},
                "per_class": compare_classes(own, found),
                "captures": own.captures,
                "model": file,
                "report": page,
                "cache": cache,
                "seconds": seconds,
            }
        )
        return
    print_table(
        compare_classes(own, found), f"Sessions of {len(own.captures)} captures not seen before"
    )
    print_table(compare_overall(own, found, model), "Over all classes")
    n = len(own.captures)
    print(f"{n - len(wrong)} of {n} captures are called right.")
    for row in wrong.itertuples():
        name = Path(row.capture).name
        print(f"  {name} is {row.true}, called {row.label} ({row.probability:.2f})")
    print(f"Model:  {file.resolve()}\nReport: {page.resolve()}")
    print(f"{seconds:.0f} s; sessions and models are kept in {cache} for the next run")
