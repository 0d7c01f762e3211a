"""What to do about a text that is not TOML: advice on the mistakes that people make, from where the parser stopped."""

from __future__ import annotations

import re

_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)$")
_WINDOWS_PATH = re.compile(r'"((?:[A-Za-z]:)?\\[^"]*|[A-Za-z]:[^"]*\\[^"]*)"?')
_PLAIN = 'Keys look like epochs = 3, strings like "mnist", tables like [train].'
_EMPTY_WORDS = ("none", "null", "nil")
_BOOLEANS = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}


def hint_for(text: str, message: str) -> str:
    """Return what to change.

    Args:
        text: The whole text.
        message: What the parser says of it, with the place at its end.
    """
    line, rest = _where(text, message)
    if "hex value" in message or "Unescaped" in message or "Escaped character" in message:
        return _of_backslash(line)
    if message.startswith("Invalid value"):
        return _of_value(rest)
    if message.startswith(("Unclosed array", "Unclosed inline table")):
        end = "]" if "array" in message else "}"
        return f"A comma or {end} is missing before `{rest}`." if rest else f"The closing {end} is missing."
    if message.startswith("Expected newline"):
        return _of_rest(line, rest)
    if message.startswith("Expected '='"):
        return 'Write key = value, with an equals sign, such as epochs = 3 or { name = "SGD", lr = 0.1 }.'
    if message.startswith("Invalid statement"):
        return _of_statement(line)
    return _of_other(message)


def _where(text: str, message: str) -> tuple[str, str]:
    """Return the line where the parser stopped, and the rest of it from there; no rest at the end of the text."""
    lines, place = text.splitlines() or [""], _PLACE.search(message)
    if place is None:
        return lines[-1], ""
    number, column = int(place[1]), int(place[2])
    line = lines[number - 1] if number <= len(lines) else ""
    return line.strip(), line[column - 1 :].strip()


def _of_backslash(line: str) -> str:
    advice = "In double quotes, a backslash starts an escape sequence. Use single quotes, or forward slashes in a path"
    path = _WINDOWS_PATH.search(line)
    if path is None:
        return f"{advice}."
    return f"{advice}: '{path[1]}' or \"{path[1].replace(chr(92), '/')}\"."


def _of_value(rest: str) -> str:
    word = re.split(r"[\s,\]}#]", rest, maxsplit=1)[0]
    if not rest or rest.startswith("#"):
        return "A value is missing after the equals sign."
    if word.casefold() in _BOOLEANS:
        return f"Write {_BOOLEANS[word.casefold()]}, in lower case and without quotes."
    if word.casefold() in _EMPTY_WORDS:
        return f"TOML has no {word}: remove the key to use its default."
    if re.match(r"[+-]?\.\d", rest):
        return f"Numbers need a digit before the point: {rest[: rest.index('.')]}0{rest[rest.index('.') :].split()[0]}."
    if rest[0] in "“”‘’„«":
        return "Use straight quotes, \" or '."
    if rest[0] in ",]}":
        return f"A value is missing before `{rest[0]}`."
    return f'Strings need quotes: "{word}".'


def _of_rest(line: str, rest: str) -> str:
    if re.search(r"=\s*[+-]?\d{1,3}(,\d{3})+$", line):
        return "Write numbers without commas, such as 1000 or 1_000."
    if re.search(r"=\s*[+-]?\d+\.(\s|$)", line):
        return "Numbers need a digit after the point, such as 5.0."
    if re.search(r"=\s*[+-]?0\d", line):
        return "Numbers cannot start with 0."
    if re.search(r"=\s*'", line):
        return "A string in single quotes ends at the next single quote; use double quotes around it."
    return f"Remove `{rest}`, or start a new line before it."


def _of_statement(line: str) -> str:
    if line.startswith(("//", ";", "--", "/*")):
        return "Comments start with #."
    if line.startswith("{"):
        return "This looks like JSON, but a preset is TOML: " + _PLAIN[0].lower() + _PLAIN[1:]
    return _PLAIN


def _of_other(message: str) -> str:
    if "twice" in message:
        return "The same table is given twice: put all of its keys under one heading."
    if "overwrite" in message or "Duplicate" in message or "mutate" in message or "redefine" in message:
        return "A key can be given only once: remove one of the two."
    if message.startswith("Expected ']"):
        return "Headings look like [train], or [[space.blocks]] for each block."
    if message.startswith("Unterminated") or "Illegal character" in message:
        return "The closing quote of a string is missing, or the line holds a control character."
    if "date" in message:
        return "No key of a preset is a date; put text in quotes."
    return _PLAIN
