"""A recorder that writes a job's records as TensorBoard event files."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from supernet_cli.errors import UsageError
from supernet_cli.store.records import DevicesSampled, JobEnded, JobStarted, PathsEvaluated, Record, StepsTrained


class EventFiles:
    """A recorder and context manager that writes one folder of event files.

    Series: `loss/train`, `loss/objective`, `learning_rate`, `images_per_second`, `accuracy/<path>`,
        `validation_loss/<path>`,
    and for the run's devices `cpu/<core>`, `memory/…`, `gpu<n>/…`. A resumed job hides the steps that it repeats.

    Args:
        folder: Folder for the files.

    Raises:
        UsageError: The package tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        check_installed()
        self._folder = folder
        self._samples = 0
        self._before: StepsTrained | None = None

    def __enter__(self) -> EventFiles:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._folder))
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.close()

    def record(self, record: Record) -> None:
        """Write a record's values, with the record's time."""
        match record:
            case JobStarted():
                if record.step:
                    self._purge(record.step)
            case StepsTrained():
                self._steps(record)
            case PathsEvaluated():
                for score in record.scores:
                    self._add(f"accuracy/{score.path}", score.accuracy, record.step, record.time)
                    self._add(f"validation_loss/{score.path}", score.loss, record.step, record.time)
            case DevicesSampled():
                self._devices(record)
            case JobEnded():
                self._writer.flush()

    def _purge(self, step: int) -> None:
        """Start a file that hides later steps in earlier files."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer.close()
        self._writer = SummaryWriter(str(self._folder), purge_step=step + 1)

    def _steps(self, record: StepsTrained) -> None:
        self._add("loss/train", record.loss, record.step, record.time)
        self._add("loss/objective", record.objective, record.step, record.time)
        self._add("learning_rate", record.learning_rate, record.step, record.time)
        before, self._before = self._before, record
        if before is not None and record.seconds > before.seconds:
            rate = (record.forward_images - before.forward_images) / (record.seconds - before.seconds)
            self._add("images_per_second", rate, record.step, record.time)

    def _devices(self, record: DevicesSampled) -> None:
        values: dict[str, float | None] = {f"cpu/{number}": use for number, use in enumerate(record.cores)}
        values["memory/used_gib"] = record.memory_used_bytes / 2**30
        values["memory/process_gib"] = record.process_memory_bytes / 2**30
        for number, gpu in enumerate(record.gpus):
            used = gpu.memory_used_bytes
            values[f"gpu{number}/utilisation"] = gpu.utilisation
            values[f"gpu{number}/memory_gib"] = None if used is None else used / 2**30
            values[f"gpu{number}/temperature_celsius"] = gpu.temperature_celsius
            values[f"gpu{number}/power_watts"] = gpu.power_watts
        for name, value in values.items():
            self._add(name, value, self._samples, record.time)
        self._samples += 1

    def _add(self, name: str, value: float | None, step: int, time: float) -> None:
        if value is not None:
            self._writer.add_scalar(name, value, step, walltime=time)


def check_installed() -> None:
    """Check that the package tensorboard is installed.

    Raises:
        UsageError: It is not; names the command that installs it.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise UsageError(
            "--tensorboard needs the package tensorboard.", 'Install it: pip install "supernet-cli[tensorboard]"'
        )
