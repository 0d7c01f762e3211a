"""What each rank runs in tests of training under torchrun: trains presets in turn, and keeps what came of them.

    torchrun --nproc-per-node 2 tests/parallel_training.py FOLDER

The folder holds presets as `<name>.toml`. Beside them it writes `<name>/of-<ranks>/rank-<n>.pt`: the weights at the
start and at every checkpoint, and what was reported. The preset called `cut` is interrupted, by the last rank only, and
resumed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import torch

from supernet_cli.config.load import read_toml, validate
from supernet_cli.config.torchrun import Place, here
from supernet_cli.networks.builder import Builder
from supernet_cli.store.job import JobFolder
from supernet_cli.store.layout import JobKey
from supernet_cli.store.records import PathsEvaluated, Record, StepsTrained
from supernet_cli.store.state import Wish
from supernet_cli.training.prepare import prepare
from supernet_cli.training.ranks import Ranks
from supernet_cli.training.train import train_supernet


class WatchedRanks(Ranks):
    """Keeps this rank's weights wherever ranks have to be equal: at the start and at every checkpoint."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.weights: list[torch.Tensor] = []

    def check_same(self, when: str, module: torch.nn.Module, plan: str = "") -> None:
        self.weights.append(torch.cat([weight.detach().reshape(-1) for weight in module.parameters()]))
        super().check_same(when, module, plan)


class Kept:
    """Keeps what is reported about steps and paths, without times."""

    def __init__(self) -> None:
        self.records: list[dict[str, object]] = []

    def record(self, record: Record) -> None:
        if isinstance(record, StepsTrained | PathsEvaluated):
            self.records.append(record.model_dump(exclude={"time", "seconds"}))


def stop_of_the_last(place: Place, polls: int) -> Callable[[], Wish | None]:
    """Return what asks the last rank alone to stop, after so many steps."""
    left = iter([None] * polls)
    return lambda: Wish.INTERRUPT if place.rank == place.size - 1 and next(left, "over") == "over" else None


def train_all(folder: Path, place: Place) -> None:
    """Train each preset of a folder, as one of the ranks or alone."""
    with WatchedRanks(place) as ranks:
        for number, path in enumerate(sorted(folder.glob("*.toml"))):
            prepared = prepare(validate(read_toml(path), path), place=place)
            if number == 0:
                ranks.join(prepared.networks.device)
            job = JobFolder(folder / path.stem / f"of-{place.size}", JobKey.supernet(0))
            job.path.mkdir(parents=True, exist_ok=True)
            ranks.weights.clear()
            for stop in [stop_of_the_last(place, 5), lambda: None] if path.stem == "cut" else [lambda: None]:
                kept, supernet = Kept(), prepared.networks.supernet(0)
                with mock.patch.object(Builder, "supernet", lambda *_, supernet=supernet: supernet):  # to look into it
                    outcome = train_supernet(prepared, job, 0, kept, stop, ranks)
            result = {"state": str(outcome.state), "checkpoints": ranks.weights, "records": kept.records}
            torch.save(result, job.path / f"rank-{place.rank}.pt")


if __name__ == "__main__":
    train_all(Path(sys.argv[1]), here())
