"""Settings of the documentation, which `make docs` builds from Markdown and docstrings."""

from pathlib import Path

import tailorbird
from tailorbird.pipeline.recipe_reference import as_markdown

DOCS = Path(__file__).parent

project = "Tailorbird"
author = "the authors of Tailorbird"
release = version = tailorbird.__version__
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = "Tailorbird"
html_show_sourcelink = False
html_copy_source = False

autodoc_typehints = "none"  # signatures would be longer than what they say; sentences have shapes
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False


def write_if_other(path: Path, text: str) -> None:
    """Writes a page, unless it is there, so that nothing is built for nothing."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


write_if_other(DOCS / "recipe.md", as_markdown())
