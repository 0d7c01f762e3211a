"""Final trainings: paths trained for use, as long as is asked for, maybe with another network as their teacher."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from supernet_cli.errors import RunError, UsageError
from supernet_cli.glyphs import counted
from supernet_cli.store.layout import JobKey, Way, path_folder
from supernet_cli.store.results import Final, Selection, selections
from supernet_cli.store.run import Run
from supernet_cli.workflows.load import best_by_validation
from supernet_cli.workflows.session import Session

if TYPE_CHECKING:
    from torch import nn

_TEMPERATURE = 4.0
"""Of distillation, where none is given."""


def final_of(run: Run, epochs: int | None, teacher: str | None, temperature: float | None) -> Final | None:
    """Return how paths are trained for use, as somebody asks for it; None where nobody does.

    Args:
        run: The run.
        epochs: Length of each training (default: that of all trainings from scratch).
        teacher: A path of the run, or a file or folder that `supernet export` wrote.
        temperature: Of distillation.

    Raises:
        UsageError: These do not fit together.
    """
    if temperature is not None and teacher is None:
        raise UsageError("A temperature softens what a teacher says.", "Add --teacher PATH, or drop --temperature.")
    if epochs is None and teacher is None:
        return None
    if temperature is not None and not 0 < temperature < float("inf"):
        raise UsageError(f"A temperature of {temperature:g} softens nothing.", "Give a positive number, such as 4.")
    if epochs is not None and epochs < 1:
        raise UsageError(f"A training of {epochs:,} epochs is none.", "Give at least 1.")
    length = run.preset().standalone_recipe().epochs if epochs is None else epochs
    return Final(epochs=length, teacher=teacher or "", temperature=(temperature or _TEMPERATURE) if teacher else None)


def settled(session: Session, selection: Selection, final: Final) -> Selection:
    """Return a selection with how its paths are trained for use: their teacher is a certain job, or a file.

    Raises:
        UsageError: Some of the paths have been trained for use in another way, or there is no such teacher.
        RunError: The teacher has not been trained.
    """
    earlier = _earlier(session.run, selection)
    final = final.model_copy(update=_teacher(session, final.teacher, earlier)) if final.teacher else final
    for path, known in earlier.items():
        if known != final:
            folder = session.run.folder / Way.FINAL.folder / path_folder(path)
            raise UsageError(
                f"{path} has a final training of this run already: {described(known)}.",
                f"Delete {folder} to train it differently.",
            )
    return selection.model_copy(update={"final": final})


def described(final: Final) -> str:
    """Return how paths are trained for use, in words."""
    length = counted(final.epochs, "epoch")
    return f"{length}, taught by {final.teacher} at temperature {final.temperature:g}" if final.teacher else length


def teacher(session: Session, final: Final) -> nn.Module | None:
    """Return the network that final trainings learn from, too; None for none.

    Raises:
        RunError: Its weights are damaged.
        DataError: Its file cannot be read, or is no network for the images of the run.
    """
    if not final.teacher:
        return None
    from supernet_cli.networks.loaded import LoadedNetwork
    from supernet_cli.training.stored import network_spec, stored_subnet

    run = session.run
    spec = network_spec(run, session.data_root)
    if not final.teacher_job:
        from supernet_cli.networks.teacher_file import TeacherFile

        return TeacherFile.read(Path(final.teacher), spec)
    path, key = session.space.parse(final.teacher), JobKey.parse(final.teacher_job)
    subnet = stored_subnet(run, spec, path, key.way, key.seed)
    return LoadedNetwork(subnet, str(path), spec.classes, spec.normalisation).eval()


def _earlier(run: Run, selection: Selection) -> dict[str, Final]:
    """Return how those of a selection's paths are trained for use that were begun already."""
    begun = {job.key.folder for job in run.alone_jobs(Way.FINAL)}
    return {
        path: known.final
        for known in selections(run)
        for path in known.paths
        if known.final is not None and path in selection.paths and path_folder(path) in begun
    }


def _teacher(session: Session, word: str, earlier: dict[str, Final]) -> dict[str, str]:
    """Return the teacher that a word stands for: the same training as earlier, even if there is a better one now."""
    file = Path(word)
    if file.exists():
        return {"teacher": str(file.resolve())}
    if file.suffix or len(file.parts) > 1:
        raise UsageError(f"There is no file {word} to learn from.", "Name a path of the run, or an exported network.")
    path = str(session.space.parse(word))
    if (same := next((known for known in earlier.values() if known.teacher == path), None)) is not None:
        return {"teacher": path, "teacher_job": same.teacher_job}
    jobs = [
        job
        for way in (Way.FINAL, Way.ALONE)
        for job in session.run.alone_jobs(way)
        if job.key.folder == path_folder(path) and job.weights.is_file()
    ]
    if not jobs:
        train = session.run.command("retrain", path)
        raise RunError(f"{path} has no weights of its own to teach with.", f"Train it first: `{train}`.")
    return {"teacher": path, "teacher_job": str(best_by_validation(jobs).key)}
