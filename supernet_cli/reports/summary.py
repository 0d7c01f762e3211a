"""What people act on, in words: whether to trust a ranking, which path to take, what trust would cost, what to do next.

Every screen and file that shows a comparison opens with these lines.
"""

from __future__ import annotations

from dataclasses import dataclass

from supernet_cli.glyphs import number
from supernet_cli.reports.comparison import RunComparison
from supernet_cli.reports.formats import amount, duration, milliseconds
from supernet_cli.reports.parts import ChosenPath, Decision, Word

MARKS: dict[Word, str] = {"trust": "✔", "use with care": "▲", "do not trust": "✘", "not enough evidence": "?"}
"""A mark for each word, so that none depends on colour alone."""


@dataclass(frozen=True)
class Summary:
    """The first screen of a comparison.

    Args:
        word: Whether the ranking can be trusted.
        reason: Why, in a sentence.
        lines: What to take and what that costs, as label and text.
        purpose: What to do next.
        command: What to type for it; empty if there is nothing to type.
        weights: The file of the network to take, if there is one.
    """

    word: Word
    reason: str
    lines: tuple[tuple[str, str], ...]
    purpose: str
    command: str
    weights: str


def summary(run: RunComparison) -> Summary | None:
    """Return the first screen of a run's comparison; None if an earlier version stored it, without an answer."""
    answer = run.answer
    if answer is None:
        return None
    step = answer.next
    time = f" (about {duration(step.seconds)} on one worker)" if step.seconds else ""
    lines = tuple(_decision(run.decision)) if run.decision is not None else ()
    return Summary(answer.word, answer.reason, lines, step.purpose + time, step.command, step.weights)


def _decision(decision: Decision) -> list[tuple[str, str]]:
    best, cheapest, trusting = decision.best, decision.cheapest, decision.trusting
    accuracy = f"{100 * best.accuracy:.2f} % ({100 * best.low:.2f} to {100 * best.high:.2f})"
    lines = [("best trained path", f"{best.path}: {accuracy}{_sizes(best)}")]
    if cheapest is not None and cheapest.path != best.path:
        loss = _points(cheapest.loss, cheapest.loss_low, cheapest.loss_high)
        lines.append(("cheaper", f"{cheapest.path}: {loss} worse, within noise{_sizes(cheapest)}"))
    if trusting is not None:
        paths = "path" if trusting.paths == 1 else f"{trusting.paths} paths"
        loses = _points(trusting.regret, trusting.low, trusting.high)
        lines.append(("cost of trust", f"training only the supernet's first {paths} loses {loses}"))
    return lines


def _points(mean: float, low: float, high: float) -> str:
    """Return a loss of accuracy with its 95 % interval."""
    return f"{number(100 * mean)} points ({number(100 * low)} to {number(100 * high)})"


def _sizes(path: ChosenPath) -> str:
    macs = "" if path.macs is None else f", {amount(path.macs)} MACs"
    return macs + ("" if path.latency_seconds is None else f", {milliseconds(path.latency_seconds)}")
