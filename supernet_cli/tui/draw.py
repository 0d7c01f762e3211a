"""Shared by panels: headings, states in words and colours, and theme colours for the charts."""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len
from textual.color import Color, ColorParseError
from textual.content import Content

from supernet_cli.glyphs import MARKS
from supernet_cli.runs.records import State
from supernet_cli.space.names import elided

Part = str | tuple[str, str] | Content
"""Text, or text and its style."""

MUTED = "$foreground 55%"
"""Style of secondary text."""

STYLES: Mapping[State, str] = {
    "created": MUTED,
    "running": "bold $success",
    "paused": "bold $warning",
    "finished": "$success",
    "stopped": "$warning",
    "interrupted": "bold $warning",
    "diverged": "bold $error",
    "failed": "bold $error",
    "lost": "bold $warning",
}

WORDS: Mapping[State, str] = {
    "created": "queued",
    "running": "training",
    "paused": "paused",
    "finished": "finished",
    "stopped": "stopped",
    "interrupted": "interrupted",
    "diverged": "diverged",
    "failed": "failed",
    "lost": "lost",
}


MEANINGS: Mapping[State, str] = {
    "created": "has not started yet",
    "running": "a live process is training it",
    "paused": "waiting after a checkpoint; p resumes it",
    "finished": "complete",
    "stopped": "stopped on request; can be resumed",
    "interrupted": "by a signal, or its process died; can be resumed",
    "diverged": "the loss is not a number",
    "failed": "ended by an error, which is in the log",
    "lost": "on another host that has not reported for a minute",
}


def state_words(state: State, word: str = "") -> Content:
    """Return a state as mark and word.

    Args:
        state: The state.
        word: Another word than the state's own.
    """
    return Content.styled(f"{MARKS[state]} {word or WORDS[state]}", STYLES[state])


def clean(text: str) -> str:
    """Return text from outside, with characters that could control the terminal made visible."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else "·" for c in text)


def line(*parts: Part) -> Content:
    """Return parts as one text that is safe to show, whatever they contain."""
    safe = (
        part if isinstance(part, Content) else clean(part) if isinstance(part, str) else (clean(part[0]), part[1])
        for part in parts
    )
    return Content.assemble(*safe)


def lines(rows: list[Content]) -> Content:
    """Return rows, one below the other."""
    return Content("\n").join(rows)


def heading(title: str, width: int, *info: Part) -> Content:
    """Return a panel's first line: its title, a rule, and the most important facts at the right."""
    right = line(*info)
    room = width - len(title) - right.cell_length - (2 if right.plain else 1)
    if room < 1:
        right = right.truncate(max(0, width - len(title) - 3), ellipsis=True)
        room = max(1, width - len(title) - right.cell_length - (2 if right.plain else 1))
    rule = ("─" * room, "$foreground 25%")
    return line((title, "bold"), " ", rule, *((" ", right) if right.plain else ()))


def fit(text: str, width: int) -> str:
    """Return a text in exactly `width` columns; one that is too long loses its middle, where names differ least."""
    text = clean(text).replace("\n", "·")
    if cell_len(text) == len(text):
        return elided(text, width).ljust(width)
    kept = text
    while cell_len(kept) > width:  # characters that take two columns, or none
        kept = kept.removesuffix("…")[:-1] + "…" if width > 1 else ""
    return kept + " " * (width - cell_len(kept))


def rich_colour(variables: Mapping[str, str], name: str, otherwise: str = "default") -> str:
    """Return a colour of the theme as Rich's styles name it: charts are drawn with those."""
    try:
        return Color.parse(variables.get(name, otherwise)).rich_color.name
    except ColorParseError:
        return otherwise


def blended(variables: Mapping[str, str], name: str, share: float) -> str:
    """Return a colour of the theme mixed into its background, for secondary marks."""
    try:
        front, back = Color.parse(variables.get(name, "white")), Color.parse(variables.get("background", "black"))
    except ColorParseError:
        return "bright_black"
    if front.ansi is not None or back.ansi is not None:
        return "bright_black"
    return back.blend(front, share).rich_color.name
