"""Finds the commands that the program suggests, so that a test can type them as a user would."""

from __future__ import annotations

import re
import shlex

_QUOTED = re.compile(r"`(supernet [^`]+)`")
_AT_THE_END = re.compile(r": (supernet .+)$")


def suggestions(text: str) -> list[tuple[str, ...]]:
    """Return the commands that a text suggests, each as the words after `supernet`.

    Commands stand between backticks, or at the end of a line after a colon. A command that only names itself, such as
    `supernet train`, is a word of a sentence and nothing to type.
    """
    found = []
    for line in text.splitlines():
        commands = _QUOTED.findall(line) or _AT_THE_END.findall(line)
        found += [shlex.split(command)[1:] for command in commands]
    return [words for words in dict.fromkeys(map(tuple, found)) if len(words) > 1]
