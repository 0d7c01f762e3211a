"""Evaluate some paths of a run: with inherited weights, and with weights of their own where they have been trained."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from supernet_cli.reports.next_step import finish_first
from supernet_cli.space import Architecture
from supernet_cli.store.results import ScoreRow, Split, check_results, is_writable
from supernet_cli.workflows.interruption import Interruption
from supernet_cli.workflows.session import Session

logger = logging.getLogger(__name__)


def judge(
    session: Session, paths: Sequence[Architecture], split: Split, figures: Collection[str] | None = None
) -> list[ScoreRow]:
    """Evaluate the trained networks of a run, store the results, and return them.

    Args:
        session: The run, and where its networks are evaluated.
        paths: Which paths.
        split: Whose images.
        figures: What to measure of the paths besides their sizes: latencies and zero-cost proxies, by their fields of
            `PathProfile`. All of them by default.

    Raises:
        RunError: The run has no trained network yet, its results are damaged, a worker failed, or a cluster is not
            there.
        KeyboardInterrupt: A signal came; what was evaluated until then is stored.
    """
    run, observer = session.run, session.observer
    if not any(job.weights.is_file() for job in run.jobs()):
        raise finish_first(run, "trained network yet")
    check_results(run)
    with observer.working("loading torch and the data") as advance, Interruption() as interruption:
        from supernet_cli.training.judge import Networks, judge_run

        threads = max((job.status().threads for job in run.supernet_jobs()), default=0)
        prepared = session.prepare(advance, threads or None)

        def stop_if_asked() -> None:
            if interruption.requested:
                raise KeyboardInterrupt

        executor, spread = session.workplace.for_judging(prepared), None
        if executor is not None:
            from supernet_cli.executors._judging import spread_over

            spread = spread_over(executor, lambda: interruption.wish)
        networks = Networks.of(run, paths)
        rows = judge_run(prepared, run, networks, paths, split, advance, stop_if_asked, spread, figures)
    if not is_writable(run):
        with observer.warnings():
            logger.warning("%s is read-only: these results were not stored", run.folder)
    return rows
