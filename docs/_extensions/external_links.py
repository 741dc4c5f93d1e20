"""Link names of other projects to their documentation, by the pattern of its addresses.

The build asks no network for inventories, so it works where there is none. A name of another
project that is none of these stays an error, as an unknown name of our own does.
"""

from docutils import nodes

SKLEARN = "https://scikit-learn.org/stable/"
PAGES = {
    "sklearn": SKLEARN + "modules/generated/{name}.html",
    "imblearn": "https://imbalanced-learn.org/stable/references/generated/{name}.html",
    "numpy": "https://numpy.org/doc/stable/reference/generated/{name}.html",
    "pandas": "https://pandas.pydata.org/docs/reference/api/{name}.html",
    "matplotlib": "https://matplotlib.org/stable/api/_as_gen/{name}.html",
    "pyarrow": "https://arrow.apache.org/docs/python/generated/{name}.html",
    "torch": "https://docs.pytorch.org/docs/stable/generated/{name}.html",
}
GLOSSARY = SKLEARN + "glossary.html#term-{name}"
# sections of scikit-learn's guide that the docstrings of inherited methods name
SECTIONS = {
    "metadata_routing": SKLEARN + "metadata_routing.html",
    "df_output_transform": SKLEARN + "modules/df_output_transform.html",
    "accuracy_score": SKLEARN + "modules/model_evaluation.html#accuracy-score",
    "sphx_glr_auto_examples_miscellaneous_plot_set_output.py": SKLEARN
    + "auto_examples/miscellaneous/plot_set_output.html",
}


def address(domain, kind, target):
    """Return the page of a name outside this project, or None."""
    if domain == "std":
        if kind == "term":
            return GLOSSARY.format(name=target.replace(" ", "-"))
        return SECTIONS.get(target)
    if domain != "py":
        return None
    root, *path = target.split(".")
    pattern = PAGES.get(root)
    if pattern is None or not path:
        return None
    if kind == "meth":  # a method stands on its class's page
        return pattern.format(name=target.rpartition(".")[0]) + f"#{target}"
    return pattern.format(name=target)


def resolve(app, env, node, contnode):
    """Turn a reference that Sphinx cannot resolve into a link to another project."""
    target = node.get("reftarget", "")
    url = address(node.get("refdomain"), node.get("reftype"), target)
    if url is None:
        return None
    link = nodes.reference("", "", internal=False, refuri=url)
    link += contnode if contnode.astext() else nodes.Text(target)
    return link


def setup(app):
    """Register the handler."""
    app.connect("missing-reference", resolve)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
