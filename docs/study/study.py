"""What is stored of one space, and what several tables need from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from stored import HERE, load

from supernet_cli.reports.beliefs import beliefs_of
from supernet_cli.reports.statistics.ranking import agreement, mean_accuracy
from supernet_cli.reports.statistics.regret import Loss, losses_of, regret

CHOOSE, CONFIRM = (0, 1), (2, 3, 4)
"""Supernet seeds that strategies are chosen on, and those that the choice is confirmed on."""

SIZES = (("parameters", "parameters"), ("macs", "multiply-accumulates"), ("synflow", "synflow"))
PROXIES = (*SIZES, ("naswot", "NASWOT"), ("gradient_norm", "gradient norm"))
"""What ranks paths without training, by its stored name, and its word."""

SHORT, LONG = "1", "3"
"""Epochs of the two ground truths of all paths."""

WORDS = {SHORT: "one epoch", LONG: "three epochs"}

ORDER = (
    "uniform",
    "fair",
    "fair in parts",
    "path-dropout",
    "path-dropout (sum)",
    "path-dropout (gentle)",
    "sandwich",
    "bandit",
    "epoch",
    "untrained",
)
"""Words for kinds of supernets, as tables list them."""


class Study:
    """The results of one space.

    Args:
        space: Its folder.
    """

    def __init__(self, space: str) -> None:
        self.space = space
        self.data = load(space)
        for each in self.data["supernets"]:
            each["word"] = word_of(each)
        self.data["supernets"].sort(key=lambda each: (ORDER.index(each["word"]), each["epochs"]))
        self.supernets = {label(each["word"], each["epochs"]): each for each in self.data["supernets"]}
        everywhere = [e for e in WORDS if e in self.data["truth"]]
        self.truths = {epochs: np.array(self.data["truth"][epochs]["test"]) for epochs in everywhere}
        self.validation = {epochs: np.array(self.data["truth"][epochs]["validation"]) for epochs in everywhere}
        self.sizes = {name: np.array(values, dtype=float) for name, values in self.data["profile"].items()}
        self.choices = np.array(self.data["choices"])
        self.labels = [[block[c] for block, c in zip(self.data["blocks"], row, strict=True)] for row in self.choices]
        self.known = [self.sizes[name] for name, _ in SIZES]

    @cached_property
    def correct(self) -> dict[str, np.ndarray]:
        """Share of seeds that got each test image right, (n, N), by ground truth."""
        return {epochs: _answers(HERE / self.space / f"correct-{epochs}.npz") for epochs in self.truths}

    @cached_property
    def expected(self) -> dict[str, np.ndarray]:
        """Draws of the expected accuracies, (D, n), from trainings and sizes: the same for all scores."""
        return {epochs: self.beliefs(test) for epochs, test in self.truths.items()}

    def beliefs(self, test: np.ndarray) -> np.ndarray:
        """Return draws of the expected accuracies, (D, n), from trainings, (n, S), and sizes."""
        return beliefs_of(test, self.known, self.choices, np.random.default_rng(0))

    def score(self, name: str, seeds: Sequence[int] | None = None, what: str = "loss") -> np.ndarray:
        """Return one-shot scores, (R, n): higher is better."""
        found = self.supernets[name]
        rows = [row for seed, row in zip(found["seeds"], found[what], strict=True) if seeds is None or seed in seeds]
        return (-1 if what in ("loss", "divergence") else 1) * np.array(rows)

    def taus(self, name: str, truth: str, seeds: Sequence[int] | None = None, what: str = "loss") -> list[float]:
        """Return τ of each supernet seed over all paths."""
        found = agreement(self.score(name, seeds, what), self.truths[truth]).tau.per_seed
        return [tau for tau in found if tau is not None]

    def lengths(self, word: str, fewest_seeds: int = 5) -> list[int]:
        """Return the numbers of epochs for which there are enough supernets of a kind."""
        kinds = [each for each in self.data["supernets"] if each["word"] == word]
        return [each["epochs"] for each in kinds if len(each["seeds"]) >= fewest_seeds]

    def names(self, words: Sequence[str], fewest_seeds: int = 5) -> list[str]:
        """Return the supernets of several kinds: by kind, then by length."""
        return [label(word, length) for word in words for length in self.lengths(word, fewest_seeds)]

    def words(self, fewest_seeds: int = 5) -> list[str]:
        """Return the kinds with enough supernets, except untrained ones."""
        return [word for word in ORDER if word != "untrained" and self.lengths(word, fewest_seeds)]

    def several(self) -> list[str]:
        """Return the kinds that were trained with several lengths."""
        return [word for word in self.words() if len(self.lengths(word)) > 1]

    @cached_property
    def shorts(self) -> list[tuple[str, float, np.ndarray]]:
        """Short trainings, shortest first: their label, their cost, their scores, (S, n)."""
        return [
            (
                f"short training, {each['steps']} steps per path",
                self.trainings(each["cost"]["macs"], len(each["seeds"])),
                -np.array(each["loss"]),
            )
            for each in sorted(self.data["short"], key=lambda short: short["steps"])
        ]

    def trainings(self, macs: float, of: int) -> float:
        """Return the cost of each of some networks, in stand-alone trainings of one epoch."""
        epochs = next(iter(self.truths))
        found = self.data["truth"][epochs]
        return macs / of / (found["cost"]["macs"] / len(found["test"]) / len(found["seeds"]) / int(epochs))

    def cost(self, name: str) -> float:
        """Return the cost of one supernet, evaluation included, in stand-alone trainings of one epoch."""
        found = self.supernets[name]
        training = 0 if found["word"] == "untrained" else found["training"]["macs"]
        return self.trainings(training + found["evaluation"]["macs"], len(found["seeds"]))

    def lost(self, score: np.ndarray, epochs: str, k: int) -> Loss:
        """Return what is lost by training the k best by scores, (R, n), with all seeds of a ground truth."""
        macs = self.sizes["macs"]
        return regret(score, self.expected[epochs], self.validation[epochs], k, {}, macs / macs.mean()).supernet

    def losses(self, score: np.ndarray, epochs: str, k: int) -> np.ndarray:
        """Return what is lost in each draw of the accuracies, (D, R), by training the k best by each of the scores."""
        return losses_of(list(score.astype(float)), self.expected[epochs], self.validation[epochs], k)

    def trained(self, found: Loss, epochs: str) -> float:
        """Return the cost of the paths that were trained for a loss, in stand-alone trainings of one epoch."""
        assert found.paths.value is not None
        return found.paths.value * self.truths[epochs].shape[1] * int(epochs)

    def each_truth(self, *heads: str) -> Iterator[str]:
        """Return column headings for one ground truth after the other, its name filled in."""
        return (head.format(WORDS[epochs]) for epochs in self.truths for head in heads)

    @property
    def longest(self) -> str:
        """The longest ground truth of all paths."""
        return list(self.truths)[-1]

    def mean(self, epochs: str) -> np.ndarray:
        """Return the mean accuracies of a ground truth, (n,)."""
        return mean_accuracy(self.truths[epochs])


def word_of(supernets: dict[str, Any]) -> str:
    """Return the word for a kind of supernets: its strategy, and what is special about it."""
    name, parameters = supernets["sampler"], supernets["parameters"]
    if supernets["name"].startswith("untrained"):
        return "untrained"
    if parameters.get("parts"):
        return f"{name} in parts"
    if parameters.get("combine") == "sum":
        return f"{name} (sum)"
    return f"{name} (gentle)" if parameters.get("rate", 0.5) < 0.5 else name


def label(word: str, epochs: int) -> str:
    """Return what supernets are called in tables: their kind and their epochs."""
    return f"{word}, {epochs}"


def called(kind: str) -> str:
    """Return the words for supernets: their label, with its unit."""
    return "untrained supernet" if kind.startswith("untrained") else f"{kind} epochs"


def _answers(path: Path) -> np.ndarray:
    """Return the share of seeds that got each test image right, (n, N)."""
    with np.load(path) as stored:
        bits = np.unpackbits(stored["bits"], axis=2, count=int(stored["images"]))
    return bits.mean(axis=0, dtype=np.float32)
