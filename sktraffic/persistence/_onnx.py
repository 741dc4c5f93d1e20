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
from sklearn.pipeline import Pipeline
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
_TO_FLOATS = ("sktraffic.preprocessing._preprocessor", "to_floats")
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
    parts = [_classifier_graph(clf, first=not before)]
    if before:
        parts.insert(0, _transformer_graph(before))
    parts.append(_label_graph(clf.classes_, declining, _output(parts[-1]).type))
    graph = _chain(parts)
    _rename(
        graph,
        {
            graph.graph.input[0].name: "X",
            graph.graph.output[0].name: "label",
            graph.graph.output[1].name: "probabilities",
        },
    )
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
    numeric = [step.__sklearn_tags__().input_tags.two_d_array for step in steps]
    if not any(numeric):
        raise TypeError(
            f"{type(steps[-1]).__name__} reads session tables, and ONNX has no list columns."
        )
    outside = numeric.index(True)
    names = getattr(steps[outside], "feature_names_in_", None)
    if outside:
        names = steps[outside - 1].get_feature_names_out()
    return steps[outside:], None if names is None else list(map(str, names))


def _transformer_graph(steps):
    """Return the graph of transformers, double in and double out."""
    from skl2onnx.common.data_types import DoubleTensorType

    columns = steps[0].n_features_in_
    return _converted(
        Pipeline([(str(i), _by_position(step)) for i, step in enumerate(steps)]),
        DoubleTensorType([None, columns]),
    )


def _classifier_graph(clf, first):
    """Return the graph of a classifier's probabilities."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    if type(clf).__module__.startswith("sktraffic.neural_network."):
        from sktraffic.neural_network import network_to_onnx

        graph = network_to_onnx(clf, OPSETS[""])
        wanted = graph.graph.input[0].type.tensor_type.elem_type
        given = wanted if first and wanted == TensorProto.INT64 else TensorProto.DOUBLE
    else:
        kind = FloatTensorType if isinstance(clf, _TREES) else DoubleTensorType
        graph = _converted(clf, kind([None, clf.n_features_in_]), {"zipmap": False})
        wanted = graph.graph.input[0].type.tensor_type.elem_type
        given = TensorProto.DOUBLE
    return _chain([_cast(given, wanted, clf.n_features_in_), graph])


def _converted(estimator, kind, options=None):
    from skl2onnx import convert_sklearn

    try:
        return convert_sklearn(
            estimator,
            initial_types=[("input", kind)],
            target_opset=OPSETS,
            options=None if options is None else {id(estimator): options},
            custom_shape_calculators={
                ForestSelector: _same_type,
                FunctionTransformer: _same_type,
                SimpleImputer: _same_type,
            },
            custom_conversion_functions={
                ForestSelector: _convert_selector,
                FunctionTransformer: _convert_function,
                SimpleImputer: _convert_imputer,
            },
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


def _pick(scope, container, x, kept, out):
    """Add a node that picks columns."""
    name = scope.get_unique_variable_name("kept")
    container.add_initializer(name, 7, [len(kept)], kept.tolist())  # 7: int64
    container.add_node(
        "Gather", [x, name], [out], name=scope.get_unique_operator_name("Gather"), axis=1
    )


def _convert_selector(scope, operator, container):
    """Pick the columns that a ForestSelector keeps."""
    kept = _kept_columns(operator.raw_operator)
    _pick(scope, container, operator.inputs[0].full_name, kept, operator.outputs[0].full_name)


def _convert_imputer(scope, operator, container):
    """Fill missing doubles, for which onnxruntime's own Imputer has no kernel."""
    step, x = operator.raw_operator, operator.inputs[0].full_name
    if step.add_indicator or not np.isnan(step.missing_values):
        raise TypeError("SimpleImputer has a graph where NaN is missing and no indicator is added")
    values, kept = np.asarray(step.statistics_, dtype=np.float64), _kept_columns(step)
    if kept is not None and len(kept) < len(values):
        _pick(scope, container, x, kept, picked := scope.get_unique_variable_name("picked"))
        x, values = picked, values[kept]
    missing = scope.get_unique_variable_name("missing")
    name = scope.get_unique_variable_name("values")
    container.add_initializer(name, 11, [len(values)], values.tolist())  # 11: double
    container.add_node("IsNaN", [x], [missing], name=scope.get_unique_operator_name("IsNaN"))
    container.add_node(
        "Where",
        [missing, name, x],
        [operator.outputs[0].full_name],
        name=scope.get_unique_operator_name("Where"),
    )


def _convert_function(scope, operator, container):
    """Apply the few functions that have a graph: none, log(1 + x), infinite to missing."""
    function = operator.raw_operator.func
    x, out = operator.inputs[0].full_name, operator.outputs[0].full_name

    def add(kind, inputs, outputs):
        container.add_node(kind, inputs, outputs, name=scope.get_unique_operator_name(kind))

    def constant(value):
        name = scope.get_unique_variable_name("constant")
        container.add_initializer(name, 11, [], [value])  # 11: double
        return name

    def new(name):
        return scope.get_unique_variable_name(name)

    if function is None:
        add("Identity", [x], [out])
    elif function is np.log1p:
        above = new("above")
        add("Add", [x, constant(1.0)], [above])
        add("Log", [above], [out])
    elif (
        getattr(function, "__module__", "") == _TO_FLOATS[0] and function.__name__ == _TO_FLOATS[1]
    ):
        # IsInf takes no double in this opset: infinite is what is as far from 0 as can be
        far, infinite = new("far"), new("infinite")
        add("Abs", [x], [far])
        add("Equal", [far, constant(float("inf"))], [infinite])
        add("Where", [infinite, constant(float("nan")), x], [out])
    else:
        name = getattr(function, "__name__", repr(function))
        raise TypeError(f"the function {name} has none; np.log1p and numbers as they are have")


def _cast(given, wanted, width):
    """Return a graph that changes the type of numbers."""
    from onnx import helper

    node = helper.make_node("Cast", ["input"], ["output"], to=wanted)
    return _model([node], {"input": (given, [None, width])}, {"output": (wanted, [None, width])})


def _label_graph(classes, declining, kind):
    """Return the graph from probabilities to labels and probabilities.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    declining : (float, label) or None
        Probability below which the label is another one, and that label.
    kind : onnx.TypeProto
        Of the probabilities.
    """
    from onnx import helper, numpy_helper

    labels = list(classes) if declining is None else [*classes, declining[1]]
    kinds = {np.asarray(label).dtype.kind for label in labels}
    dtype = np.int64 if kinds <= {*"biu"} else np.float64 if kinds <= {*"biuf"} else object
    labels = np.array([str(x) for x in labels] if dtype is object else labels, dtype=dtype)
    constants = [numpy_helper.from_array(labels, "labels")]
    nodes = [helper.make_node("ArgMax", ["input"], ["best"], axis=1, keepdims=0)]
    if declining is not None:
        number = helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type)
        constants += [
            numpy_helper.from_array(np.asarray(declining[0], number), "threshold"),
            numpy_helper.from_array(np.int64(len(classes)), "unknown"),
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
        ]
        nodes += [
            helper.make_node("ReduceMax", ["input", "axis"], ["surest"], keepdims=0),
            helper.make_node("Less", ["surest", "threshold"], ["unsure"]),
            helper.make_node("Where", ["unsure", "unknown", "best"], ["answer"]),
        ]
    nodes += [
        helper.make_node(
            "Gather", ["labels", "best" if declining is None else "answer"], ["label"]
        ),
        helper.make_node("Identity", ["input"], ["probabilities"]),
    ]
    elements, shape = kind.tensor_type.elem_type, [None, len(classes)]
    return _model(
        nodes,
        {"input": (elements, shape)},
        {"label": (constants[0].data_type, [None]), "probabilities": (elements, shape)},
        constants,
    )


def _output(model):
    """Return the last output of a graph: of a classifier, its probabilities."""
    return model.graph.output[-1]


def _chain(parts):
    """Put graphs one behind the other: input `X`, the outputs of the last."""
    from onnx import compose

    for part in parts:
        part.ir_version = IR_VERSION
        # skl2onnx tells versions that its nodes would do with, some of them twice
        del part.opset_import[:]
        part.opset_import.extend(_opsets())
    # every graph numbers its names from the start
    parts = [compose.add_prefix(part, f"{len(parts)}_{i}_") for i, part in enumerate(parts)]
    whole = parts[0]
    for part in parts[1:]:
        whole = compose.merge_models(
            whole,
            part,
            io_map=[(_output(whole).name, part.graph.input[0].name)],
            outputs=[output.name for output in part.graph.output],
        )
    return whole


def _rename(model, names):
    """Give inputs and outputs of a graph other names, in place."""
    graph = model.graph
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)


def _model(nodes, inputs, outputs, constants=()):
    from onnx import helper

    def values(infos):
        return [helper.make_tensor_value_info(name, *info) for name, info in infos.items()]

    graph = helper.make_graph(nodes, "part", values(inputs), values(outputs), list(constants))
    return helper.make_model(graph, opset_imports=_opsets(), ir_version=IR_VERSION)


def _opsets():
    from onnx import helper

    return [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
