"""Which types a model file may name, for what, and the walk over a file that checks them.

skops writes a model as a tree of nodes. A node names a loader, which says what is done (fill an
object with its attributes, call a class with arguments, look a function up, ...), and the class or
function that it is done with. Both must fit: a class that may be filled is not thereby one that may
be called, and what a user admits never is a name for a function to call.
"""

import functools
import importlib
import json

import imblearn
import numpy as np
from sklearn.utils import all_estimators


def _qualified(text):
    """Names with their modules, from lines of a module and its names; indented ones go on."""
    lines = (line.split(":") for line in text.strip().replace("\n  ", " ").splitlines())
    return [f"{module}.{name}" for module, names in lines for name in names.split()]


# each of these is filled without running anything but its class, and none of them imports or calls
# by name what it finds in its state
_OWN = """
sktraffic.capture._extractor.SessionExtractor
sktraffic.cluster._elbow.ElbowKMeans
sktraffic.cluster._gaussian_mixture.ElbowGaussianMixture
sktraffic.cluster._optics.OPTICSDBSCAN
sktraffic.ensemble._selection.MeanOfFits
sktraffic.ensemble._selection.SelectionEnsemble
sktraffic.feature_extraction._byte_tokens.ByteTokens
sktraffic.feature_extraction._packet_sizes.PacketSizeMatrix
sktraffic.feature_extraction._protocol_matrix.ProtocolMatrix
sktraffic.feature_extraction._sequences.PacketSequences
sktraffic.feature_extraction._session_features.SessionFeatures
sktraffic.feature_extraction._session_statistics.SessionStatistics
sktraffic.feature_selection._forest.ForestSelector
sktraffic.inspection._shortcut_parts.LookupClassifier
sktraffic.model_selection._capture_kfold.CaptureKFold
sktraffic.model_selection._chronological.ChronologicalSplit
sktraffic.model_selection._rejecting.RejectingClassifier
sktraffic.neural_network._bigru_da_bert.BiGRUDABert
sktraffic.neural_network._cnn_lstm.CNNLSTM
sktraffic.neural_network._deep_packet_cnn.DeepPacketCNN
sktraffic.neural_network._deep_packet_sae.DeepPacketSAE
sktraffic.neural_network._ensemble.TransformerEnsemble
sktraffic.neural_network._masked_byte_model.MaskedByteModel
sktraffic.neural_network._member.TransformerMember
sktraffic.neural_network._mlp.MLPClassifier
sktraffic.neural_network._packet_rows.PacketRows
sktraffic.neural_network._packet_sequence.PacketSequenceClassifier
sktraffic.neural_network._sequence_encoder.SequenceEncoder
sktraffic.over_sampling._adasyn.GuardedADASYN
sktraffic.pipeline._classifier.CaptureClassifier
sktraffic.pipeline._features.KnownFeatures
sktraffic.preprocessing._preprocessor.ColumnChoice
""".split()
# besides its public estimators; `_sound.py` checks what a TreePredictor indexes memory by
_SKLEARN = _qualified("""
sklearn.ensemble._hist_gradient_boosting.binning: _BinMapper
sklearn.ensemble._hist_gradient_boosting.predictor: TreePredictor
sklearn.calibration: _CalibratedClassifier _SigmoidCalibration _TemperatureScaling
sklearn._loss.link: HalfLogitLink IdentityLink Interval LogLink LogitLink MultinomialLogit
sklearn._loss.loss: AbsoluteError ExponentialLoss HalfBinomialLoss HalfGammaLoss
    HalfMultinomialLoss HalfPoissonLoss HalfSquaredError HalfTweedieLoss HalfTweedieLossIdentity
    HuberLoss PinballLoss
sklearn.metrics._scorer: _CurveScorer _PassthroughScorer _Scorer
sklearn.model_selection._split: GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut
    RepeatedStratifiedKFold ShuffleSplit StratifiedGroupKFold StratifiedKFold
    StratifiedShuffleSplit
sklearn.multiclass: _ConstantPredictor
sklearn.neural_network._stochastic_optimizers: AdamOptimizer SGDOptimizer
sklearn.utils._metadata_requests: MetadataRequest MethodMetadataRequest
""")
_LOSSES = _qualified("""
sklearn._loss._loss: CyAbsoluteError CyExponentialLoss CyHalfBinomialLoss CyHalfGammaLoss
    CyHalfMultinomialLoss CyHalfPoissonLoss CyHalfSquaredError CyHalfTweedieLoss
    CyHalfTweedieLossIdentity CyHuberLoss CyPinballLoss
sklearn.linear_model._sgd_fast: EpsilonInsensitive Hinge ModifiedHuber SquaredEpsilonInsensitive
    SquaredHinge
""")
_FUNCTIONS = _qualified("""
numpy: mean median
sklearn.feature_selection._mutual_info: mutual_info_classif
sklearn.feature_selection._univariate_selection: chi2 f_classif
sklearn.metrics._classification: accuracy_score balanced_accuracy_score f1_score log_loss
    matthews_corrcoef precision_score recall_score
sklearn.metrics._ranking: average_precision_score roc_auc_score
sktraffic.metrics._sparse: sparse_class_f1_score
sktraffic.preprocessing._preprocessor: to_floats to_words
""")
_PLAIN_TYPES = frozenset(f"builtins.{name}" for name in ("bool", "float", "int", "str"))
# loaders that only ever look a name up
_REFERRING = ("FunctionNode", "TypeNode")
# loaders through which a class that a user admits may come: its objects and itself
_ADMITTING = ("ConstructorFromReduceNode", "DictNode", "ListNode", "ObjectNode", "TupleNode")
# also from a file that names no loader but these is refused what calls a name: methods, partial
# functions and operators have none here
_NAMES = {
    "BytesNode": frozenset(["builtins.bytes"]),
    "DTypeNode": frozenset(["numpy.dtype"]),
    "DefaultDictNode": frozenset(["collections.defaultdict"]),
    "DictNode": frozenset(
        ["builtins.dict", "collections.OrderedDict", "sklearn.utils._bunch.Bunch"]
    ),
    "FunctionNode": frozenset(_FUNCTIONS),
    "ListNode": frozenset(["builtins.list"]),
    "LossNode": frozenset(_LOSSES),
    "MaskedArrayNode": frozenset(["numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray"]),
    "NdArrayNode": frozenset(["numpy.ndarray"]),
    "RandomGeneratorNode": frozenset(["numpy.random._generator.Generator"]),
    "RandomStateNode": frozenset(["numpy.random.mtrand.RandomState"]),
    "SetNode": frozenset(["builtins.set"]),
    "SliceNode": frozenset(["builtins.slice"]),
    # scikit-learn's Tree indexes memory by what is in its arrays: `_sound.py` checks them
    "TreeNode": frozenset(["sklearn.tree._tree.Tree"]),
    "TupleNode": frozenset(["builtins.tuple"]),
    "TypeNode": _PLAIN_TYPES | {"builtins.dict", "builtins.list", "builtins.set", "builtins.tuple"},
}


