"""Compare one-shot scores with stand-alone trainings, and keep the comparison with each run."""

from __future__ import annotations

from collections.abc import Sequence

from supernet_cli.errors import DiskError
from supernet_cli.reports import compare as reports
from supernet_cli.reports.comparison import Comparison
from supernet_cli.store.results import keep_finding
from supernet_cli.store.run import Run
from supernet_cli.workflows.observer import Observer


def compare(runs: Sequence[Run], truth: Run | None = None, observer: Observer | None = None) -> Comparison:
    """Compare runs with their stand-alone results, and keep each run's comparison with it.

    A comparison with the results of another run is not kept. Reads stored results only.

    Args:
        runs: Runs of one search space.
        truth: The run whose stand-alone results to take (default: each run's own).
        observer: Sees what could not be kept: a run may belong to somebody else, or lie on a read-only disk.

    Raises:
        RunError: Facts are missing or damaged.
        UsageError: The runs' spaces differ, or the ground truth belongs to another experiment.
    """
    comparison = reports.compare(runs, truth)
    if truth is None:
        for run, found in zip(runs, comparison.runs, strict=True):
            try:
                keep_finding(run, "comparison", Comparison(runs=(found,)).document())
            except DiskError as failed:
                (observer or Observer()).note(f"The comparison was not stored with the run: {failed.message}")
    return comparison
