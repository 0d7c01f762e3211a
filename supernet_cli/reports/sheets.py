"""A comparison as plain tables of text, which every format draws in its own way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from supernet_cli.glyphs import counted, number
from supernet_cli.reports.comparison import Comparison, PathRow, RunComparison
from supernet_cli.reports.figures import BestSpread, Measure, Spread
from supernet_cli.reports.formats import (
    ABSENT,
    amount,
    bounded,
    coefficient,
    deviation,
    duration,
    milliseconds,
    nats,
    over_supernets,
    p_value,
    percent,
    points,
    probability,
    ranged,
    regret,
)
from supernet_cli.reports.parts import BASELINES

SCORE_AXIS, TRUTH_AXIS = "one-shot validation loss, nats →", "↑ stand-alone test accuracy, %"
"""Axes of the figure of scores against ground truth."""

Row = tuple[str, str, str]
"""A figure's label, its value and a remark."""


@dataclass(frozen=True)
class Sheet:
    """One table.

    Args:
        title: What it shows.
        headings: Headings of its columns.
        rows: Cells, as shown.
        words: Columns of text, aligned left; the others hold figures.
        optional: Columns that may be dropped for lack of room, the first of them first.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]
    optional: tuple[str, ...] = ()

    def without(self, dropped: Sequence[str]) -> Sheet:
        """Return it without some columns."""
        kept = [index for index, heading in enumerate(self.headings) if heading not in dropped]
        rows = tuple(tuple(row[index] for index in kept) for row in self.rows)
        return replace(self, headings=tuple(self.headings[index] for index in kept), rows=rows)


def sheets(run: RunComparison, most_rows: int | None = None) -> list[Sheet]:
    """Return the tables of one run.

    Args:
        run: The run's comparison.
        most_rows: Paths to show at most (default: all).
    """
    return [
        paths(run.rows, most_rows),
        measures(run),
        baselines(run),
        regrets(run),
        disagreement(run),
        candidates(run),
        cost(run),
    ]


def paths(rows: Sequence[PathRow], most_rows: int | None = None) -> Sheet:
    """Return one row per path, in the order given."""
    shown = rows[:most_rows]
    cells = tuple((row.path, *(column.text(row) for column in PATH_COLUMNS)) for row in shown)
    title = "Paths" if len(shown) == len(rows) else f"Paths (the first {len(shown):,} of {len(rows):,})"
    headings = ("path", *(column.heading for column in PATH_COLUMNS))
    return Sheet(title, headings, cells, ("path",), OPTIONAL_COLUMNS)


def measures(run: RunComparison) -> Sheet:
    """Return how well the rankings agree, and how far to trust that; the reason, if a value is missing."""
    expected, bootstrap = run.kendall_tau_expected, run.tau_bootstrap
    sampled = run.coverage == "sample"
    rows = [
        (expected.label, bounded(expected), expected.note or _EXPECTED),
        *(_per_supernet(run, spread) for spread in (run.kendall_tau, run.spearman_rho, run.kendall_tau_top_quarter)),
        _measured(run.seed_agreement_top_quarter, "in a best quarter that other seeds chose"),
        _at_equal_macs(run),
        *_divergence(run),
        (run.tau_interval.label, ranged(run.tau_interval.bounds), run.tau_interval.note or "over supernet seeds"),
        *([(bootstrap.label, ranged(bootstrap.bounds), bootstrap.note)] if sampled else []),
        _measured(run.seed_agreement, "mean τ between pairs of stand-alone seeds"),
        _measured(run.tau_ceiling, "what a perfect ranking would reach"),
        *_corrected(run),
        (run.relabel_p.label, probability(run.relabel_p.value), _relabelling(run)),
        _measured(run.sparse_tau, "accuracies rounded to 0.1 %"),
        *_resolved(run),
    ]
    return Sheet("Agreement", ("measure", "value", ""), tuple(rows), ("measure", ""))


def baselines(run: RunComparison) -> Sheet:
    """Return how well orders that need no supernet agree with the ground truth."""
    rows = [("this supernet", coefficient(run.kendall_tau.mean), "", "")]
    for baseline in run.baselines:
        remark, seeds = baseline.note, len(baseline.per_seed)
        if baseline.range is not None:
            remark = f"95 % of random orders lie between {' and '.join(map(number, baseline.range))}"
        elif seeds > 1 and baseline.low is not None and baseline.high is not None:
            spread = ranged((baseline.low, baseline.high))
            remark = f"{spread} over {seeds} seeds; each costs as much as a supernet"
        rows.append((baseline.order, coefficient(baseline.kendall_tau), bounded(baseline.difference), remark))
    headings = ("order by", run.kendall_tau.label, "supernet ahead by (95 %)", "")
    return Sheet("Baselines", headings, tuple(rows), ("order by", ""), ("supernet ahead by (95 %)",))


def regrets(run: RunComparison) -> Sheet:
    """Return what is lost by training only the first few paths of an order, and what training them costs."""
    words = {"": "one-shot score", "largest": "parameters", "macs": BASELINES["macs"], "random": BASELINES["random"]}
    rows = []
    for name, word in words.items():
        cells = [word]
        for lost in run.lost(name):
            within = "" if lost.bounds is None else f" ({' to '.join(map(regret, lost.bounds))})"
            trained = lost.cost.trainings
            cells += [regret(lost.value) + within, ABSENT if trained is None else f"{trained:.1f}"]
        rows.append(tuple(cells))
    headings = ("first k by", run.regret_at_1.label, "its trainings", run.regret_at_3.label, "its trainings ")
    title = "Lost by training only the first k paths, accuracy points (95 % interval)"
    return Sheet(title, headings, tuple(rows), ("first k by",), ("its trainings", "its trainings "))


def disagreement(run: RunComparison) -> Sheet:
    """Return the sources of disagreement: standard deviations in points, and shares of the variance."""
    total = run.audit.total
    rows = []
    for part, share in (*run.audit.sources, (total, 1.0 if total.value else None)):
        sd = ABSENT if part.value is None else f"{math.sqrt(part.value):.3f}"
        rows.append((part.label, sd, ABSENT if share is None else f"{100 * share:.0f} %", part.note))
    return Sheet(
        "Sources of disagreement (accuracy points)", ("source", "sd", "share", ""), tuple(rows), ("source", "")
    )


def candidates(run: RunComparison) -> Sheet:
    """Return which operations the supernet over- or under-rates, in accuracy points."""
    rows = []
    for each in run.audit.candidates:
        bias, error = coefficient(each.bias.value, "+z.3f"), coefficient(each.error.value, ".3f")
        rows.append((f"block {each.block + 1}", each.label, bias, error, str(each.paths)))
    headings = ("block", "candidate", "over-rated by", "± SE", "paths")
    title = "Operations over- or under-rated by the supernet (accuracy points)"
    return Sheet(title, headings, tuple(rows), ("block", "candidate"))


def cost(run: RunComparison) -> Sheet:
    """Return what the experiment cost, by kind of work."""
    kinds = [run.cost.training, run.cost.evaluation, run.cost.stand_alone]
    kinds += [run.cost.short_training] if run.cost.short_training.macs else []
    rows = [(kind.label, amount(kind.forward_images), amount(kind.macs), duration(kind.seconds)) for kind in kinds]
    return Sheet("Cost", ("work", "forward images", "MACs", "time"), tuple(rows), ("work",))


def leading(run: RunComparison, most_rows: int) -> Sheet:
    """Return the paths with the highest expected accuracy, with what is known of each, in a table of one screen."""
    trained = [(row.expected_accuracy, row) for row in run.rows if row.expected_accuracy is not None]
    scored = [(row.one_shot_validation_loss, row.path) for row in run.rows if row.one_shot_validation_loss is not None]
    losses = sorted(scored, key=lambda pair: pair[0])
    ranks = {path: str(rank) for rank, (_, path) in enumerate(losses, start=1)}
    rows = [
        (
            row.path,
            percent(accuracy),
            f"{deviation(row.expected_low)} to {deviation(row.expected_high)}",
            ranks.get(row.path, ABSENT),
            amount(row.macs),
        )
        for accuracy, row in sorted(trained, key=lambda pair: -pair[0])[:most_rows]
    ]
    title = f"The best {counted(len(rows), 'path')} of {len(trained):,} trained from scratch"
    headings = ("path", "accuracy", "95 % interval", "one-shot rank", "MACs")
    return Sheet(title, headings, tuple(rows), ("path",), ("MACs",))


def overview(comparison: Comparison) -> Sheet:
    """Return one row per run, for several runs."""
    rows = [
        (
            run.run,
            run.answer.word if run.answer else ABSENT,
            run.sampler,
            amount(run.forward_images),
            str(len(run.supernet_seeds)),
            bounded(run.kendall_tau_expected),
            regret(run.regret_at_3.value),
            run.decision.best.path if run.decision else ABSENT,
        )
        for run in comparison.runs
    ]
    lost = comparison.runs[0].regret_at_3.label
    return Sheet(
        "Runs",
        ("run", "ranking", "sampler", "forward images", "seeds", "τ (95 %)", lost, "best path"),
        tuple(rows),
        ("run", "ranking", "sampler", "best path"),
        ("forward images", "best path", "seeds", lost),
    )


def strategies(comparison: Comparison) -> Sheet:
    """Return strategies compared with `uniform`, over supernet seeds."""
    rows = [
        (
            found.sampler,
            found.run,
            coefficient(found.difference.value, "+z.2f"),
            probability(found.p.value),
            probability(found.adjusted.value),
            " ".join(filter(None, (found.budget, found.p.note))),
        )
        for found in comparison.strategies or ()
    ]
    headings = ("sampler", "run", "Δτ vs. uniform", "p", "p (Holm)", "")
    return Sheet("Strategies against uniform", headings, tuple(rows), ("sampler", "run", ""))


def _measured(figure: Measure, remark: str) -> Row:
    """Return the row of a coefficient, with its note or else a remark."""
    return figure.label, coefficient(figure.value), figure.note or remark


def _per_supernet(run: RunComparison, spread: Spread) -> Row:
    """Return the row of a coefficient that each supernet has."""
    seeds, parts = len(run.supernet_seeds), []
    if isinstance(spread, BestSpread) and spread.mean is not None and spread.paths is not None:
        parts.append(counted(spread.paths, "path"))
    if spread.mean is not None and seeds > 1:
        parts.append(over_supernets(spread, seeds))
    return spread.label, coefficient(spread.mean), ". ".join(filter(None, ("; ".join(parts), spread.note)))


def _corrected(run: RunComparison) -> list[Row]:
    found = run.tau_corrected
    if not found.is_known:
        return []  # for the same reason as the ceiling
    return [_measured(found.stand_alone, ""), _measured(found.both, "")]


def _divergence(run: RunComparison) -> list[Row]:
    found = run.divergence
    if found.nats is None:
        return []  # the strategy does not train the network with nothing dropped
    remark = f"closeness to the network with nothing dropped; mean distance {found.nats:.2f} nats"
    return [(found.label, coefficient(found.kendall_tau.mean), found.note or remark)]


def _at_equal_macs(run: RunComparison) -> Row:
    found = run.at_equal_macs
    if found.p.value is None:
        return found.label, ABSENT, found.note
    chance = f"{ranged(found.null)} without knowledge beyond size; {p_value(found.p.value)}"
    return found.label, coefficient(found.correlation.mean), chance


def _relabelling(run: RunComparison) -> str:
    found = run.relabelling
    if run.relabel_p.value is None or found.smallest_p is None:
        return run.relabel_p.note
    count = f"{found.relabellings:,}"
    which = f"all {count} relabellings" if found.exhaustive else f"{count} random relabellings"
    return f"{which}; smallest possible {p_value(found.smallest_p)}"


def _resolved(run: RunComparison) -> list[Row]:
    share, differing = run.resolved_share, run.mcnemar.differing
    pairs = "pairs of paths that differ by more than seed and image noise"
    networks = "network pairs (same seed) that differ significantly (McNemar, Holm-corrected)"
    return [
        (share.label, _of(run.resolved_pairs.value, run.pairs), share.note or pairs),
        _measured(run.resolved_gamma, "share in the right order minus share in the wrong order"),
        (differing.label, _of(differing.value, run.mcnemar.pairs or 0), differing.note or networks),
    ]


def _of(count: float | None, pairs: int) -> str:
    return ABSENT if count is None else f"{count:,.0f} of {pairs:,}"


_EXPECTED = "with the expected accuracies of all paths; 95 % interval"


@dataclass(frozen=True)
class PathColumn:
    """A column of figures in the table of paths.

    Args:
        heading: Its heading.
        value: A path's figure.
        form: How a figure is written.
    """

    heading: str
    value: Callable[[PathRow], float | None]
    form: Callable[[float | None], str]

    def text(self, row: PathRow) -> str:
        """Return a path's cell."""
        return self.form(self.value(row))


PATH_COLUMNS = (
    PathColumn("accuracy", lambda row: row.expected_accuracy, percent),
    PathColumn("± 95 %", lambda row: row.expected_error, deviation),
    PathColumn("val. loss", lambda row: row.one_shot_validation_loss, nats),
    PathColumn("one-shot", lambda row: row.one_shot_test_accuracy, percent),
    PathColumn("alone", lambda row: row.stand_alone_test_accuracy, percent),
    PathColumn("± sd", lambda row: row.stand_alone_sd, deviation),
    PathColumn("diff.", lambda row: row.difference, points),
    PathColumn("parameters", lambda row: row.parameters, amount),
    PathColumn("MACs", lambda row: row.macs, amount),
    PathColumn("latency", lambda row: row.latency_seconds, milliseconds),
    PathColumn("time", lambda row: row.seconds, duration),
)
"""Expected accuracy first; then what was observed, with inherited weights and alone."""

OPTIONAL_COLUMNS = ("time", "latency", "± 95 %", "diff.", "MACs", "parameters", "val. loss")
"""Headings of those that may be dropped for lack of room, the first of them first."""
