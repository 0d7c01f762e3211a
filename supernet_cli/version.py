"""The version of the package, and those of the libraries it runs on."""

from __future__ import annotations

__version__ = "0.1.0"


def version_of(library: str) -> str | None:
    """Return the version of a library; None if it is not installed."""
    import importlib.metadata

    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None
