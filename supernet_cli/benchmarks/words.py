"""What a benchmark's result says in words, and its tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from supernet_cli import glyphs
from supernet_cli.benchmarks.result import Catalogue, Estimate, Place, Repetition, Row, Standing
from supernet_cli.glyphs import counted
from supernet_cli.reports.sheets import Sheet

FOOTNOTE = (
    "(…): 95 % interval; […]: range of fewer than five supernets; best ¼: τ in it.\n"
    "regret@3 in points; cost, evaluation included, in trainings of one epoch."
)
"""What figures in the tables are."""


def sentence(found: Standing) -> str:
    """Return the result in a sentence."""
    row = found.row
    what = f"{row.label}, {counted(row.epochs or 0, 'epoch')}"
    if row.tau.mean is None:
        return f"{what}, cannot be placed on {found.benchmark}: {row.tau.note}"
    start = f"{what}, ranks {found.benchmark} at τ = {number(row.tau.mean)}{_bounds(row.tau, in_words=True)}"
    if found.place is None:
        return f"{start}. {_no_place(found)}"
    place = found.place
    kinds = f"{ordinal(place.place)} of {place.of} kinds of supernet of that length"
    if place.is_certain:
        return f"{start}: {kinds}."
    return f"{start}: {kinds}; from {ordinal(place.best)} to {ordinal(place.worst)} within noise."


def lines(found: Standing) -> Iterator[tuple[str, str]]:
    """Yield what else a person needs to know: a label and a text each."""
    if found.row.tau.mean is not None and found.row.tau.note:
        yield "note", found.row.tau.note
    if found.place is not None and not found.place.is_certain:
        yield "not told apart from", _unresolved(found.place)
    if found.repetition is not None:
        ranking = sum(tau is not None for tau in found.row.per_seed)
        yield "recorded before", _repeated(found.repetition, ranking)
    best = next((row for row in found.baselines if row.tau.mean is not None), None)
    if best is not None and best.tau.mean is not None:
        yield "without a supernet", f"{best.label}: τ = {number(best.tau.mean)}"
    if found.row.tau.bounds != "interval":
        yield "for a surer place", "five supernets: --seeds 0,1,2,3,4"
    if found.ceiling is not None:
        trainings = f"{counted(found.truth_seeds, 'training')} of {counted(found.truth_epochs, 'epoch')}"
        yield "ceiling", f"τ = {number(found.ceiling)}, because of the noise of {trainings} per path"


def sheet(found: Standing) -> Sheet:
    """Return the result beside recorded supernets of the same length and what needs none, the best first."""
    named = [(row.label, row) for row in (*found.recorded, *found.baselines)]
    named.append((f"▸ {found.row.label}", found.row))
    if found.repetition is not None:
        named.append((f"{found.row.label}, recorded", found.repetition.recorded))
    named.sort(key=lambda pair: -2.0 if pair[1].tau.mean is None else pair[1].tau.mean, reverse=True)
    return _sheet("order by", named)


def title(found: Catalogue) -> str:
    """Return what a benchmark is, in a line."""
    longest, *others = (counted(epochs, "epoch") for epochs in found.truth_epochs)
    also = f" (also {' and '.join(others)})" if others else ""
    return f"{found.benchmark}: {counted(found.paths, 'path')}; ground truth: {longest} from scratch{also}"


def recorded_sheets(found: Catalogue) -> tuple[Sheet, Sheet]:
    """Return recorded supernets, by length, and what needs no supernet."""
    supernets = _sheet("strategy, epochs", [(f"{row.label}, {row.epochs}", row) for row in found.recorded])
    return supernets, _sheet("without a supernet", [(row.label, row) for row in found.baselines])


def _sheet(first: str, named: Sequence[tuple[str, Row]]) -> Sheet:
    """Return rows as a table.

    Args:
        first: Heading of the first column.
        named: What each row is called in it, and the row.
    """
    others = [f"τ, {counted(each.epochs, 'epoch')}" for each in named[0][1].other_truths] if named else []
    headings = (first, "place", "seeds", "τ", "best ¼", "regret@3", "95 %", "cost", *others)
    cells = tuple(_cells(label, row) for label, row in named)
    optional = (*reversed(others), "95 %", "seeds", "cost", "place")
    return Sheet("", headings, cells, words=(first,), optional=optional)


def _cells(label: str, row: Row) -> tuple[str, ...]:
    regret = row.regret
    return (
        label,
        "" if row.place is None else str(row.place),
        "" if row.epochs is None else str(len(row.seeds)),
        number(row.tau.mean) + _bounds(row.tau),
        number(row.best_quarter.mean),
        _points(regret.mean),
        "" if regret.low is None else f"{_points(regret.low)}–{_points(regret.high)}",
        f"{row.cost:.1f}",
        *(number(other.tau.mean) for other in row.other_truths),
    )


def number(value: float | None) -> str:
    """Return a coefficient, or a dash."""
    return "–" if value is None else glyphs.number(value)


def _points(value: float | None) -> str:
    return "–" if value is None else glyphs.number(100 * value)


def _bounds(found: Estimate, in_words: bool = False) -> str:
    """Return the bounds in brackets, or nothing: with what they are, or as the footnote explains."""
    if found.bounds is None:
        return ""
    bounds = f"{number(found.low)}–{number(found.high)}"
    if in_words:
        return f" ({'95 %' if found.bounds == 'interval' else 'range'}: {bounds})"
    return f" ({bounds})" if found.bounds == "interval" else f" [{bounds}]"


def _no_place(found: Standing) -> str:
    epochs = counted(found.row.epochs or 0, "epoch")
    if found.row.epochs in found.lengths:
        return f"No other kind of supernet of {epochs} is recorded, so there is no place."
    known = ", ".join(map(str, found.lengths))
    return f"No supernets of {epochs} are recorded, so there is no place; lengths that are: {known}."


def _unresolved(place: Place) -> str:
    labels = [rival.label for rival in place.rivals if not rival.is_resolved]
    return f"{', '.join(labels)} (Welch's test, Holm's correction over {len(place.rivals)})"


def _repeated(found: Repetition, seeds: int) -> str:
    recorded = found.recorded
    start = f"{counted(len(recorded.seeds), 'supernet')}, τ = {number(recorded.tau.mean)}{_bounds(recorded.tau)}"
    if found.reproduced is None:
        return f"{start}; whether this is the same is unknown: {found.note}"
    word = "reproduced" if found.reproduced else "NOT reproduced"
    where = f"from {number(found.low)} to {number(found.high)}"
    return f"{start}; {word}: {where} expected for {counted(seeds, 'supernet')} (95 %)"


def ordinal(place: int) -> str:
    """Return a place in words: `1st`, `22nd`."""
    ending = "th" if 10 <= place % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"
