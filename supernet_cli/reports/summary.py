"""What people act on, in words: whether to trust a ranking, which path to take, what trust would cost, what to do next.

Every screen and file that shows a comparison opens with these lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from supernet_cli.glyphs import number
from supernet_cli.reports.sheets import amount, duration
from supernet_cli.reports.verdict import Word

MARKS: dict[Word, str] = {"trust": "✔", "use with care": "▲", "do not trust": "✘", "not enough evidence": "?"}
"""A mark for each word, so that none depends on colour alone."""


@dataclass(frozen=True)
class Line:
    """A line of the summary.

    Args:
        label: What it is about.
        text: What there is to say.
    """

    label: str
    text: str


@dataclass(frozen=True)
class Summary:
    """The first screen of a comparison.

    Args:
        word: Whether the ranking can be trusted.
        reason: Why, in a sentence.
        lines: The decision.
        purpose: What to do next.
        command: What to type for it; empty if there is nothing to type.
        weights: The file of the network to take, if there is one.
    """

    word: Word
    reason: str
    lines: tuple[Line, ...]
    purpose: str
    command: str
    weights: str


def summary(entry: dict[str, Any]) -> Summary | None:
    """Return the first screen of a run's comparison; None if an earlier version stored it, without an answer.

    Args:
        entry: From the document of `supernet compare`.
    """
    answer = entry.get("answer")
    if not answer:
        return None
    step = answer["next"]
    time = f" (about {duration(step['seconds'])} on one worker)" if step["seconds"] else ""
    purpose, command, weights = step["purpose"] + time, step["command"], step["weights"]
    return Summary(answer["word"], answer["reason"], tuple(_decision(entry)), purpose, command, weights)


def _decision(entry: dict[str, Any]) -> list[Line]:
    decision = entry["decision"]
    if decision is None:
        return []
    best, cheapest, trusting = decision["best"], decision["cheapest"], decision["trusting"]
    lines = [Line("best trained path", f"{best['path']}: {_accuracy(best)}{_sizes(best)}")]
    if cheapest is not None and cheapest["path"] != best["path"]:
        loss = _points(cheapest["loss"], cheapest["loss_low"], cheapest["loss_high"])
        lines.append(Line("cheaper", f"{cheapest['path']}: {loss} worse, within noise{_sizes(cheapest)}"))
    if trusting is not None:
        paths = "path" if trusting["paths"] == 1 else f"{trusting['paths']} paths"
        loses = _points(trusting["regret"], trusting["low"], trusting["high"])
        lines.append(Line("cost of trust", f"training only the supernet's first {paths} loses {loses}"))
    return lines


def _accuracy(path: dict[str, Any]) -> str:
    """Return an accuracy with its 95 % interval, per cent."""
    return f"{100 * path['accuracy']:.2f} % ({100 * path['low']:.2f} to {100 * path['high']:.2f})"


def _points(mean: float, low: float, high: float) -> str:
    """Return a loss of accuracy with its 95 % interval."""
    return f"{number(100 * mean)} points ({number(100 * low)} to {number(100 * high)})"


def _sizes(path: dict[str, Any]) -> str:
    parts = []
    if path["macs"] is not None:
        parts.append(f"{amount(path['macs'])} MACs")
    if path["latency_seconds"] is not None:
        parts.append(f"{1000 * path['latency_seconds']:.2f} ms")
    return "".join(f", {part}" for part in parts)
