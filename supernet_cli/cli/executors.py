"""Where many jobs run: the options that `retrain`, `evaluate` and `experiment` share, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from supernet_cli.engine.executors import Executor
    from supernet_cli.engine.executors.ray import RayCluster
    from supernet_cli.engine.prepare import Prepared

ExecutorName = Literal["local", "ray"]
"""The modules of `engine/executors/`."""

ExecutorOption = Annotated[
    ExecutorName,
    typer.Option("--executor", help="Where jobs run: on this machine, or on a Ray cluster.", show_envvar=False),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="ADDRESS",
        help="The cluster, such as auto or head:6379; left out, RAY_ADDRESS, or else one that this machine is for as "
        "long as the command runs.",
        show_envvar=False,
    ),
]
CpusPerJob = Annotated[
    int | None,
    typer.Option("--cpus-per-job", min=1, metavar="N", help="Cores that Ray gives a job.", show_envvar=False),
]
GpusPerJob = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-job",
        min=0.01,
        metavar="X",
        help="GPUs that Ray gives a job, such as 0.5; left out, one where the run is on GPUs.",
        show_envvar=False,
    ),
]


@dataclass(frozen=True)
class Workplace:
    """Where jobs run, and how many at once, as a command line says it.

    Args:
        executor: Which executor.
        workers: How many trainings run side by side; None for as many as there is room for.
        address: Of a Ray cluster.
        cpus: Cores of a job on it; None for as many as it has threads, or a whole node where none has as many.
        gpus: GPUs of a job on it; None for one where the run is on GPUs.

    Raises:
        UsageError: An option belongs to another executor, or what it needs is not installed.
    """

    executor: ExecutorName = "local"
    workers: int | None = None
    address: str | None = None
    cpus: int | None = None
    gpus: float | None = None

    def __post_init__(self) -> None:
        import importlib.util

        from supernet_cli.errors import UsageError

        of_ray = {"--ray-address": self.address, "--cpus-per-job": self.cpus, "--gpus-per-job": self.gpus}
        given = [name for name, value in of_ray.items() if value is not None]
        if given and self.executor != "ray":
            raise UsageError(f"{given[0]} says something of a Ray cluster.", "Add --executor ray, or leave it out.")
        if self.gpus is not None and self.gpus > 1 and self.gpus % 1:
            raise UsageError(f"--gpus-per-job {self.gpus:g}: beyond one, GPUs are whole.", "Give a part of one, or 2.")
        found = importlib.util.find_spec("ray") if self.executor == "ray" else None
        if self.executor == "ray" and (found is None or found.origin is None):  # a folder of that name is no package
            raise UsageError("--executor ray needs the package ray.", 'Install it: pip install "supernet-cli[ray]"')

    def check(self) -> None:
        """Make sure that a cluster is there, before much is done that is to be followed by work on it.

        Raises:
            RunError: Nobody listens at its address.
        """
        if self.executor == "ray":
            from supernet_cli.engine.executors.ray import Needs, RayCluster

            RayCluster(Needs(1), self.address).check()

    def for_trainings(self, prepared: Prepared, waiting: int) -> tuple[Executor, str]:
        """Return what runs the trainings of a run, and in words how many at once.

        Args:
            prepared: From `prepare`, with the run's preset.
            waiting: How many there are to do.

        Raises:
            UsageError: The GPUs asked for do not go with the run's device.
        """
        threads = prepared.preset.retrain.threads
        told = f"{threads} thread{'s' * (threads > 1)} each on {prepared.device.name}"
        if self.executor == "ray":
            cluster = self.cluster(prepared, threads)
            return cluster, f"on a Ray cluster, {cluster.needs} and {told}"
        from supernet_cli.engine.executors.local import LocalProcesses
        from supernet_cli.engine.retrain import room_for

        count = min(self.workers or room_for(prepared), waiting)
        return LocalProcesses(count), f"{count} side by side, {told}"

    def cluster(self, prepared: Prepared, threads: int) -> RayCluster:
        """Return the cluster that is asked for.

        Args:
            prepared: From `prepare`, with the run's preset.
            threads: Of the CPU, that a job uses.

        Raises:
            UsageError: The GPUs asked for do not go with the run's device.
        """
        from supernet_cli.engine.executors.ray import Needs, RayCluster
        from supernet_cli.errors import UsageError

        place = prepared.device.place
        if self.gpus is not None and place.type != "cuda":
            raise UsageError(f"--gpus-per-job: the run is on {place}, and would not use them.", "Leave it out.")
        if place.index:
            raise UsageError(
                f"The run is bound to {place}, and on a cluster it is Ray that says which GPU a job has.",
                'Take a run whose preset says runtime.device = "cuda".',
            )
        gpus = self.gpus if self.gpus is not None else float(place.type == "cuda")
        return RayCluster(Needs(self.cpus or threads, gpus, or_all=self.cpus is None), self.address, self.workers)
