"""Link public names in code font to their pages: ``CaptureKFold`` in a sentence is enough."""

from collections import Counter
from functools import cache

import api_pages
from docutils import nodes


@cache
def pages():
    """Return the page of every public name that only one module exports: {name: page}."""
    exported = [(n, m) for m, its in api_pages.public_modules().items() for n in its.__all__]
    count = Counter(name for name, _ in exported)
    return {
        name: f"api/generated/{module}.{name}"
        for name, module in exported
        if count[name] == 1 and not name.isupper() and (name[0].isupper() or "_" in name)
    }


def link(app, doctree, docname):
    """Wrap what is a public name, alone or called, in a link, but not in titles or on its page."""
    found = pages()
    for node in list(doctree.findall(nodes.literal)):
        page = found.get(node.astext().partition("(")[0])
        if page is None or page == docname or page not in app.env.all_docs:
            continue
        if isinstance(node.parent, (nodes.reference, nodes.title)):
            continue
        target = nodes.reference("", "", internal=True)
        target["refuri"] = app.builder.get_relative_uri(docname, page)
        node.replace_self(target)
        target += node


def setup(app):
    """Register the handler."""
    app.connect("doctree-resolved", link)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
