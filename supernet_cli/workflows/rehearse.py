"""What a training would be and how long it would take, without doing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from supernet_cli.glyphs import counted
from supernet_cli.store.layout import Way
from supernet_cli.store.results import Selection
from supernet_cli.workflows.observer import Observer
from supernet_cli.workflows.request import Request
from supernet_cli.workflows.retrain import short_steps, trainings
from supernet_cli.workflows.search import check_searchable
from supernet_cli.workflows.searching import Search
from supernet_cli.workflows.selection import Scorer, Wanted
from supernet_cli.workflows.session import Session
from supernet_cli.workflows.workplace import Workplace

if TYPE_CHECKING:
    from supernet_cli.config.load import LoadedPreset
    from supernet_cli.policies.within import Limit
    from supernet_cli.training.rehearse import AloneEstimate, Rehearsal

_TIMING = "loading torch and the data, and timing a few steps"


def rehearse_new(
    loaded: LoadedPreset, observer: Observer, workplace: Workplace | None = None
) -> tuple[Rehearsal, AloneEstimate | None]:
    """Measure what a training or an experiment would be, without creating a run.

    Args:
        loaded: What would be trained.
        observer: Sees how far the measurement is.
        workplace: Where paths are trained from scratch; None if they are not, as by `train`.

    Returns:
        One supernet (its space, its data, how long it takes), and all stand-alone trainings of an experiment.

    Raises:
        PresetError: Something that the preset asks for is impossible.
        DataError: The images are missing or damaged.
    """
    with observer.working(_TIMING) as advance:
        from supernet_cli.training.prepare import prepare_loaded
        from supernet_cli.training.rehearse import estimate_alone, rehearse

        prepared = prepare_loaded(loaded, advance)
        rehearsal = rehearse(prepared)
        if workplace is None:
            return rehearsal, None
        paths = list(prepared.networks.space.enumerate()) * len(loaded.preset.retrain.seeds)
        return rehearsal, estimate_alone(prepared, paths, workplace.side_by_side(prepared))


@dataclass(frozen=True)
class AloneRehearsal:
    """What training some paths of a run alone would be.

    Args:
        paths: The paths; None where they are only known after more paths are scored.
        num_paths: How many they are.
        done: Trainings that are done already.
        scored_first: The paths that are scored before the choice, in words; empty for none.
        where: Where trainings run, in words.
        length: Of each training, in words.
        estimate: How long those that are not done take.
    """

    paths: Sequence[str] | None
    num_paths: int
    done: int
    scored_first: str
    where: str
    length: str
    estimate: AloneEstimate


def rehearse_alone(session: Session, wanted: Wanted, seeds: Sequence[int]) -> AloneRehearsal:
    """Measure what training some paths alone would be, without scoring or training anything.

    Args:
        session: The run, and where its paths would be trained.
        wanted: Which paths, and how.
        seeds: Trainings of each.

    Raises:
        UsageError: There is no such path, or the workplace does not suit the run's device.
        RunError: There are no scores to choose by, or the run is damaged.
        DataError: The images are missing or damaged.
    """
    run, space, scorer = session.run, session.space, Scorer(session)
    selection = wanted.earlier(run, space)
    unscored = scorer.unscored(wanted.candidates) if selection is None else []
    if selection is None and not unscored:
        selection = wanted.select(session)
    names = [str(path) for path in space.sampled(wanted.count or 1)] if selection is None else selection.paths
    as_chosen = Selection(how="named", init=wanted.way, paths=tuple(names)) if selection is None else selection
    jobs = trainings(run, as_chosen, seeds, space)
    waiting = [job for job in jobs if not job.folder.is_done]
    with session.observer.working(_TIMING) as advance:
        from supernet_cli.training.rehearse import estimate_alone

        prepared = session.prepare(advance)
        _, where = session.workplace.for_trainings(prepared, max(1, len(waiting)))
        steps = short_steps(run, as_chosen, prepared, space) if wanted.way is Way.SHORT else None
        epochs = wanted.final.epochs if wanted.final is not None else prepared.plan.standalone_recipe.epochs
        workers = session.workplace.side_by_side(prepared)
        estimate = estimate_alone(prepared, [job.path for job in waiting], workers, steps, epochs)
    return AloneRehearsal(
        paths=None if selection is None else selection.paths,
        num_paths=len(names),
        done=len(jobs) - len(waiting),
        scored_first=scorer.describe(len(unscored)) if unscored else "",
        where=where,
        length=f"{steps:,} steps" if steps else counted(epochs, "epoch"),
        estimate=estimate,
    )


@dataclass(frozen=True)
class SearchRehearsal:
    """What a search would be.

    Args:
        limits: The limits; each knows how many paths meet it.
        within: How many paths meet all of them; None where they cannot be counted.
        scored_first: How many paths would be scored before the first decision.
        known: Trainings that it would learn from at once.
        decided: Paths that it has chosen already.
        left: Further paths that its budget allows at most; None if only time bounds them.
        where: Where trainings run, in words.
        estimate: How long they take, at the cost of random paths within the limits.
    """

    limits: Sequence[Limit]
    within: int | None
    scored_first: int
    known: int
    decided: int
    left: int | None
    where: str
    estimate: AloneEstimate


def rehearse_search(session: Session, request: Request) -> SearchRehearsal:
    """Measure what a search would be, without scoring or training anything.

    Args:
        session: The run, and where its paths would be trained.
        request: What would be searched for.

    Raises:
        UsageError: No path meets the limits, or the workplace does not suit the run's device.
        RunError: The run has no finished supernet, or is damaged.
        DataError: The images or the latency table are missing or damaged.
    """
    check_searchable(session.run)
    with session.observer.working(_TIMING) as advance:
        import numpy as np

        from supernet_cli.training.rehearse import estimate_alone

        prepared = session.prepare(advance)
        search = Search(session, request, prepared)
        known = search.known()
        known.limits.check()
        left = search.left(known)
        sample = known.problem.sample(np.random.default_rng(0), left or 0)
        paths = [session.space.architecture(path) for path in sample.tolist()] * len(request.seeds)
        _, where = session.workplace.for_trainings(prepared, max(1, len(paths)))
        estimate = estimate_alone(prepared, paths, session.workplace.side_by_side(prepared))
    return SearchRehearsal(
        limits=known.limits.limits,
        within=known.within,
        scored_first=len(search.scored_first(known)),
        known=sum(map(len, known.accuracies.values())),
        decided=len(search.decided),
        left=left,
        where=where,
        estimate=estimate,
    )
