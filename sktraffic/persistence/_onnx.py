"""Pipelines as ONNX graphs: transformers and classifiers by skl2onnx, networks by PyTorch."""

import copy
import json

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.validation import check_is_fitted

from sktraffic import __version__
from sktraffic._extras import require
from sktraffic.feature_selection import ForestSelector
from sktraffic.model_selection import RejectingClassifier
from sktraffic.pipeline import CaptureClassifier

OPSETS = {"": 18, "ai.onnx.ml": 3}
IR_VERSION = 10
# the function inside `make_preprocessor` that turns infinite numbers into missing ones
_TO_FLOATS = "sktraffic.preprocessing._preprocessor.to_floats"
# these turn their input into float32 themselves, and compare that
_TREES = (
    DecisionTreeClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
)


def to_onnx(model):
    """Turn a fitted classifier into an ONNX graph, all of it that reads numbers.

    A Pipeline goes as a whole: scaling, imputing, selecting and the classifier or network at its
    end. What reads a session table stays outside, since ONNX has no list columns: leading
    steps of :mod:`sktraffic.feature_extraction` make the graph's input. A `CaptureClassifier` gives
    what classifies its sessions, a search its best estimator.

    Parameters
    ----------
    model : estimator
        Fitted: a classifier with `predict_proba`, or a Pipeline that ends in one.

    Returns
    -------
    onnx.ModelProto
        Input ``X`` (n, n_features): double, or int64 where a network reads token ids or bytes.
        Outputs ``label`` (n,) and ``probabilities`` (n, n_classes), equal to `predict_proba` to
        1e-5; a `RejectingClassifier` labels as its `predict` does. ``metadata_props`` hold
        ``feature_names`` and ``classes`` in JSON, and the version of sktraffic.

    Raises
    ------
    ImportError
        If the extra ``onnx`` is not installed.
    TypeError
        If there is no graph for a part; the error says for which.

    Examples
    --------
    >>> import onnx
    >>> from sktraffic.persistence import load, to_onnx
    >>> graph = to_onnx(load("lab.skt"))  # doctest: +SKIP
    >>> onnx.save(graph, "lab.onnx")  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession("lab.onnx")  # doctest: +SKIP
    >>> label, proba = session.run(None, {"X": features})  # doctest: +SKIP
    """
    require("onnx", "to_onnx")
    check_is_fitted(model)
    steps, declining = _opened(model)
    (*before, clf), names = _numeric_steps(steps)
    if not hasattr(clf, "predict_proba"):
        raise TypeError(
            f"{type(clf).__name__} has no predict_proba, so no graph gives its probabilities. "
            "Wrap it in sklearn.calibration.CalibratedClassifierCV."
        )
    parts = _classifier_graphs(clf, first=not before)
    if before:
        parts.insert(0, _transformer_graph(before))
    parts.append(_label_graph(clf.classes_, declining, _output(parts[-1]).type.tensor_type))
    graph = _chain(parts)
    notes = {"sktraffic": __version__, "classes": clf.classes_.tolist(), "feature_names": names}
    for key, value in notes.items():
        graph.metadata_props.add(key=key, value=value if key == "sktraffic" else json.dumps(value))
    return graph


def _opened(model):
    """Open what wraps a classifier of rows.

    Returns
    -------
    steps : list
        Transformers, and the classifier last.
    declining : (float, label) or None
        Threshold and label of the unknown of a `RejectingClassifier`.
    """
    steps, declining = [], None
    while True:
        if isinstance(model, RejectingClassifier):
            if declining is not None:
                raise TypeError("A RejectingClassifier inside another one has no graph.")
            if not hasattr(model, "predict_proba") or model.response_method == "decision_function":
                raise TypeError(
                    "RejectingClassifier has a graph only where its confidence is a probability: "
                    "an estimator with predict_proba, and another response_method than "
                    "'decision_function'."
                )
            declining = model.threshold_, model.unknown_label_
            model = model.estimator_
        elif isinstance(model, CaptureClassifier):
            model = model.estimator_
        elif isinstance(model, Pipeline):
            steps += [step for step in _flat(model[:-1]) if not hasattr(step, "fit_resample")]
            model = model[-1]
        elif hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        else:
            return [*steps, model], declining


def _flat(model):
    if not isinstance(model, Pipeline):
        return [model]
    steps = [step for _, step in model.steps if step not in (None, "passthrough")]
    return [part for step in steps for part in _flat(step)]


