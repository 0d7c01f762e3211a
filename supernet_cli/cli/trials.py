"""What `supernet search --table` prints: how search policies do on a table of known accuracies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from supernet_cli.cli.output import Output
    from supernet_cli.policies.trial import Trial
    from supernet_cli.workflows.try_policies import Trials

_SHOWN = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


def say_trials(
    voice: Output,
    table: Path,
    policies: Sequence[str],
    trainings: int,
    repeats: int,
    limits: Mapping[str, float],
    scores: Sequence[str] | None,
) -> None:
    """Try policies on a table, and print the regret of their picks.

    Args:
        voice: Where to print.
        table: The table.
        policies: Their names; none for all.
        trainings: Of each search.
        repeats: Searches of each policy.
        limits: The largest value of each limited figure.
        scores: The table's scores that policies may see; None for all.
    """
    from supernet_cli.glyphs import counted
    from supernet_cli.workflows.try_policies import try_on_table

    trials = try_on_table(table, policies, trainings, repeats, limits, scores, voice)
    heading = f"{trials.table}: {counted(trials.paths, 'path')}"
    if trials.within < trials.paths:
        heading += f", {trials.within:,} within the limits"
    searches = counted(repeats, "search", "searches")
    heading += f"; regret of the pick in points of test accuracy, ± standard error over {searches}"
    voice.result(trials.document(), heading, "", _table(trials))


def _table(trials: Trials) -> RenderableType:
    from supernet_cli.cli.render import columns

    most = max(trial.regret.shape[1] for _, trial in trials.policies)
    shown = sorted({*(count for count in _SHOWN if count < most), most})
    headings = ["trainings", *map(str, shown)]
    table = columns(headings, headings[1:])
    for name, trial in trials.policies:
        table.add_row(name, *_regrets(trial, shown))
        if trial.mean_coverage is not None:
            coverage = trial.mean_coverage
            table.add_row("  within 90 % intervals", *(f"{100 * coverage[count - 1]:.0f} %" for count in shown))
    return table


def _regrets(trial: Trial, shown: Sequence[int]) -> list[str]:
    errors = [f" ± {error:.2f}" if error == error else "" for error in trial.standard_error.tolist()]
    return [f"{trial.mean_regret[count - 1]:.2f}{errors[count - 1]}" for count in shown]