def audit(schema, admitted=()):
    """Go through a schema and sort its names into those that may be built and the others.

    The walk looks at every object that could be a node wherever it stands, so it sees at least
    what skops would build. ``admitted`` are names that the user admits, as :func:`type_names` gives
    them. The first set holds what skops has to be told to trust; the second all others, with the
    loader where a trusted name is used for what it is not trusted with.
    """
    objects = frozenset([*_OWN, *_SKLEARN, *_public_estimators()])
    names, foreign, waiting = set(), set(), [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
            loader = value.get("__loader__")
            if not isinstance(loader, str) or loader == "JsonNode":
                continue
            name = _name(value)
            good = _may_be_built(name, loader, objects) or _is_admitted(name, loader, admitted)
            if good and _calls_plain_types_only(loader, value):
                names.add(name)
            else:
                misused = good or name in admitted or _is_trusted(name, objects)
                foreign.add(f"{name} ({loader})" if misused or loader not in _LOADERS else name)
    return names, foreign


def type_names(trusted):
    """Return the names of types that a user admits: ``"package.module.Name"``, or the type itself.

    What is no list, or holds anything else, is a TypeError.
    """
    if isinstance(trusted, str | type) or not hasattr(trusted, "__iter__"):
        raise TypeError(
            f"trusted is {trusted!r}; it must be a list of types or of their names, "
            "['mypackage.transformers.MyTransformer'] say."
        )
    names = set()
    for entry in trusted:
        if not isinstance(entry, str):
            module, name = (getattr(entry, part, None) for part in ("__module__", "__name__"))
            if not isinstance(module, str) or not isinstance(name, str):
                raise TypeError(
                    f"trusted holds {entry!r}, which is neither a type nor the name of one."
                )
            entry = f"{module}.{name}"
        names.add(entry)
    return frozenset(names)


def _name(node):
    return f"{node.get('__module__')}.{node.get('__class__')}"


def _may_be_built(name, loader, objects):
    """Say whether a name is one of those that a loader is trusted with."""
    if name in _NAMES.get(loader, ()):
        return True
    if loader == "ObjectNode":
        return name in objects
    if loader == "FunctionNode":
        return _is_ufunc(name)
    return loader in ("NdArrayNode", "TypeNode") and _is_numpy_scalar(name)


def _is_trusted(name, objects):
    """Say whether a name is trusted with one thing or another."""
    return name in objects or any(name in group for group in _NAMES.values())


def _is_admitted(name, loader, admitted):
    """Say whether the user admits a name; functions may be referred to, never called."""
    if name not in admitted:
        return False
    if loader in _REFERRING:
        return True
    if loader not in _ADMITTING:
        return False
    module, _, attribute = name.rpartition(".")
    try:
        return isinstance(getattr(importlib.import_module(module), attribute), type)
    except (ImportError, AttributeError):
        return False


def _calls_plain_types_only(loader, node):
    """Say whether what a node calls besides its own name is plain: types of keys, generators."""
    if loader == "DictNode":
        return _has_plain_keys(node)
    return loader != "RandomGeneratorNode" or _names_bit_generator(node)


def _has_plain_keys(node):
    """Say whether the keys of a dictionary, which are made by calling their types, are plain."""
    types = node.get("key_types")
    keys = types.get("content") if isinstance(types, dict) else None
    if not isinstance(keys, list):
        return False
    if not all(isinstance(key, dict) for key in keys):
        return False
    return all(_name(key) in _PLAIN_TYPES or _is_numpy_scalar(_name(key)) for key in keys)


def _names_bit_generator(node):
    """Say whether a random generator's kind, which skops calls by name, is one of NumPy's."""
    try:
        text = node["content"]["bit_generator"]["content"]["bit_generator"]["content"]
        kind = getattr(np.random, json.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError):
        return False
    return isinstance(kind, type) and issubclass(kind, np.random.BitGenerator)


def _is_numpy_scalar(name):
    module, _, attribute = name.rpartition(".")
    kind = getattr(np, attribute, None) if module == "numpy" else None
    return isinstance(kind, type) and issubclass(kind, np.generic)


def _is_ufunc(name):
    module, _, attribute = name.rpartition(".")
    if module == "scipy.special":
        return isinstance(getattr(importlib.import_module(module), attribute, None), np.ufunc)
    return module == "numpy" and isinstance(getattr(np, attribute, None), np.ufunc)


@functools.cache
def _public_estimators():
    """Name the public estimators of scikit-learn and imbalanced-learn."""
    classes = [imblearn.pipeline.Pipeline, *(cls for _, cls in all_estimators())]
    for room in (
        imblearn.combine,
        imblearn.ensemble,
        imblearn.over_sampling,
        imblearn.under_sampling,
    ):
        classes += [getattr(room, name) for name in room.__all__]
    names = (f"{cls.__module__}.{cls.__name__}" for cls in classes)
    return [name for name in names if name.startswith(("imblearn.", "sklearn."))]


_LOADERS = frozenset([*_NAMES, "ConstructorFromReduceNode", "ObjectNode"])
