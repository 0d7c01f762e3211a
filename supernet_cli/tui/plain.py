"""Replaces everything that is not ASCII, for fonts without boxes, blocks and braille."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

from supernet_cli.glyphs import BRAILLE, plain_braille

_SAME = {
    "─": "-", "━": "=", "╸": "-", "│": "|", "┃": "|", "▌": "|", "▎": "|", "▏": "|", "▊": "|",
    "●": "*", "○": "o", "✔": "v", "✘": "x", "■": "#", "▲": "!", "‖": "=", "◆": "#", "▶": ">", "▾": "v", "⋮": ":",
    "…": "~", "·": ".", "–": "-", "−": "-", "°": "o", "×": "x", "τ": "t", "ρ": "r", "±": "~", "←": "<", "→": ">",
    "↑": "^", "↓": "v", "▔": "-", "▁": "_", "▂": "_", "▃": ".", "▄": "-", "▅": "=", "▆": "+", "▇": "*", "█": "#",
}  # fmt: skip


_NO_STYLE = Style()


class PlainCharacters(LineFilter):
    """Replaces each non-ASCII character with an ASCII one of the same width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return a line's segments in ASCII."""
        return [Segment(to_ascii(text), style, control) for text, style, control in segments]


class EverySegmentStyled(LineFilter):
    """Gives segments without a style an empty one: Textual's NO_COLOR filter needs it, and charts have none."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the same segments, each with a style."""
        return [segment if segment.style else Segment(segment.text, _NO_STYLE, segment.control) for segment in segments]


def to_ascii(text: str) -> str:
    """Return a text in ASCII, as many columns wide as before."""
    return text if text.isascii() else "".join(map(_one, text))


@lru_cache(maxsize=4096)
def _one(character: str) -> str:
    if character.isascii():
        return character
    if character in _SAME:
        return _SAME[character]
    code = ord(character)
    if code in BRAILLE:
        return plain_braille(code)
    if 0x2500 <= code <= 0x257F:
        name = unicodedata.name(character, "")
        return "-" if name.endswith("HORIZONTAL") else "|" if name.endswith("VERTICAL") else "+"
    if 0x2580 <= code <= 0x259F:
        return "#"
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    width = cell_len(character)
    return (plain[:width] or "?" * width).ljust(width, " ") if width else ""
