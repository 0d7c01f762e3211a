"""The paths of a run as a problem to search: what is known of each without training it, and which meet the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from supernet_cli.policies.additive import Additive
from supernet_cli.policies.latency import read_latencies
from supernet_cli.policies.problem import SIZES, UNSIGNED, Choices, Floats, Observation, Path, Problem
from supernet_cli.policies.within import Limit, Limits, fitted
from supernet_cli.reports.scores import scores
from supernet_cli.reports.search.document import Axis
from supernet_cli.reports.statistics.posterior import normal_scores
from supernet_cli.space import PASSES_PER_TRAINING_IMAGE, SearchSpace
from supernet_cli.store.layout import Way, path_folder
from supernet_cli.store.results import evaluation, profiles
from supernet_cli.store.run import Run
from supernet_cli.store.state import State
from supernet_cli.workflows.request import Request

if TYPE_CHECKING:
    from supernet_cli.networks.builder import Builder
    from supernet_cli.training.prepare import Prepared


def figures_of(networks: Builder) -> dict[str, Additive]:
    """Return what adds up along the paths of a space, by its name: macs, parameters, weights."""
    sizes = networks.sizes
    figures = {"macs": sizes.macs, "parameters": sizes.parameters, "weights": sizes.weights}
    return {name: Additive.of(costs) for name, costs in figures.items()}


def check_limits(networks: Builder, request: Request) -> None:
    """Make sure that a path of a space meets the limits, but for one on latencies that are to be measured.

    Raises:
        UsageError: None does.
        DataError: The latency table is missing or damaged.
    """
    decisions = tuple(block.labels for block in networks.space.blocks)
    figures = figures_of(networks)
    if request.latencies is not None:
        figures["latency"] = read_latencies(request.latencies, decisions)[1]
    known = {name: most for name, most in request.limits.items() if name in figures}
    Limits(decisions, tuple(Limit(name, most, figures[name]) for name, most in known.items())).check()


@dataclass(frozen=True)
class Candidates:
    """The paths of a run.

    Args:
        run: The run.
        space: Its space.
        figures: What adds up along a path, by its name: macs, parameters, weights.
        epoch_images: Training images of a stand-alone training, over all of its epochs.
        most: The largest value of each limited figure.
        table: Latencies from a table; None where they are measured.
        is_timed: Whether anything depends on latencies that are measured.
    """

    run: Run
    space: SearchSpace
    figures: Mapping[str, Additive]
    epoch_images: int
    most: Mapping[str, float]
    table: Additive | None = None
    is_timed: bool = False

    @classmethod
    def of(
        cls,
        run: Run,
        prepared: Prepared,
        most: Mapping[str, float],
        table: Additive | None,
        against: Axis = "macs",
    ) -> Candidates:
        """Return the paths of a run that is prepared."""
        plan = prepared.plan
        return cls(
            run,
            prepared.networks.space,
            figures_of(prepared.networks),
            plan.train_images * plan.standalone_recipe.epochs,
            most,
            table,
            table is None and "latency" in (*most, against),
        )

    @cached_property
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """Labels of the candidates of each block."""
        return tuple(block.labels for block in self.space.blocks)

    @property
    def figures_needed(self) -> frozenset[str]:
        """What a search has measured of each path that it scores, besides its sizes: fields of `PathProfile`.

        The other proxies are evidence too where they are known, but take many times as long as scoring a path does.
        """
        return frozenset(("synflow", "latency_seconds") if self.is_timed else ("synflow",))

    def name(self, path: Path) -> str:
        """Return the name of a path."""
        return str(self.space.architecture(path))

    def path(self, name: str) -> Path:
        """Return the path of a name."""
        return self.space.parse(name).choices

    def training_macs(self, path: Path) -> int:
        """Return what training a path from scratch with one seed costs, without its evaluation."""
        return round(PASSES_PER_TRAINING_IMAGE * self.epoch_images * self.figures["macs"].of_path(path))

    def known(self) -> Known:
        """Return what is stored of the paths now."""
        return Known.read(self)


@dataclass(frozen=True)
class Known:
    """What a run has stored of its paths.

    Args:
        candidates: The paths.
        one_shot: One-shot score of each path that every supernet has scored: normal scores of the losses' ranks.
        proxies: Zero-cost proxies, by their name, of the paths they were measured of.
        latency: Seconds per image, where it was measured.
        measured: Paths that have been measured as far as a search needs.
        accuracies: Accuracies on validation of each path's finished stand-alone trainings, by seed.
        refused: Paths whose stand-alone trainings diverged.
    """

    candidates: Candidates
    one_shot: Mapping[Path, float]
    proxies: Mapping[str, Mapping[Path, float]]
    latency: Mapping[Path, float]
    measured: frozenset[Path]
    accuracies: Mapping[Path, tuple[float, ...]]
    refused: frozenset[Path]

    @classmethod
    def read(cls, candidates: Candidates) -> Known:
        """Read what is stored now.

        Raises:
            RunError: A file is damaged.
        """
        run, stored = candidates.run, evaluation(candidates.run)
        measured = {candidates.path(name): each for name, each in profiles(run).paths.items()}
        alone: dict[str, list[float]] = {}
        for rows in scores(run, stored, "validation", Way.ALONE).values():
            for name, row in rows.items():
                alone.setdefault(name, []).append(row.accuracy)
        diverged = {job.key for job in run.alone_jobs() if job.status().state is State.DIVERGED}
        refused = {key.path for key in diverged if not key.is_nameless} - alone.keys()
        return cls(
            candidates,
            _one_shot(candidates),
            {
                name: {path: value for path, each in measured.items() if (value := getattr(each, name)) is not None}
                for name in sorted(UNSIGNED)
            },
            {path: each.latency_seconds for path, each in measured.items() if each.latency_seconds},
            frozenset(path for path, each in measured.items() if all(map(each.has, candidates.figures_needed))),
            {candidates.path(name): tuple(several) for name, several in sorted(alone.items())},
            frozenset(map(candidates.path, refused)),
        )

    @cached_property
    def limits(self) -> Limits:
        """The limits; one on measured latencies waits for the first of them."""
        return Limits(self.candidates.decisions, tuple(self._limits()), self.refused)

    def _limits(self) -> list[Limit]:
        found = []
        for name, most in self.candidates.most.items():
            if name != "latency":
                found.append(Limit(name, most, self.candidates.figures[name]))
            elif self.candidates.table is not None:
                found.append(Limit(name, most, self.candidates.table))
            elif self.latency:
                found.append(Limit(name, most, fitted(self.candidates.decisions, self.latency), self.latency))
        return found

    @cached_property
    def problem(self) -> Problem:
        """The paths as policies see them."""
        sizes = [self.candidates.figures[name] for name in SIZES]
        looked_up = (*self.proxies.values(), self.one_shot)

        def figures(paths: Choices) -> Floats:
            rows = list(map(tuple, paths.tolist()))
            found = [np.log(np.maximum(size.along(paths), 1.0)) for size in sizes]
            found += [np.array([known.get(row, np.nan) for row in rows], dtype=np.float64) for known in looked_up]
            return np.stack(found, axis=1)

        return Problem(
            self.candidates.decisions,
            (*SIZES, *self.proxies, "one-shot"),
            figures,
            self.limits.within,
            size="macs",
            score="one-shot" if self.one_shot else None,
            measured=tuple(self.one_shot),
            examples=self.limits.examples,
        )

    @property
    def within(self) -> int | None:
        """How many paths meet all limits; None if they cannot be counted."""
        if self.problem.paths is not None:
            return len(self.problem.paths)
        limits = self.limits.limits
        return self.candidates.space.size if not limits else limits[0].count if len(limits) == 1 else None

    def observations(self, first: Sequence[Path]) -> tuple[Observation, ...]:
        """Return the trainings: those of some paths first, in their order."""
        order = [*(path for path in first if path in self.accuracies), *self.accuracies]
        return tuple(Observation(path, self.accuracies[path]) for path in dict.fromkeys(order))

    def is_scored(self, path: Path) -> bool:
        """Whether everything that a search needs of a path before training it is known."""
        return path in self.one_shot and path in self.measured

    def is_tested(self, path: Path) -> bool:
        """Whether all finished trainings of a path were evaluated on the test images."""
        run, name = self.candidates.run, self.candidates.name(path)
        seeds = {job.seed for job in run.alone_jobs() if job.key.folder == path_folder(name) and job.weights.is_file()}
        return seeds <= {seed for seed, rows in scores(run, evaluation(run), "test", Way.ALONE).items() if name in rows}

    def latencies(self, paths: Choices) -> Floats:
        """Return the latency of each path of a batch, (m,): from the table or as measured, otherwise an estimate."""
        table = self.candidates.table
        if table is not None:
            return table.along(paths)
        estimate = Limit("latency", np.inf, fitted(self.candidates.decisions, self.latency), self.latency)
        return estimate.values(paths)

    def latency_of(self, path: Path) -> float | None:
        """Return the latency of a path, from the table or as it was measured; None if unknown."""
        table = self.candidates.table
        return table.of_path(path) if table is not None else self.latency.get(path)


def _one_shot(candidates: Candidates) -> dict[Path, float]:
    """Return a score for each path that every supernet has scored; the larger, the better."""
    run = candidates.run
    by_seed = list(scores(run, evaluation(run), "validation", Way.ONE_SHOT).values())
    names = sorted(set(by_seed[0]).intersection(*by_seed[1:])) if by_seed else []
    if not names:
        return {}
    losses = np.array([[rows[name].loss for name in names] for rows in by_seed], dtype=np.float64)
    worst = np.nanmax(losses, axis=1, keepdims=True) if np.isfinite(losses).any(axis=1).all() else 0.0
    found = normal_scores(-np.where(np.isfinite(losses), losses, worst + 1))
    return dict(zip(map(candidates.path, names), found.tolist(), strict=True))
