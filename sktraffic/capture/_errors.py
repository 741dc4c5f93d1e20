"""What goes wrong with a capture."""

from sktraffic._documentation import Explained


class CaptureError(Explained, ValueError, page="user_guide/captures"):
    """A capture cannot be read; the message names the file, what was found and what to do.

    Examples
    --------
    >>> from sktraffic.capture import CaptureError, SessionExtractor
    >>> try:
    ...     SessionExtractor().transform("no-such-file.pcap")
    ... except CaptureError as error:
    ...     print(error)
    There is no file, folder or match for no-such-file.pcap.
    """


class CaptureWarning(UserWarning):
    """A capture was left out, or read in part."""
