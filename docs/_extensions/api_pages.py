"""Write the pages of the API reference from each module's ``__all__``.

The pages follow the code: a name that a module exports has a page, and no other name has one.
"""

import importlib
import inspect
import pkgutil
import sys
import warnings

from sphinx.pycode import ModuleAnalyzer

import sktraffic

HEAD = """.. The build writes this page from ``__all__`` of {name}.

{title}
{line}

.. automodule:: {name}
   :no-members:

.. currentmodule:: {name}
"""
GROUP = """
{title}
{line}

.. autosummary::
   :toctree: generated
   :nosignatures:

{names}
"""
DATA = """
.. py:data:: {name}
   :value: {value}

   {comment}
"""
INDEX = """.. The build writes this page from the package's modules.

API reference
=============

Every public name of the package, module by module. A module imports only from those above it.

{rows}

.. toctree::
   :hidden:

{pages}
"""


def public_modules():
    """Names of the modules with an ``__all__``, in the order in which they may import."""
    found = {}
    for info in pkgutil.iter_modules(sktraffic.__path__):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"sktraffic.{info.name}")
        if hasattr(module, "__all__"):
            found[module.__name__] = module
    return found


def kind(value):
    """Say under which heading a public name stands."""
    if inspect.isclass(value):
        return "Errors and warnings" if issubclass(value, Exception) else "Classes"
    return "Functions" if callable(value) and not hasattr(value, "registered_commands") else "Data"


def groups(module):
    """Public names of a module by heading: {heading: [name, ...]}."""
    found = {"Classes": [], "Functions": [], "Errors and warnings": [], "Data": []}
    for name in sorted(module.__all__, key=str.lower):
        found[kind(getattr(module, name))].append(name)
    return {heading: names for heading, names in found.items() if names}


def comment_on(name, module):
    """Return the ``#:`` comment on a constant, from the file of the package that assigns it."""
    for defining in sorted(sys.modules):
        if defining.startswith(module.__name__):
            comments = ModuleAnalyzer.for_module(defining).find_attr_docs()
            if ("", name) in comments:
                return " ".join(comments["", name]).strip()
    return ""


def data_entry(name, module):
    """Write up one constant: its value, in a line, and the comment on it."""
    value = repr(getattr(module, name)).replace("\n", " ")
    short = value if len(value) <= 100 else value[:97] + "..."
    return DATA.format(name=name, value=short, comment=comment_on(name, module))


def module_page(name, module):
    """Write up one module: its docstring, then its names by heading, each with a page."""
    page = HEAD.format(name=name, title=name, line="=" * len(name))
    for heading, names in groups(module).items():
        if heading == "Data":
            page += f"\n{heading}\n{'-' * len(heading)}\n"
            page += "".join(data_entry(item, module) for item in names)
            continue
        rows = "\n".join(f"   {item}" for item in names)
        page += GROUP.format(title=heading, line="-" * len(heading), names=rows)
    return page


def write(folder):
    """Write ``index.rst`` and a page a module below ``folder``; touch only what changes."""
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        modules = public_modules()
    pages = {f"{name}.rst": module_page(name, module) for name, module in modules.items()}
    first_line = {name: inspect.getdoc(module).split("\n")[0] for name, module in modules.items()}
    rows = "\n".join(f":doc:`{name}`\n   {first_line[name]}\n" for name in modules)
    listed = "\n".join(f"   {name}" for name in modules)
    pages["index.rst"] = INDEX.format(rows=rows, pages=listed)
    names = {f"{name}.{item}.rst" for name, module in modules.items() for item in module.__all__}
    for old in folder.rglob("*.rst"):
        if old.name not in pages and old.name not in names:
            old.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def forget_examples(sources, built):
    """Remove what an earlier build made of examples that are gone."""
    there = {path.stem for path in sources.glob("*.py")} | {"index", "sg_execution_times"}
    for page in built.glob("*.rst"):
        if page.stem not in there:
            for old in built.glob(f"{page.stem}.*"):
                old.unlink()
