"""`supernet.search`, which finds the best path of a run; the other functions are in `functions.py`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from supernet_cli.api.arguments import RunLike, Watcher, Workers, check_word, observer_of, session_on
from supernet_cli.config.parts import Named
from supernet_cli.errors import RunError, UsageError
from supernet_cli.store.state import Wish

if TYPE_CHECKING:
    from supernet_cli.reports.search.document import Axis, Searched


def search(
    run: RunLike = "latest",
    *,
    trainings: int | None = None,
    minutes: float | None = None,
    supernets: float | None = None,
    seeds: Sequence[int] | None = None,
    limits: Mapping[str, float | str] | None = None,
    latencies: str | os.PathLike[str] | None = None,
    against: Axis | None = None,
    until: float | None = None,
    tolerance: float | None = None,
    policy: str | Mapping[str, Any] | None = None,
    workers: Workers = None,
    data_root: str | os.PathLike[str] | None = None,
    progress: bool = False,
    observer: Watcher | None = None,
) -> Searched:
    """Find the best path within limits by training as few as possible, and say how sure the choice is.

    What is not given is as the run's preset says. Finished trainings are never repeated; an interrupted search
    continues when it is called again.

    Args:
        run: The run, with a finished supernet.
        trainings: How many stand-alone trainings the search may choose.
        minutes: Choose no further training after so many minutes.
        supernets: Trainings may cost as many multiply-accumulates as so many supernets.
        seeds: Each path is trained once per seed.
        limits: The largest value of parameters, macs, latency (seconds per image) or weights (bytes): numbers, or
            texts with units such as "2M".
        latencies: A latency table of another device (default: latencies are measured here).
        against: What accuracy is weighed against on the front: macs, parameters, latency or weights.
        until: Stop once the pick is the best path within the limits with this probability.
        tolerance: Stop once the expected regret is at most so many points.
        policy: Who decides what to train: a name, or a mapping of its `name` and parameters.
        workers: Trainings side by side, or a `Workplace`.
        data_root: Folder of the images, if not where the preset says.
        progress: Whether to show what `supernet search` shows.
        observer: Sees every record of the trainings.

    Raises:
        SupernetError: As the command fails; a JobsError where trainings failed.
        KeyboardInterrupt: After Ctrl-C, once everything is saved.
    """
    from supernet_cli.reports.search.document import Axis
    from supernet_cli.workflows import search as workflow
    from supernet_cli.workflows.request import requested

    if against is not None:
        check_word("against", against, get_args(Axis))
    session = session_on(run, workers, data_root, observer_of(progress, observer))
    request = requested(
        session.run.preset().search,
        trainings=trainings,
        minutes=minutes,
        supernets=supernets,
        seeds=None if seeds is None else tuple(map(int, seeds)),
        limits=limits,
        latencies=None if latencies is None else Path(latencies),
        against=against,
        until=until,
        tolerance=tolerance,
        policy=policy if policy is None or isinstance(policy, str) else _named(policy),
    )
    found = workflow.search(session, request)
    if found.stopped is Wish.INTERRUPT:
        raise KeyboardInterrupt("Saved; the same call continues.")
    if found.error is not None:
        raise found.error
    if found.document is None or found.stopped is not None:
        raise RunError("The search was stopped.", "Call it again to continue.")
    return found.document


def _named(policy: Mapping[str, Any]) -> Named:
    """Return a policy with its parameters.

    Raises:
        UsageError: It has no name.
    """
    try:
        return Named.model_validate(dict(policy))
    except ValidationError as error:
        raise UsageError(f"policy = {dict(policy)!r} has no name.", 'Write it like {"name": "evolution"}.') from error
