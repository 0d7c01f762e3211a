"""Shared by panels: headings, states in words and colours, and theme colours for the charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rich.cells import cell_len
from textual.color import Color, ColorParseError
from textual.content import Content

from supernet_cli.glyphs import MARKS
from supernet_cli.space.names import elided
from supernet_cli.store.state import State

Part = str | tuple[str, str] | Content
"""Text, or text and its style."""

MUTED = "$foreground 55%"
"""Style of secondary text."""


class Look(NamedTuple):
    """How a state is shown: its style, the word for it, and what it means."""

    style: str
    word: str
    meaning: str


LOOKS: Mapping[State, Look] = {
    State.CREATED: Look(MUTED, "queued", "has not started yet"),
    State.RUNNING: Look("bold $success", "training", "a live process is training it"),
    State.PAUSED: Look("bold $warning", "paused", "waiting after a checkpoint; p resumes it"),
    State.FINISHED: Look("$success", "finished", "complete"),
    State.STOPPED: Look("$warning", "stopped", "stopped on request; can be resumed"),
    State.INTERRUPTED: Look("bold $warning", "interrupted", "by a signal, or its process died; can be resumed"),
    State.DIVERGED: Look("bold $error", "diverged", "the loss is not a number"),
    State.FAILED: Look("bold $error", "failed", "ended by an error, which is in the log"),
    State.LOST: Look("bold $warning", "lost", "on another host that has not reported for a minute"),
}


def state_words(state: State, word: str = "") -> Content:
    """Return a state as mark and word.

    Args:
        state: The state.
        word: Another word than the state's own.
    """
    return Content.styled(f"{MARKS[state]} {word or LOOKS[state].word}", LOOKS[state].style)


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
