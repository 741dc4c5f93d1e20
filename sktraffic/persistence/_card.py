"""The model card: what a person should know before using a model, as Markdown.

It is written by skops' `Card`, under the headings of skops' own template, from what the provenance
holds and from what only the maker knows.
"""

# what only the maker knows, and what the card says where it is not told
TOLD = {
    "intended_use": "Not told. Label traffic of networks like those it was trained on, and score "
    "it on captures of your own first; it is not made for decisions about persons.",
    "limitations": "Not told. A model knows the networks, programs and days of its training "
    "captures; on others it is worse than its scores say.",
    "split": "Not told. Scores on sessions of captures that were also trained on say little.",
    "shortcuts": "Not looked for: `sktraffic.inspection.shortcut_report` does.",
}
_USES = "Model description/Intended uses & limitations"
_TRAINING = "Model description/Training Procedure"
_RESULTS = "Model description/Evaluation Results"


def check_told(card):
    """Return the maker's part of a card, with a text for each of `TOLD`.

    A card goes from keys of `TOLD` to texts; ``"shortcuts"`` may be a `ShortcutReport`. Another key
    is a ValueError.
    """
    card = dict(card or {})
    unknown = sorted(set(card) - set(TOLD))
    if unknown:
        raise ValueError(
            f"A model card has no section {', '.join(unknown)}; it has {', '.join(TOLD)}."
        )
    report = card.get("shortcuts")
    if hasattr(report, "shortcuts"):
        card["shortcuts"] = _shortcut_words(report)
    return {key: str(card.get(key) or text) for key, text in TOLD.items()}


def _shortcut_words(report):
    """Sentences of a shortcut report, found and noted, as a list in Markdown."""
    found = [*report.shortcuts.values()] or ["Looked for, and none found."]
    return "\n".join(f"- {line}" for line in [*found, *report.notes])


def render(note, told, repr_of_model):
    """Return the card of a model, in Markdown, from its provenance, as `describe` gives it.

    What is told is of :func:`check_told`.
    """
    from skops.card import Card  # late, as skops.io

    card = Card(None, template=None)
    model = f"{note['estimator']}, made {note['created']}.\n\n```\n{repr_of_model}\n```"
    card.add(**{"Model description": model, _USES: told["intended_use"]})
    card.add(**{f"{_USES}/Limitations": told["limitations"]})
    card.add(**{_TRAINING: _data(note)})
    if note["class_counts"]:
        card.add(**{f"{_TRAINING}/Classes": _table(_counts(note["class_counts"]))})
    card.add(**{f"{_TRAINING}/Sessions": _settings(note["extraction"])})
    card.add(**{f"{_TRAINING}/Versions": _listed(note["versions"])})
    card.add(**{_RESULTS: f"Split: {told['split']}"})
    if note["scores"]:
        card.add(**{f"{_RESULTS}/Scores": _table(_scores(note))})
    card.add(**{f"{_RESULTS}/Shortcuts": told["shortcuts"]})
    return card.render()


def _data(note):
    names = note["feature_names"]
    lines = [f"Training data: SHA-256 {note['data_hash'] or 'not known'}"]
    if names:
        more = ", ..." if len(names) > 8 else ""
        lines.append(f"{len(names)} features: {', '.join(map(str, names[:8]))}{more}")
    return "\n".join(f"- {line}" for line in lines)


def _counts(class_counts):
    """Rows of the table of classes; the first is its head."""
    rows = {
        label: count if isinstance(count, dict) else {"samples": count}
        for label, count in class_counts.items()
    }
    names = list(next(iter(rows.values())))
    return [["class", *names], *([label, *(row[n] for n in names)] for label, row in rows.items())]


def _scores(note):
    """Rows of the table of scores; a score without an interval has an empty one."""
    rows = [["score", "value", "95 % interval"]]
    for name, value in note["scores"].items():
        ends = note["intervals"].get(name)
        rows.append([name, f"{value:.3f}", f"{ends[0]:.3f} to {ends[1]:.3f}" if ends else ""])
    return rows


def _table(rows):
    """Rows as a table in Markdown (skops would put a table's whole path over it)."""
    head, *others = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *others])


def _settings(settings):
    return _listed(settings) if settings else "How sessions were read is not known."


def _listed(values):
    return "\n".join(f"- {name}: {value}" for name, value in values.items())
