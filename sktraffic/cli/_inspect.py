"""``sktraffic inspect``."""

import sys

from rich.markdown import Markdown

from sktraffic._files import replacing
from sktraffic.cli._output import console, print_json
from sktraffic.persistence import ModelFileError, read_provenance


def run(model, card, as_json):
    """Print a model's card, or all that its file says of itself as JSON; write the card."""
    note = read_provenance(model)
    text = _card(model, note) if card is not None or not as_json else None
    if card is not None:
        with replacing(card) as temporary:
            temporary.write_text(text, "utf-8")
    if as_json:
        print_json(note)
    elif card is None:
        console().print(Markdown(text)) if sys.stdout.isatty() else print(text)


def _card(model, note):
    """Return the card without what would steer a terminal: its text is the file's, not ours."""
    text = note.get("card")
    if not isinstance(text, str):
        raise ModelFileError(f"{model} holds no model card; --json prints what it says of itself.")
    return "".join(c for c in text if c.isprintable() or c == "\n")
