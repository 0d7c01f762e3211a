"""Where jobs run, and how many at once: on this machine or on a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from supernet_cli.glyphs import counted

if TYPE_CHECKING:
    from supernet_cli.executors import Executor
    from supernet_cli.executors.ray import RayCluster
    from supernet_cli.training.prepare import Prepared

ExecutorName = Literal["local", "ray"]
"""The modules in `executors/`."""


@dataclass(frozen=True)
class Workplace:
    """Where jobs run, and how many at once.

    Args:
        executor: Name of the executor.
        workers: Maximum number of jobs in parallel; None for as many as fit.
        address: Address of a Ray cluster.
        cpus: Cores per job on it; None for as many as a job has threads, or a whole node if none has as many.
        gpus: GPUs per job on it; None for one if the run uses GPUs.
        judges: Processes of this machine that evaluate in parallel; 1 for the process itself.

    Raises:
        UsageError: An option belongs to another executor, or a required package is not installed.
    """

    executor: ExecutorName = "local"
    workers: int | None = None
    address: str | None = None
    cpus: int | None = None
    gpus: float | None = None
    judges: int = 1

    def __post_init__(self) -> None:
        import importlib.util

        from supernet_cli.errors import UsageError

        for name, count in (("workers", self.workers), ("judges", self.judges)):
            if count is not None and count < 1:
                raise UsageError(f"{name} = {count}: give a number from 1.")
        of_ray = {"--ray-address": self.address, "--cpus-per-job": self.cpus, "--gpus-per-job": self.gpus}
        given = [name for name, value in of_ray.items() if value is not None]
        if given and self.executor != "ray":
            raise UsageError(f"{given[0]} only applies to a Ray cluster.", "Add --executor ray, or remove the option.")
        if self.gpus is not None and self.gpus > 1 and self.gpus % 1:
            message = f"--gpus-per-job {self.gpus:g}: more than one GPU must be a whole number."
            raise UsageError(message, f"Use --gpus-per-job {self.gpus:.0f}, or a fraction of one GPU.")
        spec = importlib.util.find_spec("ray") if self.executor == "ray" else None
        if self.executor == "ray" and (spec is None or spec.origin is None):  # a mere folder of that name
            raise UsageError("--executor ray needs the package ray.", 'Install it: pip install "supernet-cli[ray]"')

    def check(self) -> None:
        """Check that the cluster exists before doing much work that depends on it.

        Raises:
            RunError: Nothing listens at its address.
        """
        if self.executor == "ray":
            from supernet_cli.executors.ray import Needs, RayCluster

            RayCluster(Needs(1), self.address).check()

    def for_trainings(self, prepared: Prepared, waiting: int) -> tuple[Executor, str]:
        """Return the executor for a run's trainings, and a description of how many run at once.

        Args:
            prepared: From `prepare`, with the run's preset.
            waiting: Number of trainings to do.

        Raises:
            UsageError: The requested GPUs do not match the run's device.
        """
        threads = prepared.plan.preset.retrain.threads
        each = f"{counted(threads, 'thread')} each on {prepared.networks.device.name}"
        if self.executor == "ray":
            cluster = self.cluster(prepared, threads)
            return cluster, f"on a Ray cluster, {cluster.needs} and {each}"
        from supernet_cli.executors.local import LocalProcesses

        count = min(self.side_by_side(prepared), waiting)
        return LocalProcesses(count), f"{count} at a time, {each}"

    def for_judging(self, prepared: Prepared) -> Executor | None:
        """Return the executor that evaluates networks; None for this process.

        Args:
            prepared: From `prepare`, with the run's preset.

        Raises:
            UsageError: The requested GPUs do not match the run's device.
        """
        if self.executor == "ray":
            return self.cluster(prepared, prepared.plan.threads)
        from supernet_cli.executors.local import LocalProcesses

        return LocalProcesses(self.judges) if self.judges > 1 else None

    def side_by_side(self, prepared: Prepared) -> int:
        """Return how many trainings run at once; on a cluster, by default as many as on this machine."""
        from supernet_cli.training.retrain import room_for

        return self.workers or room_for(prepared.networks.device, prepared.plan.preset.retrain.threads)

    def cluster(self, prepared: Prepared, threads: int) -> RayCluster:
        """Return the requested cluster.

        Args:
            prepared: From `prepare`, with the run's preset.
            threads: CPU threads that a job uses.

        Raises:
            UsageError: The requested GPUs do not match the run's device.
        """
        from supernet_cli.errors import UsageError
        from supernet_cli.executors.ray import Needs, RayCluster

        place = prepared.networks.device.place
        if self.gpus is not None and place.type != "cuda":
            raise UsageError(f"--gpus-per-job has no effect: the run is on {place}.", "Remove the option.")
        if place.index:
            raise UsageError(
                f"The run's preset asks for {place}, but on a cluster Ray assigns the GPUs.",
                'Use a run whose preset has runtime.device = "cuda".',
            )
        gpus = self.gpus if self.gpus is not None else float(place.type == "cuda")
        return RayCluster(Needs(self.cpus or threads, gpus, or_all=self.cpus is None), self.address, self.workers)
