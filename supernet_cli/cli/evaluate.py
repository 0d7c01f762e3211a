"""`supernet evaluate`: judge paths of a trained supernet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    from supernet_cli.runs.job import JobFolder
    from supernet_cli.runs.store import Run
    from supernet_cli.space import Architecture, SearchSpace

_MOST_PATHS = 4096


def evaluate(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]…",
            help="Paths to judge; all of them where none is named.",
            autocompletion=complete_path,
            show_envvar=False,
        ),
    ] = None,
    run: RunName = "latest",
    split: Annotated[Split, typer.Option(help="The images to judge on.", show_envvar=False)] = "test",
    runs_dir: RunsDir = RUNS_DIR,
    json: Json = False,
    quiet: Quiet = False,
    output: OutputFile = None,
) -> None:
    """Judge paths with the weights they inherit from the run's supernets: accuracy and loss of each.

    Results are also kept in the run's folder, results/evaluation.json.
    """
    from supernet_cli.cli.output import Output
    from supernet_cli.cli.render import scores_table
    from supernet_cli.runs.store import find_run
    from supernet_cli.space import SearchSpace

    voice = Output(json, quiet, output)
    found = find_run(runs_dir, run)
    preset = found.preset()
    chosen = _choose(SearchSpace.from_config(preset.space), paths or [])
    jobs = _finished(found)
    with voice.working(f"judging {len(chosen):,} paths of {len(jobs)} supernets"):
        rows = _judge(found, jobs, chosen, split)
    _keep(found, split, rows)
    document = {"run": found.id, "split": split, "paths": rows}
    voice.result(document, f"{found.id}  one-shot accuracy on {split}", "", scores_table(rows, split))


def _choose(space: SearchSpace, paths: list[str]) -> list[Architecture]:
    from supernet_cli.errors import UsageError

    if paths:
        return [space.parse(path) for path in dict.fromkeys(paths)]
    if space.size > _MOST_PATHS:
        raise UsageError(
            f"The space has {space.size:,} paths; judging all would take too long.",
            f"Name some, such as `supernet evaluate {space.at(0)}`.",
        )
    return list(space.enumerate())


def _finished(run: Run) -> list[JobFolder]:
    """Return the supernets that have their weights."""
    from supernet_cli.errors import RunError

    jobs = run.supernet_jobs()
    finished = [job for job in jobs if job.weights.is_file()]
    if not finished:
        raise RunError(
            f"Run {run.id} has no trained supernet yet; it is {run.state()}.",
            f"Finish it first: `supernet train --resume {run.id}`.",
        )
    return finished


def _judge(run: Run, jobs: list[JobFolder], paths: list[Architecture], split: Split) -> list[dict[str, Any]]:
    from supernet_cli.engine.judge import judge_supernets
    from supernet_cli.engine.prepare import prepare

    prepared = prepare(run.preset(), jobs[0].status().threads or None)
    prepared.check_images(run.manifest.fingerprints.get("images"))
    return [
        {
            "path": str(judged.path),
            "kind": "one-shot",
            "seed": judged.seed,
            "accuracy": judged.score.accuracy,
            "loss": judged.score.loss if math.isfinite(judged.score.loss) else None,
            "accuracy_unrecalibrated": judged.score.accuracy,  # no operation here has statistics to recalibrate
        }
        for judged in judge_supernets(prepared, jobs, paths, split)
    ]


def _keep(run: Run, split: Split, rows: list[dict[str, Any]]) -> None:
    """Store rows in the run's evaluation.json, in the place of earlier ones of the same path and seed."""
    document = run.result("evaluation") or {}
    earlier = document.get("splits", {}).get(split, [])
    merged = {(row["kind"], row["seed"], row["path"]): row for row in [*earlier, *rows]}
    splits = {**document.get("splits", {}), split: [merged[key] for key in sorted(merged)]}
    run.save_result("evaluation", {"run": run.id, "splits": splits})
