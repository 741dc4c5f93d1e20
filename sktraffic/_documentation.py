"""Where the pages of the documentation are, for estimators, commands and messages to name them."""

__all__ = ["Explained", "Linked", "page"]

SITE = "https://sktraffic.readthedocs.io/en/stable/"


def page(name):
    """Return the address of a page of the documentation.

    Parameters
    ----------
    name : str
        Path below ``docs/`` without its suffix.

    Returns
    -------
    str

    Examples
    --------
    >>> from sktraffic._documentation import page
    >>> page("user_guide/captures")
    'https://sktraffic.readthedocs.io/en/stable/user_guide/captures.html'
    """
    return f"{SITE}{name}.html"


class Explained:
    """An exception that a page explains: a note under the traceback names it.

    The page is given with the class, ``class CaptureError(Explained, ValueError,
    page="user_guide/captures")``; the message itself stays as it is.
    """

    def __init_subclass__(cls, page=None, **kwargs):
        super().__init_subclass__(**kwargs)
        if page is not None:
            cls._page = page

    def __init__(self, *args):
        super().__init__(*args)
        self.add_note(f"See {page(self._page)}")


class Linked:
    """The HTML representation links to the estimator's page in the reference."""

    _doc_link_module = "sktraffic"
    _doc_link_template = page("api/generated/{estimator_module}.{estimator_name}")