def _numeric_steps(steps):
    """Return the steps behind those that read session tables, and the names of their input."""
    numeric = [_reads_rows(step) for step in steps]
    if not any(numeric):
        raise TypeError(
            f"{type(steps[-1]).__name__} reads session tables, and ONNX has no list columns."
        )
    outside = numeric.index(True)
    names = getattr(steps[outside], "feature_names_in_", None)
    if outside:
        names = steps[outside - 1].get_feature_names_out()
    return steps[outside:], None if names is None else list(map(str, names))


def _reads_rows(step):
    """Say whether a step reads rows of numbers; a union reads what its parts read."""
    if isinstance(step, FeatureUnion):
        parts = [part for _, part in step.transformer_list if part not in ("drop", "passthrough")]
        return all(map(_reads_rows, parts))
    return step.__sklearn_tags__().input_tags.two_d_array


def _transformer_graph(steps):
    """Return the graph of transformers, double in and double out."""
    from skl2onnx.common.data_types import DoubleTensorType

    pipeline = Pipeline([(str(i), _by_position(step)) for i, step in enumerate(steps)])
    return _converted(pipeline, DoubleTensorType([None, steps[0].n_features_in_]))


def _classifier_graphs(clf, first):
    """Return the graph that gives a classifier the numbers it wants, and that of its answers."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    if type(clf).__module__.startswith("sktraffic.neural_network."):
        from sktraffic.neural_network import network_to_onnx

        graph = network_to_onnx(clf, OPSETS[""])
    else:
        kind = FloatTensorType if isinstance(clf, _TREES) else DoubleTensorType
        graph = _converted(clf, kind([None, clf.n_features_in_]), {"zipmap": False})
    wanted = graph.graph.input[0].type.tensor_type.elem_type
    given = "int64" if first and _type_name(wanted) == "int64" else "double"
    width = clf.n_features_in_
    cast = _parsed(
        f"({given}[n, {width}] X) => ({_type_name(wanted)}[n, {width}] numbers)",
        f"numbers = Cast<to = {wanted}>(X)",
    )
    return [cast, graph]


def _converted(estimator, kind, options=None):
    from skl2onnx import convert_sklearn

    try:
        return convert_sklearn(
            estimator,
            initial_types=[("X", kind)],
            target_opset=OPSETS,
            options=None if options is None else {id(estimator): options},
            custom_shape_calculators=dict.fromkeys(_NODES, _same_type),
            custom_conversion_functions=dict.fromkeys(_NODES, _convert),
        )
    except Exception as error:  # skl2onnx has many, none of its own for what it cannot convert
        cause = str(error).strip().partition("\n")[0][:300]
        raise TypeError(f"There is no ONNX graph for {estimator!r}: {cause}") from error


def _by_position(step):
    """Return a ColumnTransformer whose columns are positions; all else as it is."""
    if not isinstance(step, ColumnTransformer):
        return step
    names = list(getattr(step, "feature_names_in_", range(step.n_features_in_)))
    copied = copy.copy(step)
    copied.transformers_ = []
    for name, transformer, columns in step.transformers_:
        if transformer == "drop" or (not isinstance(columns, slice) and not len(columns)):
            continue
        if isinstance(columns, slice):
            columns = range(step.n_features_in_)[columns]
        at = [names.index(c) if isinstance(c, str) else int(c) for c in columns]
        copied.transformers_.append((name, transformer, at))
    return copied


def _same_type(operator):
    """Tell skl2onnx the shape of a transformer's output: its input's type, its own width."""
    given = operator.inputs[0].type
    kept = _kept_columns(operator.raw_operator)
    operator.outputs[0].type = type(given)([None, given.shape[1] if kept is None else len(kept)])


def _kept_columns(step):
    """Positions of the columns that a transformer keeps; None where it keeps all."""
    if isinstance(step, ForestSelector):
        return np.flatnonzero(step.get_support())
    if isinstance(step, SimpleImputer) and not step.keep_empty_features:
        return np.flatnonzero(~np.isnan(step.statistics_))
    return None


def _convert(scope, operator, container):
    """Add the nodes of a transformer of `_NODES` to a graph of skl2onnx."""
    from skl2onnx.algebra.onnx_ops import OnnxIdentity

    nodes = _NODES[type(operator.raw_operator)](operator.raw_operator, operator.inputs[0])
    version, out = OPSETS[""], operator.outputs[:1]
    OnnxIdentity(nodes, op_version=version, output_names=out).add_to(scope, container)


def _selected(step, x):
    """Pick the columns of x that a transformer keeps."""
    from skl2onnx.algebra.onnx_ops import OnnxGather

    kept = _kept_columns(step)
    return x if kept is None else OnnxGather(x, kept, axis=1, op_version=OPSETS[""])


def _imputed(step, x):
    """Fill missing doubles, for which onnxruntime's own Imputer has no kernel."""
    from skl2onnx.algebra.onnx_ops import OnnxIsNaN, OnnxWhere

    if step.add_indicator or not np.isnan(step.missing_values):
        raise TypeError("SimpleImputer has a graph where NaN is missing and no indicator is added")
    values, kept = np.asarray(step.statistics_, dtype=np.float64), _kept_columns(step)
    x, version = _selected(step, x), OPSETS[""]
    values = values if kept is None else values[kept]
    return OnnxWhere(OnnxIsNaN(x, op_version=version), values, x, op_version=version)


