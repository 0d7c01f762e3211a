"""Evaluation of paths while their supernet trains: at ends of epochs, and as feedback to strategies that use it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from supernet_cli.networks.scoring import JudgingPlan
from supernet_cli.sampling import Adaptive, Reporting, StepPlan
from supernet_cli.space import Architecture
from supernet_cli.store.layout import JobKey
from supernet_cli.store.ranking import RANKED_BY, ranked
from supernet_cli.store.records import PathScore, PathsEvaluated, Recorder
from supernet_cli.store.state import Wish
from supernet_cli.training.assignment import Assignment
from supernet_cli.training.ledger import Ledger
from supernet_cli.training.ranks import Ranks

logger = logging.getLogger(__name__)


class _Stopped(Exception):
    """A stop was requested while paths were evaluated."""


@dataclass(frozen=True)
class Judging:
    """Evaluates the paths of a supernet in training.

    Args:
        assignment: What is trained, and how its paths are evaluated.
        ledger: Receives the cost of feedback.
        recorder: Receives the results.
        stop: Requests a stop.
        ranks: The processes that train together; the first one evaluates.
        key: The job's, for the log.
    """

    assignment: Assignment
    ledger: Ledger
    recorder: Recorder
    stop: Callable[[], Wish | None]
    ranks: Ranks
    key: JobKey

    @cached_property
    def _adaptive(self) -> Adaptive | None:
        """The strategy, if it wants feedback: looked up once, as this is asked after every step."""
        sampler = self.assignment.sampler
        return sampler if isinstance(sampler, Adaptive) else None

    def is_due(self, epoch: int) -> bool:
        """Whether paths are evaluated after an epoch, numbered from 1."""
        recipe = self.assignment.recipe
        return epoch % recipe.evaluate_every == 0 or epoch == recipe.epochs

    def after_epoch(self, epoch: int, step: int) -> bool:
        """Evaluate paths on validation.

        Args:
            epoch: The number of epochs done.
            step: The number of steps done.

        Returns:
            Whether that was completed, and not left because a stop was requested.
        """

        def evaluate() -> bool:
            try:
                self._evaluate(epoch, step)
            except _Stopped:
                return False
            return True

        return self.ranks.from_first(evaluate)

    def feed_back(self, step: int, plan: StepPlan) -> None:
        """Report the accuracy of the paths just trained to the strategy if due, on the images held out for it.

        Batch normalisation is calibrated on these same images.

        Args:
            step: The number of steps done.
            plan: What the last of them trained.
        """
        sampler = self._adaptive
        if sampler is None or step % sampler.feedback_every:
            return
        supernet, images = self.assignment.supernet, self.assignment.data.feedback
        assert images is not None
        self.ledger.record_training_time()
        paths = [each.path for each in plan.passes if isinstance(each.path, Architecture)]
        judging = JudgingPlan(paths, images, calibration=images)
        scores = self.ranks.from_first(lambda: judging.run(supernet, self.assignment.device))
        for path, score in scores.items():
            sampler.feedback(path, score.accuracy)
        self.ledger.record_feedback(judging.cost(supernet, self.ledger.costs))

    def _evaluate(self, epoch: int, step: int) -> None:
        assignment, ledger = self.assignment, self.ledger
        supernet, sampler = assignment.supernet, assignment.sampler
        judging = assignment.judged if epoch == assignment.recipe.epochs else assignment.watched
        started = time.perf_counter()
        scores = judging.run(supernet, assignment.device, self._look_up)
        seconds = time.perf_counter() - started
        cost = replace(judging.cost(supernet, ledger.costs), seconds=seconds) + ledger.take_feedback()
        path_scores = tuple(
            PathScore(
                path=str(path),
                accuracy=s.accuracy,
                loss=s.loss,
                trained_images=ledger.trained_images[path],
                accuracy_unrecalibrated=s.accuracy_unrecalibrated,
                divergence=s.divergence,
            )
            for path, s in scores.items()
        )
        record = PathsEvaluated(
            step=step,
            epoch=epoch,
            scores=path_scores,
            seconds=cost.seconds,
            forward_images=cost.images,
            macs=cost.macs,
            strategy=sampler.report() if isinstance(sampler, Reporting) else {},
        )
        self.recorder.record(record)
        best = ranked(path_scores)[0]
        logger.info(
            "%s epoch %d: best path by %s %s, accuracy %.4f", self.key, epoch, RANKED_BY, best.path, best.accuracy
        )
        if record.strategy:
            figures = ", ".join(f"{name} {value:.4f}" for name, value in record.strategy.items())
            logger.info("%s epoch %d: %s", self.key, epoch, figures)

    def _look_up(self) -> None:
        """Abort the evaluation if a stop is requested."""
        self.ranks.beat()
        if self.stop() not in (None, Wish.PAUSE):
            raise _Stopped
