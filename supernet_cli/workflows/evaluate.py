"""Evaluate paths of a run on the test or the validation images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from supernet_cli.store.results import ScoreRow, Split
from supernet_cli.store.run import Run
from supernet_cli.workflows.judge import judge
from supernet_cli.workflows.selection import paths_to_evaluate
from supernet_cli.workflows.session import Session


@dataclass(frozen=True)
class Evaluated:
    """Scores of some paths.

    Args:
        run: Their run.
        split: The images.
        rows: A score for each network: with inherited weights for each supernet, and with weights of its own.
    """

    run: Run
    split: Split
    rows: tuple[ScoreRow, ...]


def evaluate(
    session: Session,
    names: Sequence[str] = (),
    split: Split = "test",
    sample: int | None = None,
    top: int | None = None,
) -> Evaluated:
    """Evaluate paths with inherited weights, and with weights of their own where they have been trained.

    Scores, which images were classified correctly, sizes, latencies and zero-cost proxies are also stored in the run.

    Args:
        session: The run, and where its networks are evaluated.
        names: The paths. By default all; in a large space, those that something is known of.
        split: The images.
        sample: Evaluate so many random paths instead.
        top: Evaluate so many of the best by one-shot score instead.

    Raises:
        UsageError: Paths are chosen in several ways, or there is no such path.
        RunError: The run has no trained network yet, or is damaged.
        DataError: The images are missing or damaged.
        KeyboardInterrupt: A signal came; what was evaluated until then is stored.
    """
    paths = paths_to_evaluate(session, names, sample, top)
    return Evaluated(session.run, split, tuple(judge(session, paths, split)))
