"""The order of the examples in the gallery: from a first look to what few need."""

ORDER = (
    "first_look",
    "quick_start",
    "own_captures",
    "exports",
    "characterise_traffic",
    "honest_evaluation",
    "early_decision",
    "sparse_classes",
    "grid_search",
    "unknown_traffic",
    "bert_on_bytes",
    "live_stream",
    "model_card",
)


class ByTask:
    """Sort key of sphinx-gallery: the place of a file in `ORDER`."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, file):
        """Return the place of a file; an example that is not listed is an error."""
        name = file.removeprefix("plot_").removesuffix(".py")
        if name not in ORDER:
            raise ValueError(f"{file} has no place in the gallery: put it into {__file__}.")
        return ORDER.index(name)
