"""Optuna's TPE as a search policy: a rival in the benchmark, and no part of the package.

Source: Watanabe 2023, "Tree-Structured Parzen Estimator", arXiv 2304.11127; Akiba et al. 2019, "Optuna".
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import optuna

from supernet_cli.policies import Evidence, Path
from supernet_cli.policies._simple import Memoryless, filled

_TRIES = 50
"""Paths that TPE is asked for until one is new and within the limits."""


class Tpe(Memoryless):
    """Asks a study for one path at a time, with Optuna's own settings: the first ten are random."""

    def __init__(self, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self._study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        self._told = 0
        self._distributions: dict[str, Any] = {}

    def propose(self, evidence: Evidence, rng: np.random.Generator, n: int) -> list[Path]:
        """Return paths that the study suggests; random ones where it keeps suggesting those it has seen."""
        self._tell(evidence)
        found: list[Path] = []
        for _ in range(_TRIES):
            trial = self._study.ask(self._distributions)
            path = tuple(trial.params[name] for name in self._distributions)
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)  # its training is added once it is observed
            allowed = evidence.problem.within_limits(np.array([path]))[0]
            if allowed and path not in evidence.taken and path not in found:
                found.append(path)
            if len(found) == n:
                break
        return filled(found, evidence, rng, n)

    def _tell(self, evidence: Evidence) -> None:
        self._distributions = {
            str(place): optuna.distributions.CategoricalDistribution(range(len(labels)))
            for place, labels in enumerate(evidence.problem.decisions)
        }
        for observation in evidence.observations[self._told :]:
            params = dict(zip(self._distributions, observation.path, strict=True))
            self._study.add_trial(
                optuna.trial.create_trial(params=params, distributions=self._distributions, value=observation.mean)
            )
        self._told = len(evidence.observations)
