"""Weights of a pre-trained BERT, from a folder or from a fitted `MaskedByteModel`."""

import json
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

#: Parameter of the estimators -> key of BERT's configuration.
CONFIG_KEYS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
}
#: What reading weights may raise.
READ_ERRORS = (OSError, RuntimeError, ValueError, SafetensorError)
#: Rows of these are cut to what the new model has: fewer positions, one kind of segment.
CUT = ("embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight")


@contextmanager
def quiet_transformers():
    """Silence transformers' progress bars and load reports, and put its settings back."""
    # transformers takes seconds to import: only those who use BERT wait
    from transformers.utils import logging as transformers_logging

    level, bars = (
        transformers_logging.get_verbosity(),
        transformers_logging.is_progress_bar_enabled(),
    )
    transformers_logging.set_verbosity(transformers_logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def read_folder(folder):
    """Read configuration (dict) and weights (dict of Tensor) that `save_pretrained` wrote.

    The folder is of this machine; nothing is ever downloaded. One that does not hold a whole BERT
    is a ValueError.
    """
    from transformers import BertModel

    folder = Path(folder)
    remedy = "MaskedByteModel.save_pretrained(folder) writes one."
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(
            f"pretrained={str(folder)!r} is no folder with a config.json on this machine; "
            f"nothing is downloaded. {remedy}"
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}. {remedy}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} holds no JSON object. {remedy}")
    if config.get("model_type") != "bert":
        raise ValueError(
            f"{path} describes a model of type {config.get('model_type')!r}, not 'bert'. {remedy}"
        )
    try:
        # initialisation draws numbers even though weights follow: not from the caller's generator
        with quiet_transformers(), torch.random.fork_rng(devices=[]):
            model, info = BertModel.from_pretrained(
                folder,
                local_files_only=True,
                add_pooling_layer=False,
                output_loading_info=True,
                use_safetensors=True,  # never a pickle
                dtype=torch.float32,
            )
    except READ_ERRORS as error:
        raise ValueError(f"The BERT in {folder} cannot be read: {error} {remedy}") from error
    if info["missing_keys"]:
        raise ValueError(
            f"The weights in {folder} lack {sorted(info['missing_keys'])[:3]} of BERT. {remedy}"
        )
    return model.config.to_dict(), model.state_dict()


def load_bert(bert, config, state, params, name):
    """Put pre-trained weights into a new BERT of the same shape, in place.

    ``config`` and ``state`` are those of the pre-trained one, ``params`` and ``name`` of the
    estimator. If the two differ in more than the number of positions, it is a ValueError.
    """
    own = bert.config.to_dict()
    differing = {
        param: (config[key], own[key])
        for param, key in CONFIG_KEYS.items()
        if param in params and config[key] != own[key]
    }
    if config.get("hidden_act") != own["hidden_act"]:
        raise ValueError(
            f"The pre-trained BERT's activation is {config.get('hidden_act')!r}, {name}'s "
            f"{own['hidden_act']!r}."
        )
    if config["max_position_embeddings"] < own["max_position_embeddings"]:
        differing["max_length"] = (
            config["max_position_embeddings"],
            own["max_position_embeddings"],
        )
    if differing:
        wanted = ", ".join(f"{param}={theirs}" for param, (theirs, _) in differing.items())
        got = ", ".join(f"{param}={ours}" for param, (_, ours) in differing.items())
        raise ValueError(f"The pre-trained BERT has {wanted}; {name} has {got}. Pass {wanted}.")
    new = bert.state_dict()
    for key in CUT:
        state = {**state, key: state[key][: len(new[key])]}
    bert.load_state_dict({key: state[key] for key in new})


def bert_state(model):
    """Return configuration and weights of the BERT inside a fitted `MaskedByteModel`."""
    bert = model.module_.lm.bert
    return bert.config.to_dict(), bert.state_dict()
