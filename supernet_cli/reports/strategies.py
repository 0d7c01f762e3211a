"""Sampling strategies compared with `uniform`, over supernet seeds."""

from __future__ import annotations

from collections.abc import Sequence

from supernet_cli.reports.comparison import RunComparison, Strategy
from supernet_cli.reports.measured import measure


def strategies(runs: Sequence[RunComparison]) -> tuple[Strategy, ...]:
    """Return each run's strategy compared with `uniform`; none if no run has that."""
    from supernet_cli.reports.statistics.intervals import welch_against

    baseline = next((run for run in runs if run.sampler == "uniform"), None)
    if baseline is None:
        return ()
    others = [run for run in runs if run is not baseline]
    found = welch_against(baseline.kendall_tau.per_seed, {run.run: run.kendall_tau.per_seed for run in others})
    return tuple(
        Strategy(
            run=run.run,
            sampler=run.sampler,
            against=baseline.run,
            difference=measure(found[run.run].difference),
            p=measure(found[run.run].p),
            adjusted=measure(found[run.run].adjusted),
            budget=_unequal(run, baseline),
        )
        for run in others
    )


def _unequal(run: RunComparison, baseline: RunComparison) -> str:
    """Return a remark if two supernets were trained with different budgets."""
    if run.forward_images == baseline.forward_images:
        return ""
    return f"{run.forward_images:,.0f} forward images; uniform had {baseline.forward_images:,.0f}."
