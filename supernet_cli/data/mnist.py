"""MNIST: 60,000 + 10,000 handwritten digits, 28×28, one channel; shipped with the package.

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits". CC BY-SA 3.0.
"""

from __future__ import annotations

from pathlib import Path

from supernet_cli.data import Dataset, Progress, idx

_EMBEDDED = Path(__file__).parent / "embedded" / "mnist"
_DIGESTS = dict(
    zip(
        idx.FILES,
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        strict=True,
    )
)


def load(root: Path | None, progress: Progress) -> Dataset:
    """Load MNIST from the user's folder, or from the package's own copy.

    Args:
        root: The user's folder, or None.
        progress: Not called: unpacking takes half a second.

    Raises:
        DataError: Files are missing or damaged.
    """
    found = idx.find_files(root, "MNIST") if root else idx.unpack_embedded(_EMBEDDED, _DIGESTS, "MNIST")
    return idx.read("MNIST", found)
