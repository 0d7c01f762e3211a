"""A comparison as plain tables of text, which every format draws in its own way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from supernet_cli.glyphs import counted, number
from supernet_cli.reports.labels import BASELINES, LABELS, SOURCES

ABSENT = "–"
"""Shown in place of a missing value."""


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
        return Sheet(self.title, tuple(self.headings[index] for index in kept), rows, self.words)


def sheets(entry: dict[str, Any], most_rows: int | None = None) -> list[Sheet]:
    """Return the tables of one run's entry.

    Args:
        entry: From the document of `supernet compare`.
        most_rows: Paths to show at most (default: all).
    """
    return [
        paths(entry, most_rows),
        measures(entry),
        baselines(entry),
        regrets(entry),
        disagreement(entry),
        candidates(entry),
        cost(entry),
    ]


def paths(entry: dict[str, Any], most_rows: int | None = None) -> Sheet:
    """Return one row per path, in the order of the document."""
    rows = entry["rows"][:most_rows]
    cells = [tuple(column.form(row.get(column.field)) for column in PATH_COLUMNS) for row in rows]
    total = len(entry["rows"])
    title = "Paths" if len(rows) == total else f"Paths (the first {len(rows):,} of {total:,})"
    headings = tuple(column.heading for column in PATH_COLUMNS)
    return Sheet(title, headings, tuple(cells), ("path",), OPTIONAL_COLUMNS)


def measures(entry: dict[str, Any]) -> Sheet:
    """Return how well the rankings agree, and how far to trust that; the reason, if a value is missing."""
    rows = [
        _measure(entry, "kendall_tau_expected", bounded(entry["kendall_tau_expected"]), _EXPECTED),
        *(_per_supernet(entry, key) for key in ("kendall_tau", "spearman_rho", "kendall_tau_top_quarter")),
        _measured(entry, "seed_agreement_top_quarter", "in a best quarter that other seeds chose"),
        _at_equal_macs(entry),
        *_divergence(entry),
        _interval(entry, "tau_interval", "over supernet seeds"),
        *([_interval(entry, "tau_bootstrap")] if entry["coverage"] == "sample" else []),
        _measured(entry, "seed_agreement", "mean τ between pairs of stand-alone seeds"),
        _measured(entry, "tau_ceiling", "what a perfect ranking would reach"),
        *_corrected(entry),
        (LABELS["relabel_p"], probability(entry["relabel_p"]), _relabelling(entry)),
        _measured(entry, "sparse_tau", "accuracies rounded to 0.1 %"),
        *_resolved(entry),
    ]
    return Sheet("Agreement", ("measure", "value", ""), tuple(rows), ("measure", ""))


def baselines(entry: dict[str, Any]) -> Sheet:
    """Return how well orders that need no supernet agree with the ground truth."""
    rows = [("this supernet", _coefficient(entry["kendall_tau"]["mean"]), "", "")]
    for baseline in entry["baselines"]:
        remark = _note(entry, f"baselines.{baseline['name']}")
        if baseline.get("range"):
            low, high = baseline["range"]
            remark = f"95 % of random orders lie between {number(low)} and {number(high)}"
        elif len(baseline.get("per_seed", ())) > 1 and baseline["kendall_tau"] is not None:
            spread = _range([baseline["low"], baseline["high"]])
            remark = f"{spread} over {len(baseline['per_seed'])} seeds; each costs as much as a supernet"
        ahead = bounded(baseline.get("difference"))
        rows.append((baseline_name(baseline["name"]), _coefficient(baseline["kendall_tau"]), ahead, remark))
    headings = ("order by", LABELS["kendall_tau"], "supernet ahead by (95 %)", "")
    return Sheet("Baselines", headings, tuple(rows), ("order by", ""), ("supernet ahead by (95 %)",))


def regrets(entry: dict[str, Any]) -> Sheet:
    """Return what is lost by training only the first few paths of an order, and what training them costs."""
    words = {None: "one-shot score", "largest": "parameters", "macs": BASELINES["macs"], "random": BASELINES["random"]}
    rows = []
    for name, word in words.items():
        cells = [word]
        for k in (1, 3):
            field = f"regret_at_{k}"
            value = entry[field] if name is None else entry[f"{field}_baselines"][name]
            interval = entry[f"{field}_interval"] if name is None else entry[f"{field}_baseline_intervals"][name]
            trained = entry[f"{field}_cost"] if name is None else entry[f"{field}_baseline_costs"][name]
            within = "" if interval is None else f" ({_regret_value(interval[0])} to {_regret_value(interval[1])})"
            cells += [_regret_value(value) + within, _trainings(trained["trainings"])]
        rows.append(tuple(cells))
    headings = ("first k by", LABELS["regret_at_1"], "its trainings", LABELS["regret_at_3"], "its trainings ")
    title = "Lost by training only the first k paths, accuracy points (95 % interval)"
    return Sheet(title, headings, tuple(rows), ("first k by",), ("its trainings", "its trainings "))


def baseline_name(name: str) -> str:
    """Return the label of a baseline."""
    return BASELINES.get(name, name)


def disagreement(entry: dict[str, Any]) -> Sheet:
    """Return the sources of disagreement: standard deviations in points, and shares of the variance."""
    audit = entry["audit"]
    shares = {**audit["shares"], "total": 1.0 if audit["total"] else None}
    rows = []
    for name in (*SOURCES, "total"):
        part, share, key = audit[name], shares[name], f"audit.{name}"
        deviation = ABSENT if part is None else f"{math.sqrt(part):.3f}"
        rows.append((LABELS[key], deviation, ABSENT if share is None else f"{100 * share:.0f} %", _note(entry, key)))
    return Sheet(
        "Sources of disagreement (accuracy points)", ("source", "sd", "share", ""), tuple(rows), ("source", "")
    )


def candidates(entry: dict[str, Any]) -> Sheet:
    """Return which operations the supernet over- or under-rates, in accuracy points."""
    rows = []
    for candidate in entry["audit"]["candidates"]:
        bias, error = candidate["bias"], candidate["error"]
        rows.append(
            (
                f"block {candidate['block'] + 1}",
                candidate["label"],
                ABSENT if bias is None else number(bias, "+z.3f"),
                ABSENT if error is None else f"{error:.3f}",
                str(candidate["paths"]),
            )
        )
    headings = ("block", "candidate", "over-rated by", "± SE", "paths")
    title = "Operations over- or under-rated by the supernet (accuracy points)"
    return Sheet(title, headings, tuple(rows), ("block", "candidate"))


def cost(entry: dict[str, Any]) -> Sheet:
    """Return what the experiment cost, by kind of work."""
    kinds = ["training", "evaluation", "stand_alone"]
    kinds += ["short_training"] if entry["cost"]["short_training"]["macs"] else []
    rows = []
    for kind in kinds:
        spent = entry["cost"][kind]
        figures = (amount(spent["forward_images"]), amount(spent["macs"]), duration(spent["seconds"]))
        rows.append((LABELS[f"cost.{kind}"], *figures))
    return Sheet("Cost", ("work", "forward images", "MACs", "time"), tuple(rows), ("work",))


def leading(entry: dict[str, Any], most_rows: int) -> Sheet:
    """Return the paths with the highest expected accuracy, with what is known of each, in a table of one screen."""
    trained = [row for row in entry["rows"] if row.get("expected_accuracy") is not None]
    by_score = sorted(
        (row for row in entry["rows"] if row["one_shot_validation_loss"] is not None),
        key=lambda row: row["one_shot_validation_loss"],
    )
    ranks = {row["path"]: str(rank) for rank, row in enumerate(by_score, start=1)}
    rows = [
        (
            row["path"],
            percent(row["expected_accuracy"]),
            f"{100 * row['expected_low']:.2f} to {100 * row['expected_high']:.2f}",
            ranks.get(row["path"], ABSENT),
            amount(row["macs"]),
        )
        for row in sorted(trained, key=lambda row: -row["expected_accuracy"])[:most_rows]
    ]
    title = f"The best {counted(len(rows), 'path')} of {len(trained):,} trained from scratch"
    headings = ("path", "accuracy", "95 % interval", "one-shot rank", "MACs")
    return Sheet(title, headings, tuple(rows), ("path",), ("MACs",))


def overview(document: dict[str, Any]) -> Sheet:
    """Return one row per run, for several runs."""
    rows = []
    for entry in document["runs"]:
        rows.append(
            (
                entry["run"],
                entry["answer"]["word"],
                entry["sampler"],
                amount(entry["forward_images"]),
                str(len(entry["supernet_seeds"])),
                bounded(entry["kendall_tau_expected"]),
                _regret_value(entry["regret_at_3"]),
                entry["decision"]["best"]["path"],
            )
        )
    headings = ("run", "ranking", "sampler", "forward images", "seeds", "τ (95 %)", LABELS["regret_at_3"])
    return Sheet(
        "Runs",
        (*headings, "best path"),
        tuple(rows),
        ("run", "ranking", "sampler", "best path"),
        ("forward images", "best path", "seeds", LABELS["regret_at_3"]),
    )


def strategies(document: dict[str, Any]) -> Sheet:
    """Return strategies compared with `uniform`, over supernet seeds."""
    rows = [
        (
            found["sampler"],
            found["run"],
            ABSENT if found["difference"] is None else number(found["difference"], "+z.2f"),
            probability(found["p"]),
            probability(found["adjusted"]),
            " ".join(found["notes"][key] for key in ("budget", "p") if key in found["notes"]),
        )
        for found in document["strategies"]
    ]
    headings = ("sampler", "run", "Δτ vs. uniform", "p", "p (Holm)", "")
    return Sheet("Strategies against uniform", headings, tuple(rows), ("sampler", "run", ""))


def bounded(value: dict[str, Any] | None) -> str:
    """Return a coefficient with its 95 % interval."""
    if value is None or None in value.values():
        return ABSENT
    return f"{number(value['mean'])} ({_range([value['low'], value['high']])})"


def percent(value: float | None) -> str:
    """Return a fraction as a percentage."""
    return ABSENT if value is None else f"{100 * value:.2f} %"


def probability(value: float | None) -> str:
    """Return a p-value."""
    if value is None:
        return ABSENT
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def p_value(value: float) -> str:
    """Return a p-value as an equation."""
    return f"p = {value:.2g}" if value >= 0.001 else "p < 0.001"


def amount(value: float | None) -> str:
    """Return a large number in short form: 12,345 as it is, 12,345,678 as 12.3 M."""
    if value is None:
        return ABSENT
    for unit, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """Return a duration in a suitable unit."""
    if seconds is None:
        return ABSENT
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _milliseconds(value: float | None) -> str:
    return ABSENT if value is None else f"{1000 * value:.2f} ms"


def _points(value: float | None) -> str:
    return ABSENT if value is None else number(100 * value, "+z.2f")


def _sd(value: float | None) -> str:
    return ABSENT if value is None else f"{100 * value:.2f}"


def _loss(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.4f}"


def _coefficient(value: float | None) -> str:
    return ABSENT if value is None else number(value)


def _range(bounds: Sequence[float] | None) -> str:
    return ABSENT if bounds is None else f"{number(bounds[0])} to {number(bounds[1])}"


def _note(entry: dict[str, Any], key: str, otherwise: str = "") -> str:
    return str(entry["notes"].get(key, otherwise))


def _measure(entry: dict[str, Any], key: str, value: str, remark: str = "") -> tuple[str, str, str]:
    """Return a row on a field: its label, its value, and the note on it, or else a remark."""
    return LABELS[key], value, _note(entry, key, remark)


def _measured(entry: dict[str, Any], key: str, remark: str) -> tuple[str, str, str]:
    """Return the row of a coefficient."""
    return _measure(entry, key, _coefficient(entry[key]), remark)


def _interval(entry: dict[str, Any], key: str, remark: str = "") -> tuple[str, str, str]:
    return LABELS[key], _range(entry[key]), _note(entry, f"{key}.low", remark)


def _per_supernet(entry: dict[str, Any], key: str) -> tuple[str, str, str]:
    """Return the row of a coefficient that each supernet has."""
    spread, seeds = entry[key], len(entry["supernet_seeds"])
    parts = []
    if "paths" in spread and spread["mean"] is not None:
        parts.append(counted(spread["paths"], "path"))
    if spread["mean"] is not None and seeds > 1:
        parts.append(f"{_range([spread['low'], spread['high']])} over {seeds} supernets")
    remark = ". ".join(filter(None, ("; ".join(parts), _note(entry, key))))
    return LABELS[key], _coefficient(spread["mean"]), remark


def _corrected(entry: dict[str, Any]) -> list[tuple[str, str, str]]:
    corrected = entry["tau_corrected"]
    if corrected is None:
        return []  # for the same reason as the ceiling
    return [_measure(entry, f"tau_corrected.{key}", _coefficient(corrected[key])) for key in ("stand_alone", "both")]


def _divergence(entry: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = entry["divergence"]
    if found is None:
        return []  # the strategy does not train the network with nothing dropped
    remark = f"closeness to the network with nothing dropped; mean distance {found['nats']:.2f} nats"
    return [_measure(entry, "divergence", _coefficient(found["kendall_tau"]["mean"]), remark)]


def _at_equal_macs(entry: dict[str, Any]) -> tuple[str, str, str]:
    found = entry["at_equal_macs"]
    if found is None:
        return _measure(entry, "at_equal_macs", ABSENT)
    chance = f"{_range(found['null'])} without knowledge beyond size; {p_value(found['p'])}"
    return LABELS["at_equal_macs"], _coefficient(found["correlation"]["mean"]), chance


def _relabelling(entry: dict[str, Any]) -> str:
    if entry["relabel_p"] is None:
        return _note(entry, "relabel_p")
    found = entry["relabelling"]
    count = f"{found['relabellings']:,}"
    which = f"all {count} relabellings" if found["exhaustive"] else f"{count} random relabellings"
    return f"{which}; smallest possible {p_value(found['smallest_p'])}"


def _resolved(entry: dict[str, Any]) -> list[tuple[str, str, str]]:
    share = entry["resolved_share"]
    mcnemar = entry["mcnemar"]
    differing = ABSENT if mcnemar["differing"] is None else f"{mcnemar['differing']:,.0f} of {mcnemar['pairs']:,}"
    resolved = ABSENT if share is None else f"{entry['resolved_pairs']:,.0f} of {entry['pairs']:,}"
    pairs = "pairs of paths that differ by more than seed and image noise"
    networks = "network pairs (same seed) that differ significantly (McNemar, Holm-corrected)"
    return [
        _measure(entry, "resolved_share", resolved, pairs),
        _measured(entry, "resolved_gamma", "share in the right order minus share in the wrong order"),
        (LABELS["mcnemar"], differing, _note(entry, "mcnemar.differing", networks)),
    ]


def _trainings(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.1f}"


def _regret_value(value: float | None) -> str:
    return ABSENT if value is None else number(100 * value, "z.3f")


_EXPECTED = "with the expected accuracies of all paths; 95 % interval"


@dataclass(frozen=True)
class PathColumn:
    """A column of the table of paths.

    Args:
        heading: Its heading.
        field: Of the document's rows.
        form: How a value is written.
    """

    heading: str
    field: str
    form: Callable[[Any], str]


PATH_COLUMNS = (
    PathColumn("path", "path", str),
    PathColumn("accuracy", "expected_accuracy", percent),
    PathColumn("± 95 %", "expected_error", _sd),
    PathColumn("val. loss", "one_shot_validation_loss", _loss),
    PathColumn("one-shot", "one_shot_test_accuracy", percent),
    PathColumn("alone", "stand_alone_test_accuracy", percent),
    PathColumn("± sd", "stand_alone_sd", _sd),
    PathColumn("diff.", "difference", _points),
    PathColumn("parameters", "parameters", amount),
    PathColumn("MACs", "macs", amount),
    PathColumn("latency", "latency_seconds", _milliseconds),
    PathColumn("time", "seconds", duration),
)
"""Expected accuracy first; then what was observed, with inherited weights and alone."""

OPTIONAL_COLUMNS = ("time", "latency", "± 95 %", "diff.", "MACs", "parameters", "val. loss")
"""Headings of those that may be dropped for lack of room, the first of them first."""
