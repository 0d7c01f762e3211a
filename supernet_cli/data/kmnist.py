"""Kuzushiji-MNIST: 60,000 + 10,000 cursive Japanese characters, 28×28, ten classes; downloaded (21 MB) at first use.

Source: Clanuwat et al. 2018, arXiv 1812.01718. CC BY-SA 4.0.
"""

from __future__ import annotations

from pathlib import Path

from supernet_cli.data import Dataset, Progress, idx


def load(root: Path | None, progress: Progress) -> Dataset:
    """Load Kuzushiji-MNIST from the user's folder, or download it.

    Args:
        root: The user's folder, or None.
        progress: Called during the download.

    Raises:
        DataError: Files are missing, damaged, or cannot be downloaded.
    """
    return idx.load_or_download("KMNIST", root, progress)
