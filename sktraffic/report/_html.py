"""A page of text, numbers, tables and figures in one file."""

import base64
import io
import os
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from sktraffic._files import replacing

STYLE = """
:root { --ink: #1d2530; --soft: #5b6675; --line: #dfe4ea; --blue: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.5rem 4rem; color: var(--ink);
  background: #fff; font: 16px/1.55 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .6rem; }
h2 { font-size: 1.3rem; margin: 2.8rem 0 .5rem; padding-top: 1rem;
  border-top: 1px solid var(--line); }
p { margin: .5rem 0; max-width: 48rem; }
.lead { font-size: 1.1rem; color: var(--soft); }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.4rem 0; }
.card { border: 1px solid var(--line); border-radius: .5rem; padding: .7rem 1rem; min-width: 9rem; }
.card b { display: block; font-size: 1.6rem; line-height: 1.2; color: var(--blue);
  font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: .85rem; }
.wide { overflow-x: auto; }
.wide:focus-visible { outline: 2px solid var(--blue); }
table { border-collapse: collapse; margin: .8rem 0; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th { font-weight: 600; color: var(--soft); border-bottom: 2px solid var(--line); }
th, td { padding: .28rem .8rem; text-align: right; white-space: nowrap; }
th.text, td.text { text-align: left; }
td { border-bottom: 1px solid var(--line); }
figure { margin: 1rem 0 1.6rem; }
figure img { max-width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: .9rem; max-width: 48rem; }
.figures { display: grid; gap: 1.2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.figures figure { margin: .6rem 0; min-width: 0; }
@media (max-width: 40rem) {
  body { padding: 1.2rem 1rem 3rem; }
  h1 { font-size: 1.5rem; }
  .card { flex: 1 1 40%; min-width: 0; }
  figure img { max-width: none; } /* its text stays readable; wide figures scroll */
}
"""


class HTMLReport:
    """Page of headings, text, cards, tables and figures, all in one file.

    Figures are embedded, nothing is loaded from elsewhere and no script runs, so the file can be
    mailed and opened without a network. All text is escaped.

    Parameters
    ----------
    title : str
    lead : str, default=""
        One or two sentences below the title.

    Examples
    --------
    >>> from sktraffic.report import HTMLReport
    >>> report = HTMLReport("Monday's captures").add_heading("Result").add_text("All is <well>.")
    >>> "All is &lt;well&gt;." in report.to_html()
    True
    """

    def __init__(self, title, lead=""):
        self.title = title
        self.lead = lead
        self._parts = []

    def add_heading(self, text):
        """Begin a section; returns the report, as all of these do."""
        return self._add(f"<h2>{escape(text)}</h2>")

    def add_text(self, text):
        """Add a paragraph."""
        return self._add(f"<p>{escape(text)}</p>")

    def add_cards(self, cards):
        """Add numbers that meet the eye.

        Parameters
        ----------
        cards : dict of str to str
            What a number is, and the number.
        """
        inner = "".join(
            f'<div class="card"><b>{escape(str(value))}</b><span>{escape(name)}</span></div>'
            for name, value in cards.items()
        )
        return self._add(f'<div class="cards">{inner}</div>')

    def add_table(self, table, caption="", *, digits=3):
        """Add a table.

        Parameters
        ----------
        table : DataFrame
            Its index is the first column where it has a name.
        caption : str, default=""
        digits : int, default=3
            Decimals of floating-point numbers; NaN is left empty.
        """
        frame = table.reset_index() if table.index.name else table
        text = [not pd.api.types.is_numeric_dtype(frame[name]) for name in frame]
        head = "".join(_head(str(n), t) for n, t in zip(frame, text, strict=True))
        rows = []
        for row in frame.itertuples(index=False):
            cells = zip(row, text, strict=True)
            rows.append("".join(f"<td{_text(t)}>{_cell(v, digits)}</td>" for v, t in cells))
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        title = f"<caption>{escape(caption)}</caption>" if caption else ""
        whole = f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return self._add(_scrolling(whole, caption or f"Table {len(self._parts)}"))

    def add_figures(self, figures):
        """Add figures side by side where there is room.

        Parameters
        ----------
        figures : iterable of (matplotlib Figure, str)
            With what is to be said about each.
        """
        count = len(self._parts)
        inner = "".join(
            _figure(figure, said, f"{count}.{i}") for i, (figure, said) in enumerate(figures)
        )
        return self._add(f'<div class="figures">{inner}</div>')

    def add_figure(self, figure, caption=""):
        """Add a matplotlib figure as embedded SVG.

        Parameters
        ----------
        figure : matplotlib Figure
        caption : str, default=""
        """
        return self._add(_figure(figure, caption, len(self._parts)))

    def to_html(self):
        """Return the page as a str."""
        lead = f'<p class="lead">{escape(self.lead)}</p>' if self.lead else ""
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{STYLE}</style></head>\n<body><main>"
            f"<h1>{escape(self.title)}</h1>{lead}\n"
            + "\n".join(self._parts)
            + "</main></body></html>\n"
        )

    def save(self, path):
        """Write the page.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        Path
        """
        path = Path(os.fspath(path))
        page = self.to_html()
        with replacing(path) as temporary:
            temporary.write_text(page, encoding="utf-8")
        return path

    def _repr_html_(self):
        return self.to_html()

    def _add(self, part):
        self._parts.append(part)
        return self


def _scrolling(content, name):
    """Let wide content scroll inside itself; the keyboard reaches it, and it has a name."""
    label = escape(name, quote=True)
    return f'<div class="wide" tabindex="0" role="region" aria-label="{label}">{content}</div>'


def _head(name, is_text):
    if not name.strip():  # a header must say something
        return "<td></td>"
    return f'<th scope="col"{_text(is_text)}>{escape(name)}</th>'


def _text(is_text):
    return ' class="text"' if is_text else ""


def _cell(value, digits):
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float | np.floating):
        return f"{value:.{digits}f}"
    return f"{value:,}" if isinstance(value, int | np.integer) else escape(str(value))


def _figure(figure, caption, number=0):
    from matplotlib import rc_context

    buffer = io.BytesIO()
    # a fixed salt and no date: the same figures give the same file
    with rc_context({"svg.hashsalt": "sktraffic"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    note = escape(caption)
    picture = f'<img alt="{note}" src="data:image/svg+xml;base64,{data}">'
    said = f"<figcaption>{note}</figcaption>" if caption else ""
    return f"<figure>{_scrolling(picture, caption or f'Figure {number}')}{said}</figure>"
