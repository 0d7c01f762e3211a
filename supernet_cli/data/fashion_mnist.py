"""Fashion-MNIST: 60,000 + 10,000 grey images of clothing, 28×28, ten classes; downloaded (31 MB) at first use.

Source: Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747. MIT licence.
"""

from __future__ import annotations

from pathlib import Path

from supernet_cli.data import Dataset, Progress, idx


def load(root: Path | None, progress: Progress) -> Dataset:
    """Load Fashion-MNIST from the user's folder, or download it.

    Args:
        root: The user's folder, or None.
        progress: Called during the download.

    Raises:
        DataError: Files are missing, damaged, or cannot be downloaded.
    """
    return idx.load_or_download("FashionMNIST", root, progress)
