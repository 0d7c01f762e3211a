"""What a search has found, in words and as a table."""

from __future__ import annotations

from collections.abc import Iterator

from supernet_cli.config.limits import amount
from supernet_cli.glyphs import counted, number
from supernet_cli.reports import formats
from supernet_cli.reports.formats import ABSENT, percent
from supernet_cli.reports.parts import BASELINES
from supernet_cli.reports.search.document import RIVALS, Searched, SearchedPath, Worth
from supernet_cli.reports.sheets import Sheet

_EVIDENCE = {"size": "size", "one-shot": "one-shot scores", **BASELINES}
_LITTLE = 0.0005
"""Points that count as nothing."""


def sentence(found: Searched, name: str = "") -> str:
    """Return the answer in a sentence.

    Args:
        found: What the search found.
        name: A shorter name of the pick, if its own has no room.
    """
    pick = found.pick
    among = "" if found.within_limits is None else f" of {counted(found.within_limits, 'path')}"
    among += " within the limits" if found.limits else ""
    return (
        f"Take {name or pick.path}: expected accuracy {_with_interval(pick)}, the best{among} with probability "
        f"{number(pick.probability_best)}, expected regret {points(pick.expected_regret)} points; "
        f"{_cost(found)}."
    )


def lines(found: Searched) -> Iterator[tuple[str, str]]:
    """Yield what else a person needs to know: a label and a text each."""
    pick = found.pick
    yield "accuracy", _measured(found)
    yield "its size", sizes(pick)
    for name, limit in found.limits.items():
        left = "" if limit.paths is None else f": {limit.paths:,} of {counted(found.space_size, 'path')}"
        where = f" on {found.latencies}" if name == "latency" and found.latencies else ""
        yield "limit", f"{name} ≤ {amount(name, limit.most)}{where}{left}"
    if found.evidence:
        yield "what evidence is worth", _worth(found)
    if found.rivals:
        each = ", ".join(f"{RIVALS[name]} {percent(rival.accuracy)}" for name, rival in found.rivals.items())
        yield f"{counted(found.used, 'training')} of", f"{each} (expected accuracy of their pick)"
    if found.next.macs is not None:
        gain = "next to nothing" if found.next.gain < _LITTLE / 100 else f"{points(found.next.gain)} points"
        yield "next training", f"expected to gain {gain}, for {formats.amount(found.next.macs)} multiply-accumulates"


def sheet(found: Searched, count: int) -> Sheet:
    """Return the leading paths, the best first, those trained among them.

    Args:
        found: What the search found.
        count: How many paths at most.
    """
    shown = found.paths[:count]
    is_asked_for = found.against == "latency" or "latency" in found.limits
    latency = is_asked_for or all(path.latency_seconds is not None for path in shown)
    headings = (
        "path",
        "expected",
        "90 %",
        "trained",
        "one-shot",
        "parameters",
        "MACs",
        *(("latency",) if latency else ()),
        "",
    )
    rows = tuple(_row(found, path, latency) for path in shown)
    optional = ("one-shot", "parameters", "latency", "90 %")
    return Sheet("Leading paths", headings, rows, words=("path", ""), optional=optional)


def sizes(path: SearchedPath) -> str:
    """Return what a path costs, in words."""
    latency = "" if path.latency_seconds is None else f", {amount('latency', path.latency_seconds)} per image"
    return (
        f"{path.parameters:,} parameters, {formats.amount(path.macs)} multiply-accumulates, "
        f"{amount('weights', path.weights_bytes)} of weights{latency}"
    )


def points(value: float) -> str:
    """Return a difference of accuracies in points."""
    return number(100 * value)


def _row(found: Searched, path: SearchedPath, latency: bool) -> tuple[str, ...]:
    low, high = path.interval
    trained = (
        "" if path.observed is None else f"{percent(path.observed)}{f' ×{path.trained}' if path.trained > 1 else ''}"
    )
    remarks = ["▸ take"] if path.path == found.pick.path else []
    remarks += ["on the front"] if path.on_front and not remarks else []
    remarks += [] if path.within_limits else ["over a limit"]
    return (
        path.path,
        percent(path.accuracy),
        f"{100 * low:.2f}–{100 * high:.2f}",
        trained,
        "" if path.one_shot_rank is None else f"#{path.one_shot_rank}",
        f"{path.parameters:,}",
        formats.amount(path.macs),
        *((ABSENT if path.latency_seconds is None else amount("latency", path.latency_seconds),) if latency else ()),
        ", ".join(remarks),
    )


def _with_interval(pick: SearchedPath) -> str:
    low, high = pick.interval
    return f"{percent(pick.accuracy)} (90 % interval {100 * low:.2f} to {100 * high:.2f})"


def _measured(found: Searched) -> str:
    pick = found.pick
    parts = [f"expected {percent(pick.accuracy)} on validation"]
    if pick.observed is not None:
        parts.append(f"{percent(pick.observed)} in {counted(pick.trained, 'training')}")
    else:
        parts.append("never trained")
    if pick.test_accuracy is not None:
        parts.append(f"{percent(pick.test_accuracy)} on test")
    return ", ".join(parts)


def _cost(found: Searched) -> str:
    cost, earlier = found.cost, found.used - found.trainings
    text = counted(found.trainings, "training")
    if cost.supernets is not None and found.trainings:
        text += f", {cost.supernets:.1f} times the cost of a supernet"
    if earlier:
        text += f", besides {counted(earlier, 'earlier one')}"
    return text


def _worth(found: Searched) -> str:
    """Return how much of the differences between paths each kind of evidence explains."""
    named = {_EVIDENCE.get(name, name): _share(worth) for name, worth in found.evidence.items()}
    size = named.pop("size", None)
    rest = ", ".join(f"{name} {share}" for name, share in named.items())
    if size is None:
        return f"of the differences between paths: {rest}"
    start = f"size explains {size} of the differences between paths"
    return f"{start}; of what it leaves open: {rest}" if rest else start


def _share(worth: Worth) -> str:
    low, high = worth.interval
    return f"{100 * worth.explains:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
