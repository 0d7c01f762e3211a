"""What a preset may name of torch: optimisers, schedules and losses, read from its source without importing it.

Importing torch takes seconds; finding a mistyped name or parameter in the text of its modules takes milliseconds. Where
the source is missing or laid out differently, nothing is known here, and training finds the mistake when it builds.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from supernet_cli.errors import did_you_mean, nearest

UNUSABLE = {
    "LRScheduler": "it is the base class of all schedules",
    "LambdaLR": "it needs a function, which a preset cannot hold",
    "MultiplicativeLR": "it needs a function, which a preset cannot hold",
    "SequentialLR": "it needs other schedules, which a preset cannot hold",
    "ChainedScheduler": "it needs other schedules, which a preset cannot hold",
    "ReduceLROnPlateau": "it follows a measured loss, so training would depend on when paths are evaluated",
    "SWALR": "it belongs to weight averaging, which is not supported",
    "Optimizer": "it is the base class of all optimisers",
    "LBFGS": "it evaluates the loss several times per step",
    "SparseAdam": "it is for sparse gradients",
    "NLLLoss": "it takes log-probabilities, but networks return logits; CrossEntropyLoss combines the two",
    "NLLLoss2d": "it takes log-probabilities of every pixel",
}
"""Classes of torch that a preset cannot use, and why."""

_CLASS = re.compile(r"^class (\w+)(?:\((\w+)[^)]*\))?:", re.MULTILINE)
_INIT = re.compile(r"^    def __init__\(.*?\)[^()\n]*:$", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^from torch\.optim\.(\w+) import ([A-Z]\w*) as \2$", re.MULTILINE)


@dataclass(frozen=True)
class Shelf:
    """A module of torch whose classes a preset may name.

    Args:
        module: The module, as a person writes it.
        base: The class from which all of them derive.
        hidden: Parameters that are not the preset's to give.
    """

    module: str
    base: str
    hidden: frozenset[str]

    def wrong_name(self, name: str, known: Collection[str]) -> tuple[str, str] | None:
        """Return what is wrong with a name and what to do, or None if it can be used.

        Args:
            name: As given.
            known: All classes of the module.
        """
        if name not in known:
            usable = [word for word in known if word not in UNUSABLE]
            return f'{self.module} has no "{name}".', did_you_mean(name, usable)
        if name in UNUSABLE:
            return f"{name} cannot be used here: {UNUSABLE[name]}.", ""
        return None

    def wrong_parameter(self, name: str, given: Iterable[str], accepted: Iterable[str]) -> tuple[str, str] | None:
        """Return the first parameter that a class does not take, in words, and what to do; None where all fit.

        Args:
            name: The class.
            given: Names of the parameters given.
            accepted: Names of all its parameters.
        """
        takes = [word for word in accepted if word not in self.hidden]
        for word in given:
            if word not in takes:
                close = nearest(word, takes)
                advice = f"Did you mean '{close}'?" if close else f"It takes: {', '.join(takes)}."
                return f"{name} has no parameter '{word}'.", advice
        return None


OPTIMIZERS = Shelf("torch.optim", "Optimizer", frozenset({"params"}))
SCHEDULES = Shelf("torch.optim.lr_scheduler", "LRScheduler", frozenset({"optimizer", "last_epoch", "verbose"}))
LOSSES = Shelf("torch.nn", "_Loss", frozenset({"reduction", "reduce", "size_average"}))


def problem_with(shelf: Shelf, name: str, given: Collection[str]) -> str | None:
    """Return what torch's source shows to be wrong with a name or its parameters, with advice; None if nothing."""
    files = _files(shelf)
    if not files:
        return None
    problem = shelf.wrong_name(name, files)
    if problem is None:
        accepted = parameters_of(files[name], name)
        problem = None if accepted is None else shelf.wrong_parameter(name, given, accepted)
    return None if problem is None else " ".join(problem).rstrip()


def parameters_of(file: Path, name: str) -> tuple[str, ...] | None:
    """Return the parameters of a class's constructor, its own or the one it inherits in the same file, if known."""
    bodies = _bodies(file)
    while name in bodies:
        base, body = bodies[name]
        init = _INIT.search(body)
        if init is not None:
            return tuple(_arguments(init.group()))
        name = base
    return None


def _arguments(signature: str) -> Iterator[str]:
    try:
        (function,) = ast.parse(f"{signature.strip()} ...").body
    except SyntaxError:
        return
    assert isinstance(function, ast.FunctionDef)
    for argument in (*function.args.posonlyargs, *function.args.args[1:], *function.args.kwonlyargs):
        yield argument.arg


@cache
def _files(shelf: Shelf) -> Mapping[str, Path]:
    """Return the file that defines each class of a module."""
    root = _torch()
    if root is None:
        return {}
    if shelf is OPTIMIZERS:
        exported = _EXPORT.findall(_text(root / "optim" / "__init__.py"))
        return {name: root / "optim" / f"{module}.py" for module, name in exported}
    file = root / ("optim/lr_scheduler.py" if shelf is SCHEDULES else "nn/modules/loss.py")
    derived = {shelf.base}
    for name, (base, _) in _bodies(file).items():  # a class stands below the one it derives from
        if base in derived:
            derived.add(name)
    return {name: file for name in derived if not name.startswith("_") and name in _bodies(file)}


@cache
def _bodies(file: Path) -> Mapping[str, tuple[str, str]]:
    """Return the base class and the text of each class in a file, in order."""
    text = _text(file)
    heads = list(_CLASS.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {head[1]: (head[2] or "", text[head.end() : end]) for head, end in zip(heads, ends, strict=True)}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _torch() -> Path | None:
    """Return the folder that torch is installed in; finding a package does not import it."""
    spec = importlib.util.find_spec("torch")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent
