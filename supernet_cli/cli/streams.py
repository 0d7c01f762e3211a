"""stdout and stderr as they are given to the process: closed, full, or unable to encode what is printed."""

from __future__ import annotations

import codecs
import contextlib
import errno
import logging
import os
import sys
import warnings

from supernet_cli.glyphs import BRAILLE, plain_braille

_READABLE = {
    "τ": "tau", "ρ": "rho", "γ": "gamma", "θ": "theta", "π": "pi", "ε": "epsilon", "Δ": "delta ", "Σ": "sum ",
    "×": "x", "±": "+/-", "−": "-", "–": "-", "—": "-", "·": ".", "…": "...", "→": "->", "←": "<-", "↑": "^",
    "↓": "v", "≥": ">=", "≤": "<=", "²": "^2", "°": " deg", "«": '"', "»": '"', "“": '"', "”": '"', "„": '"',
    "‘": "'", "’": "'", "⌈": "ceil(", "⌉": ")", "\xa0": " ", "¼": "1/4",
    "○": "o", "●": "*", "‖": "=", "✔": "+", "■": "#", "▲": "^", "✘": "x", "◆": "#", "▶": ">", "▸": ">", "⋮": ":",
    **dict.fromkeys("─━═╸╺╌╍", "-"), **dict.fromkeys("│┃║▏▎▍▌▋▊▉", "|"), **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰┏┓┗┛┡┩╇", "+"),
    **dict.fromkeys("▁▂▃▄", "_"), **dict.fromkeys("▅▆▇█▓▒░▔", "#"),
    **{chr(code): plain_braille(code) for code in BRAILLE},
}  # fmt: skip
"""What replaces a character that cannot be encoded; others are escaped, such as \\xe9."""

_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def prepare() -> None:
    """Make both streams usable: a closed one leads nowhere, no character is an error, libraries keep off them."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # the next file to be opened would get its number, and what is printed
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if not sys.warnoptions:  # somebody who asks Python for warnings wants to see them
        warnings.showwarning = _log_warning
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # torch's own warnings, which bypass Python
    codecs.register_error("readable", _readable)
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", "") in ("strict", "surrogateescape", "backslashreplace"):
            stream.reconfigure(errors="readable")  # type: ignore[union-attr]


def is_full_stdout(error: OSError) -> bool:
    """Whether an error is that of a stream that has no room left, such as a file on a full disk."""
    return error.filename is None and error.errno in _DISK_IS_FULL


def abandon() -> None:
    """Discard what stdout still has to write, and all that follows: otherwise the interpreter fails when it exits."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _log_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """Send a library's warning to the job's log: it speaks to programmers, not to whoever reads the screen."""
    logging.getLogger("supernet_cli.warnings").info("%s: %s", category.__name__, message)


def _readable(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that cannot be encoded, for `codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(_READABLE.get(c) or c.encode("ascii", "backslashreplace").decode() for c in bad), error.end
