"""Where many jobs run: the options shared by `retrain`, `evaluate` and `experiment`."""

from __future__ import annotations

from typing import Annotated

import typer

from supernet_cli.cli.options import PLACE
from supernet_cli.workflows.workplace import ExecutorName

ExecutorOption = Annotated[
    ExecutorName, typer.Option("--executor", help="Run jobs on this machine or on a Ray cluster", rich_help_panel=PLACE)
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="ADDRESS",
        help="Ray cluster, such as auto or head:6379. Default: $RAY_ADDRESS, otherwise a temporary cluster on this "
        "machine.",
        rich_help_panel=PLACE,
    ),
]
CpusPerJob = Annotated[
    int | None,
    typer.Option(
        "--cpus-per-job",
        min=1,
        metavar="N",
        help="Cores per job on a Ray cluster. Default: as many as a job has threads.",
        rich_help_panel=PLACE,
    ),
]
GpusPerJob = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-job",
        min=0.01,
        metavar="X",
        help="GPUs per job on a Ray cluster, such as 0.5. Default: 1 if the run uses GPUs.",
        rich_help_panel=PLACE,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        metavar="N",
        help="Trainings side by side. Default: as many as there is room for.",
        rich_help_panel=PLACE,
    ),
]
