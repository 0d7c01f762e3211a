"""What training and evaluation cost, from the records of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from supernet_cli.reports.next_step import finish_first
from supernet_cli.reports.scores import last_judged
from supernet_cli.space import PASSES_PER_TRAINING_IMAGE
from supernet_cli.store.results import JudgingCost, evaluation
from supernet_cli.store.run import Run
from supernet_cli.store.snapshot import JobSnapshot


@dataclass(frozen=True)
class Cost:
    """What some work cost.

    Args:
        forward_images: Images run forward, counted once per path.
        macs: Multiply-accumulates.
        seconds: Summed over the processes that did it.
    """

    forward_images: int = 0
    macs: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        """Return the cost of both."""
        return Cost(self.forward_images + other.forward_images, self.macs + other.macs, self.seconds + other.seconds)


def macs_of_a_supernet(run: Run, scored_later: bool = True) -> int:
    """Return the multiply-accumulates of training one supernet of a run and evaluating its paths on validation.

    The mean over finished supernets. Evaluation by commands counts only if training did not evaluate every path itself.

    Args:
        run: The run.
        scored_later: Whether evaluation by commands counts at all.

    Raises:
        RunError: No supernet is finished.
    """
    jobs = [job for job in run.supernet_jobs() if job.weights.is_file()]
    if not jobs:
        raise finish_first(run, "finished supernet whose cost short trainings could match")
    snapshots = [job.snapshot()[0] for job in jobs]
    partly = {j.seed for j, snapshot in zip(jobs, snapshots, strict=True) if len(last_judged(j)) < snapshot.num_paths}
    commands = evaluation(run).costs if scored_later else []
    later = [cost for cost in commands if cost.split == "validation" and cost.seed in partly]
    return (training_cost(snapshots) + evaluation_cost(snapshots, later)).macs // len(jobs)


def training_cost(jobs: Sequence[JobSnapshot]) -> Cost:
    """Return what trainings cost."""
    return Cost(
        sum(job.forward_images for job in jobs),
        sum(PASSES_PER_TRAINING_IMAGE * job.forward_macs for job in jobs),
        sum(job.train_seconds for job in jobs),
    )


def evaluation_cost(jobs: Sequence[JobSnapshot], later: Sequence[JudgingCost] = ()) -> Cost:
    """Return what evaluating paths cost, during training and by later commands."""
    return Cost(
        sum(job.evaluation_images for job in jobs) + sum(cost.forward_images for cost in later),
        sum(job.evaluation_macs for job in jobs) + sum(cost.macs for cost in later),
        sum(job.evaluation_seconds for job in jobs) + sum(cost.seconds for cost in later),
    )
