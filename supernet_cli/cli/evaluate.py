"""`supernet evaluate`: judge the networks of a run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from supernet_cli.cli.executors import CpusPerJob, ExecutorOption, GpusPerJob, RayAddress, Workplace
from supernet_cli.cli.options import (
    RUNS_DIR,
    Json,
    OutputFile,
    Quiet,
    RunName,
    RunsDir,
    Split,
    complete_path,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from supernet_cli.cli.output import Output
    from supernet_cli.runs.store import Run
    from supernet_cli.space import Architecture, SearchSpace

MOST_PATHS = 4096
"""Largest space that is judged, or trained path by path, without naming paths."""

_TITLES = {
    "one-shot": "one-shot: weights inherited from a supernet",
    "stand-alone": "stand-alone: trained alone, from scratch",
    "inherited": "fine-tuned: trained alone, from a supernet's weights",
}


def evaluate(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Paths to judge; all of them where none is named.",
            autocompletion=complete_path,
            show_envvar=False,
        ),
    ] = None,
    run: RunName = "latest",
    split: Annotated[Split, typer.Option(help="The images to judge on.", show_envvar=False)] = "test",
    executor: ExecutorOption = "local",
    ray_address: RayAddress = None,
    cpus_per_job: CpusPerJob = None,
    gpus_per_job: GpusPerJob = None,
    runs_dir: RunsDir = RUNS_DIR,
    json: Json = False,
    quiet: Quiet = False,
    output: OutputFile = None,
) -> None:
    """Judge paths: with the weights they inherit from the run's supernets, and with their own where trained alone.

    Results are also kept in the run's folder: scores, which images were got right, sizes and latencies of the paths.
    """
    from supernet_cli.cli.output import Output
    from supernet_cli.cli.render import scores_table
    from supernet_cli.runs.store import find_run

    voice = Output(json, quiet, output)
    workplace = Workplace(executor, None, ray_address, cpus_per_job, gpus_per_job)
    found = find_run(runs_dir, run)
    rows = judge(found, paths or [], split, workplace, voice)
    document = {"run": found.id, "split": split, "paths": rows}
    parts: list[RenderableType] = []
    for kind, title in _TITLES.items():
        if some := [row for row in rows if row["kind"] == kind]:
            parts += ["" if parts else f"{found.id}  {split}", "", title, scores_table(some, split)]
    voice.result(document, *parts)


def judge(run: Run, paths: list[str], split: Split, workplace: Workplace, voice: Output) -> list[dict[str, Any]]:
    """Judge the networks of a run that are there, keep the results, and return them as rows.

    Args:
        run: The run.
        paths: Which paths; all where none is named.
        split: Whose images.
        workplace: Where to judge.
        voice: Shows progress.

    Raises:
        UsageError: There is no such path, or the space is too large to judge whole.
        RunError: The run has no trained network yet, its results are damaged, or a cluster is not there.
        KeyboardInterrupt: A signal came; what was judged until then is kept.
    """
    from supernet_cli.cli.signals import Interruption
    from supernet_cli.runs.results import check_results
    from supernet_cli.space import SearchSpace

    preset = run.preset()
    chosen = _choose(SearchSpace.from_config(preset.space), paths)
    _check_anything_to_judge(run)
    check_results(run)
    with voice.working("loading torch and the data") as advance, Interruption() as interruption:
        from supernet_cli.engine.judge import Networks, judge_run
        from supernet_cli.engine.prepare import prepare

        threads = max((job.status().threads for job in run.supernet_jobs()), default=0)
        prepared = prepare(preset, threads or None, advance)
        prepared.check_images(run.manifest.fingerprints.get("images"))

        def stop_if_asked() -> None:
            if interruption.requested:
                raise KeyboardInterrupt

        spread = None
        if workplace.executor == "ray":
            spread = partial(workplace.cluster(prepared, prepared.threads).map, between=stop_if_asked)
        rows = judge_run(prepared, run, Networks.of(run, chosen), chosen, split, advance, stop_if_asked, spread)
    return [row.model_dump() for row in rows]


def _choose(space: SearchSpace, paths: list[str]) -> list[Architecture]:
    from supernet_cli.errors import UsageError

    if paths:
        return [space.parse(path) for path in dict.fromkeys(paths)]
    if space.size > MOST_PATHS:
        raise UsageError(
            f"The space has {space.size:,} paths; judging all would take too long.",
            f"Name some, such as `supernet evaluate {space.at(0)}`.",
        )
    return list(space.enumerate())


def _check_anything_to_judge(run: Run) -> None:
    from supernet_cli.errors import RunError

    if not any(job.weights.is_file() for job in run.jobs()):
        raise RunError(
            f"Run {run.id} has no trained network yet; it is {run.state()}.",
            f"Finish it first: `supernet train --resume {run.typed}`.",
        )
