"""CIFAR-100: 50,000 + 10,000 colour photographs, 32×32, 100 classes; downloaded (169 MB) at first use.

Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".
"""

from __future__ import annotations

from pathlib import Path

from supernet_cli.data import Dataset, Progress, cifar


def load(root: Path | None, progress: Progress) -> Dataset:
    """Load CIFAR-100 from the user's folder, or download it.

    Args:
        root: The user's folder, or None.
        progress: Called during the download.

    Raises:
        DataError: Files are missing, damaged, or cannot be downloaded.
    """
    return cifar.load_or_download("CIFAR100", root, progress)
