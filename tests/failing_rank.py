"""The program, for tests under torchrun, but rank 1 fails at step 12.

torchrun --nproc-per-node 2 tests/failing_rank.py HOW ARGUMENTS
"""

from __future__ import annotations

import os
import sys
import time

import torch

from supernet_cli.cli.app import main
from supernet_cli.sampling import StepPlan
from supernet_cli.training import ranks
from supernet_cli.training.driver import Training

well = Training._after_step


def ill(self: Training, step: int, plan: StepPlan, num_images: int) -> bool:
    """Do what a step does after it, or something else."""
    if step == 12 and os.environ["RANK"] == "1":
        match sys.argv[1]:
            case "memory":
                raise MemoryError
            case "bug":
                raise KeyError("lost")
            case "hangs":
                time.sleep(3600)
            case "drifts":
                with torch.no_grad():
                    next(self.learner.supernet.parameters()).add_(1e-3)
    return well(self, step, plan, num_images)


if __name__ == "__main__":
    Training._after_step = ill  # type: ignore[method-assign]
    ranks.PATIENCE_SECONDS = 3.0
    main(sys.argv[2:])
