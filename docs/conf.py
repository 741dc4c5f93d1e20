"""Settings of the documentation site; ``make docs`` builds it."""

import os
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent)]

import api_pages  # noqa: E402

import sktraffic  # noqa: E402

# the build draws into files and trains small networks beside other work
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")

project = "sktraffic"
author = "the sktraffic developers"
copyright = author
version = release = sktraffic.__version__

extensions = [
    "external_links",
    "name_links",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates", "_extensions"]
templates_path = ["_templates"]
nitpicky = True
default_role = "literal"

# -- the reference: one page a public name, from __all__ -------------------------------------

api_pages.write(HERE / "api")
autosummary_generate = [str(page) for page in (HERE / "api").glob("*.rst")]
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# -- Markdown ---------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "substitution"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

# -- gallery ----------------------------------------------------------------------------------

# SKTRAFFIC_DOCS_EXAMPLES: "all", or a regular expression of the examples that are run
api_pages.forget_examples(HERE.parent / "examples", HERE / "auto_examples")
wanted = os.environ.get("SKTRAFFIC_DOCS_EXAMPLES", "all")
sphinx_gallery_conf = {
    "examples_dirs": [str(HERE.parent / "examples")],
    "gallery_dirs": ["auto_examples"],
    "filename_pattern": "/plot_" if wanted == "all" else f"/plot_({wanted})",
    "backreferences_dir": "api/examples",
    "doc_module": ("sktraffic",),
    "reference_url": {"sktraffic": None},
    "abort_on_example_error": False,
    "only_warn_on_example_error": False,
    "remove_config_comments": True,
    "within_subsection_order": "gallery_order.ByTask",
    "matplotlib_animations": False,
    "min_reported_time": 0,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": True,
    "download_all_examples": False,
}

# -- HTML -------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = f"sktraffic {version}"
html_static_path = ["_static"]
html_favicon = html_logo = "_static/logo.svg"
html_css_files = ["sktraffic.css"]
html_context = {"default_mode": "auto"}  # what the browser prefers
html_show_sourcelink = False
# pages that stand alone: no empty list of neighbours beside them
ALONE = ("index", "installation", "getting_started", "comparison", "results", "whats_new")
html_sidebars = {page: [] for page in ALONE}
html_theme_options = {
    "logo": {"text": f"sktraffic {version}", "alt_text": "sktraffic, to the first page"},
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}