def _applied(step, x):
    """Apply the few functions that have a graph: none, log(1 + x), infinite to missing."""
    from skl2onnx.algebra.onnx_ops import OnnxAbs, OnnxAdd, OnnxEqual, OnnxLog, OnnxWhere

    function, version = step.func, {"op_version": OPSETS[""]}
    name = getattr(function, "__name__", repr(function))
    if function is None:
        return x
    if function is np.log1p:
        return OnnxLog(OnnxAdd(x, np.array([1.0]), **version), **version)
    if f"{getattr(function, '__module__', '')}.{name}" == _TO_FLOATS:
        # IsInf takes no double in this opset: infinite is what is as far from 0 as can be
        infinite = OnnxEqual(OnnxAbs(x, **version), np.array([np.inf]), **version)
        return OnnxWhere(infinite, np.array([np.nan]), x, **version)
    raise TypeError(f"the function {name} has none; np.log1p and numbers as they are have")


#: Transformers whose nodes are ours: skl2onnx has none for them, or none in double.
_NODES = {ForestSelector: _selected, FunctionTransformer: _applied, SimpleImputer: _imputed}


def _label_graph(classes, declining, kind):
    """Return the graph from probabilities to labels and probabilities.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    declining : (float, label) or None
        Probability below which the label is another one, and that label.
    kind : onnx.TypeProto.Tensor
        Of the probabilities.
    """
    from onnx import helper, numpy_helper

    labels = list(classes) if declining is None else [*classes, declining[1]]
    kinds = {np.asarray(label).dtype.kind for label in labels}
    dtype = np.int64 if kinds <= {*"biu"} else np.float64 if kinds <= {*"biuf"} else object
    labels = np.array([str(x) for x in labels] if dtype is object else labels, dtype=dtype)
    constants = {"labels": labels}
    answer = "answer = ArgMax<axis = 1, keepdims = 0>(proba)"
    if declining is not None:
        number = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        constants["threshold"] = np.asarray(declining[0], number)
        constants |= {"unknown": np.int64(len(classes)), "axis": np.array([1])}
        answer = """best = ArgMax<axis = 1, keepdims = 0>(proba)
            surest = ReduceMax<keepdims = 0>(proba, axis)
            unsure = Less(surest, threshold)
            answer = Where(unsure, unknown, best)"""
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    proba = f"{_type_name(kind.elem_type)}[n, {len(classes)}]"
    return _parsed(
        f"({proba} proba) => ({_type_name(tensors[0].data_type)}[n] label, {proba} probabilities)",
        f"""{answer}
            label = Gather(labels, answer)
            probabilities = Identity(proba)""",
        tensors,
    )


def _parsed(signature, nodes, constants=()):
    """Return a graph of ONNX's own text form."""
    from onnx import parser

    domains = ", ".join(f'"{domain}": {version}' for domain, version in OPSETS.items())
    head = f"<ir_version: {IR_VERSION}, opset_import: [{domains}]>"
    model = parser.parse_model(f"{head} part {signature} {{ {nodes} }}")
    model.graph.initializer.extend(constants)
    return model


def _type_name(element):
    """Name of a type of tensors in ONNX's text form."""
    from onnx import TensorProto

    return TensorProto.DataType.Name(element).lower()


def _output(model):
    """Return the last output of a graph: of a classifier, its probabilities."""
    return model.graph.output[-1]


def _chain(parts):
    """Put graphs one behind the other: the input of the first, the outputs of the last."""
    from onnx import compose, helper

    whole, last = None, len(parts) - 1
    for i, part in enumerate(parts):
        part.ir_version = IR_VERSION
        # skl2onnx tells versions that its nodes would do with, some of them twice
        del part.opset_import[:]
        part.opset_import.extend(helper.make_opsetid(*item) for item in OPSETS.items())
        # every graph numbers its names from the start
        outside = {"rename_inputs": i > 0, "rename_outputs": i < last}
        part = compose.add_prefix(part, f"{i}_", **outside)
        link = None if whole is None else [(_output(whole).name, part.graph.input[0].name)]
        outputs = [output.name for output in part.graph.output]
        whole = compose.merge_models(whole, part, link, outputs=outputs) if link else part
    return whole
