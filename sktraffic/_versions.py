"""Versions of what the package stands on."""

CORE = (
    "cypcap",
    "imbalanced-learn",
    "joblib",
    "matplotlib",
    "nfstream",
    "numpy",
    "pandas",
    "platformdirs",
    "pooch",
    "psutil",
    "pyarrow",
    "requests",
    "rich",
    "scikit-learn",
    "scipy",
    "skops",
    "threadpoolctl",
    "typer",
)


def installed(names):
    """Return the versions of those distributions that are installed, a dict of str."""
    from importlib import metadata

    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def show_versions():
    """Print the versions of Python, of this package, and of all that it can use.

    It is what a bug report should hold: the system, each dependency, each extra, the thread pools
    of the numerical libraries, and the programs that some tests compare with.

    Examples
    --------
    >>> import sktraffic
    >>> sktraffic.show_versions()  # doctest: +ELLIPSIS
    sktraffic: 0...
    """
    import os
    import platform
    import shutil
    import sys

    import numpy  # noqa: F401 - so that its thread pool is there to be seen
    from threadpoolctl import threadpool_info

    from sktraffic import __version__
    from sktraffic._extras import EXTRAS

    print(f"sktraffic: {__version__}")
    print(f"python: {platform.python_version()} ({sys.executable})")
    print(f"system: {platform.platform()}, {os.cpu_count()} processors")
    versions = installed(CORE)
    print("\nCore")
    for name in CORE:
        print(f"  {name}: {versions.get(name, 'not installed')}")
    print("\nExtras")
    for extra, names in EXTRAS.items():
        versions = installed(names)
        listed = ", ".join(f"{name} {versions.get(name, 'not installed')}" for name in names)
        print(f"  {extra}: {listed}")
    print("\nThread pools")
    for pool in threadpool_info():
        print(f"  {pool['internal_api']} {pool['version']}: {pool['num_threads']} threads")
    print("\nPrograms")
    for name in ("tshark", "tcpdump", "dumpcap"):
        print(f"  {name}: {shutil.which(name) or 'not found'}")
