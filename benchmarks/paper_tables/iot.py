"""The captures of IoT devices, for the tables of both papers."""

import warnings

from sktraffic.capture import CaptureWarning
from sktraffic.datasets import load_captures


def load_iot(files, extractor, **options):
    """Read captures of IoT devices as (X, y, groups).

    What a device sends to a group comes back from the access point, so it is there twice; in five
    captures of a camera that is a third of all packets. The copies stay: they are there for every
    device, and whoever watches a network like this sees them too.
    """
    with warnings.catch_warnings():
        for text in (".* of the first packets are there twice", "The same was to be said"):
            warnings.filterwarnings("ignore", text, CaptureWarning)
        return load_captures(files, extractor=extractor, return_X_y=True, **options)
