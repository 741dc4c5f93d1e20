"""A progress bar over captures."""


def track(items, total, show):
    """Yield lists of captures' results, with a progress bar on standard error if `show`."""
    if not show:
        yield from items
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("captures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("captures", total=total)
        for item in items:
            bar.advance(task, len(item))
            yield item
