"""What other processes do in tests: they can import it, as they cannot the modules of tests."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from helpers import score, wait_for

from supernet_cli.store.alone import AloneJob
from supernet_cli.store.layout import Way
from supernet_cli.store.results import keep_scores
from supernet_cli.store.run import Run
from supernet_cli.store.state import State, Wish
from supernet_cli.training.retrain import AloneTraining


def add_scores(run: Run, seed: int) -> None:
    for number in range(10):
        keep_scores(
            run,
            "test",
            [score(f"p{number}", "one-shot", seed, 0.5, 1.0)],
            {(Way.ONE_SHOT, 0): {f"p{seed}x{number}": np.ones(9, bool)}},
        )


class Nothing:
    """Work that does nothing, but for one job that ends its process."""

    def set_up(self) -> None:
        pass

    def run(self, job: AloneJob, recorder: Any, stop: Any) -> Any:
        import os

        from supernet_cli.store.records import JobEnded
        from supernet_cli.training.driver import Outcome

        if job.seed == 3:
            os._exit(9)
        recorder.record(JobEnded(step=1, state=State.FINISHED))
        return Outcome(State.FINISHED)


class Printing(Nothing):
    """Work that prints where libraries and crashes do, before anything else."""

    def run(self, job: AloneJob, recorder: Any, stop: Any) -> Any:
        import os

        os.write(2, b"last words\n")
        return super().run(job, recorder, stop)


class Shares:
    """Work that says whether what it was given lies in memory that processes share."""

    def __init__(self, training: AloneTraining) -> None:
        self.training = training

    def set_up(self) -> None:
        pass

    def run(self, job: AloneJob, recorder: Any, stop: Any) -> Any:
        from supernet_cli.training.driver import Outcome

        tensors = [value for value in vars(self.training.data.training).values() if isinstance(value, torch.Tensor)]
        return Outcome(State.FINISHED, f"{len(tensors)} {all(tensor.is_shared() for tensor in tensors)}")


class Trivial(Nothing):
    """Work that is done at once."""

    def run(self, job: AloneJob, recorder: Any, stop: Any) -> Any:
        from supernet_cli.store.records import JobEnded
        from supernet_cli.training.driver import Outcome

        recorder.record(JobEnded(step=1, state=State.FINISHED))
        return Outcome(State.FINISHED)


class Unfit(Nothing):
    """Work whose processes cannot be made ready."""

    def set_up(self) -> None:
        raise ValueError("no such kernel")


class Failing(Nothing):
    """Work that does nothing, but for one job that fails, and one that ends its process."""

    def run(self, job: AloneJob, recorder: Any, stop: Any) -> Any:
        if job.seed == 1:
            raise ValueError("no such kernel")
        return super().run(job, recorder, stop)


def judge(number: int, between: Any) -> Any:
    """Stand in for a judge, of which one part ends the process."""
    import os

    if number == 3:
        os._exit(9)
    return [number]


class Dying(Nothing):
    """Work whose processes die as soon as they have something to do."""

    def set_up(self) -> None:
        import os

        os._exit(7)


class Mortal(Nothing):
    """Work whose process is said to be dead once it is in the middle of a certain job.

    Its checkpoints are the seeds of those who began. One job waits to be stopped.

    Args:
        deadly: Seed of that job.
        times: How often it is deadly.
        kept: Where the driver keeps its checkpoint: it dies when that is there.
    """

    def __init__(self, deadly: int = -1, times: int = 0, kept: Path | None = None) -> None:
        self.deadly, self.times, self.kept = deadly, times, kept
        self.is_dead = False

    def run(self, job: AloneJob, recorder: Any, stop: Any) -> Any:
        from supernet_cli.store.records import JobEnded
        from supernet_cli.training.driver import Outcome

        mine = job.folder.checkpoint
        begun = (mine.read_text() if mine.exists() else "") + str(job.seed)
        mine.write_text(begun)
        if job.seed == self.deadly and len(begun) <= self.times:
            assert self.kept is not None
            wait_for(lambda: self.kept.exists() and self.kept.read_text() == begun, 600)
            self.is_dead = True
            wait_for(lambda: False, 600)
        while (wish := stop()) in (None, Wish.PAUSE) and job.seed == 99:
            time.sleep(0.01)
        state = wish.state if wish is not None else State.FINISHED
        recorder.record(JobEnded(step=1, state=state))
        return Outcome(state, begun)
