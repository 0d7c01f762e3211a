"""Jobs on a Ray cluster: trainers on its nodes take a job, do it, and ask for the next; the driver owns the folders.

What the jobs share lies in Ray's object store once: processes of a node read its tensors where they are. A trainer
works in a temporary folder. About once a second the driver asks how it is, and hears its records, the lines of its
log, and its checkpoint and weights where they are new: so nodes need no disk in common, and a run's folder looks as if
all of it happened on the driver's machine. Where a process or a node dies, its job goes on from the checkpoint that the
driver has, as a segment of its own.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
import re
import signal
import socket
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from supernet_cli.cores import usable_cores
from supernet_cli.engine import checkpoint
from supernet_cli.engine.executors import Job, Report, Work
from supernet_cli.engine.executors._trainer import Line, Packed, Said, Trainer, packed, unpacked
from supernet_cli.engine.training import Outcome, Stop
from supernet_cli.errors import RunError, SupernetError
from supernet_cli.runs.job import JobFolder, JobWriter
from supernet_cli.runs.records import JobEnded, Record, State

_POLL_SECONDS = 0.2
_LOOK_SECONDS = 2.0  # between two looks at which nodes there are
_PATIENCE_SECONDS = 10.0
_HASTE_SECONDS = 2.0
_RETRIES = 3  # of a job whose process or node died
_MOST_STILLBORN = 3
_SAME_EVERYWHERE = "Every node needs supernet, in the same version and with the same Python as here."

_T = TypeVar("_T")
_R = TypeVar("_R")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Needs:
    """What one job takes of a node.

    Args:
        cpus: Cores.
        gpus: GPUs; a fraction where several jobs share one.
        or_all: Whether all cores of a node do, where none has as many.
    """

    cpus: float
    gpus: float = 0.0
    or_all: bool = False

    def __str__(self) -> str:
        parts = [
            f"{many:g} {what}{'s' * (many > 1)}" for what, many in (("CPU", self.cpus), ("GPU", self.gpus)) if many
        ]
        return " and ".join(parts)

    def fitted(self, nodes: Iterable[Mapping[str, Any]]) -> Needs:
        """Return what is asked of certain nodes, as Ray tells of them."""
        most = max((node["Resources"].get("CPU", 0.0) for node in nodes if node["Alive"]), default=0.0)
        return replace(self, cpus=min(self.cpus, most)) if self.or_all and most else self

    def room(self, nodes: Iterable[Mapping[str, Any]]) -> int:
        """Return how many jobs nodes have room for at once, as Ray tells of them."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus}
        there = [node["Resources"] for node in nodes if node["Alive"]]
        return sum(
            min((int(has.get(what, 0.0) / much + 1e-9) for what, much in wanted.items() if much), default=0)
            for has in there
        )


class RayCluster:
    """An executor on a Ray cluster.

    Args:
        needs: What each job takes.
        address: Of a cluster; None for RAY_ADDRESS, or else for one that this machine is for as long as it is used.
        most: How many jobs run side by side; None for as many as there is room for.
    """

    def __init__(self, needs: Needs, address: str | None = None, most: int | None = None) -> None:
        self.needs, self._most = needs, most
        self._address = address or os.environ.get("RAY_ADDRESS") or "local"

    def check(self) -> None:
        """Make sure that somebody listens at the cluster's address: Ray itself would try for minutes.

        Raises:
            RunError: Nobody does.
        """
        host, _, port = self._address.rpartition(":")
        if port.isdecimal() and "/" not in host:
            try:
                socket.create_connection((host, int(port)), timeout=_PATIENCE_SECONDS).close()
            except (OSError, OverflowError) as error:  # the latter where it is no port
                raise self._is_missing(error) from error

    def run(self, work: Work, jobs: Sequence[Job], report: Report, stop: Stop) -> Mapping[str, Outcome]:
        """Run jobs until all are done or a stop is asked; see `Executor`.

        Raises:
            RunError: There is no such cluster, or trainers die before they begin.
        """
        with self._connected() as ray:
            crew, patience = _Crew(ray, work, self.needs.fitted(ray.nodes()), self._most), _PATIENCE_SECONDS
            try:
                return crew.finish(deque(jobs), report, stop)
            except KeyboardInterrupt:  # the second one: at once
                patience = _HASTE_SECONDS
                raise
            except Exception:
                crew.finish(deque(), lambda key, record: None, lambda: "interrupted")
                raise
            finally:
                crew.dismiss(patience)

    def map(
        self, function: Callable[[_T], _R], items: Iterable[_T], between: Callable[[], None]
    ) -> Generator[_R, None, None]:
        """Apply a function to items, many at once; like the built-in, results come in the order of the items.

        Args:
            function: Sent once, with whatever it holds.
            items: Taken a few ahead of the results.
            between: Called a few times a second; what it raises ends all of it.

        Raises:
            RunError: There is no such cluster, or a process died again and again.
            SupernetError: The function raised it.
        """
        with self._connected() as ray:
            needs = self.needs.fitted(ray.nodes())
            key, shared, room = uuid.uuid4().hex, ray.put(packed(function)), _Room(ray, needs)
            options = {"num_cpus": needs.cpus, "num_gpus": needs.gpus, "max_retries": _RETRIES}
            apply, left = ray.remote(**options, max_calls=0)(_apply), iter(items)
            running: deque[Any] = deque()
            try:
                while True:
                    for item in itertools.islice(left, max(0, 2 * room.now() - len(running))):
                        running.append(apply.remote(key, shared, item))
                    if not running:
                        return
                    while not ray.wait([running[0]], timeout=_POLL_SECONDS)[0]:
                        between()
                        room.now()  # it says where there is none
                    yield _result(ray, running.popleft())
            finally:
                for call in running:
                    ray.cancel(call, force=True)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        """Give Ray, connected; a connection that was there already is left as it was.

        Raises:
            RunError: There is no such cluster.
        """
        import ray

        if ray.is_initialized():
            yield ray
            return
        self.check()
        options: dict[str, Any] = {"address": self._address, "log_to_driver": False, "logging_level": logging.CRITICAL}
        if self._address == "local":
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            cores = max(usable_cores(), math.ceil(self.needs.cpus))
            options |= {"num_cpus": cores, "include_dashboard": False}
        # What Ray has to say of its processes it prints on stdout, where results belong; its deaths are told by us.
        with contextlib.suppress(AttributeError):  # there is no public way, and this one may go
            ray._private.worker._worker_logs_enabled = False
        try:
            with _own_signals():
                ray.init(**options)
        except Exception as error:  # one without a kind of its own is what Ray raises of a node that does not start
            raise self._is_missing(error) from error
        try:
            yield ray
        finally:
            ray.shutdown()

    def _is_missing(self, error: Exception) -> RunError:
        return RunError(
            f"There is no Ray cluster to work with at {self._address}: {str(error).strip().partition(chr(10))[0]}",
            "Start one with `ray start --head`, or leave out --ray-address to use this machine alone. Where it asks "
            "for a token, RAY_AUTH_MODE=token and its ~/.ray/auth_token are needed here, too.",
        )


class _Room:
    """How many jobs a cluster has room for, looked up now and then."""

    def __init__(self, ray: Any, needs: Needs) -> None:
        self._ray, self._needs = ray, needs
        self._room, self._looked = 0, -math.inf

    def now(self) -> int:
        """Return how many; one at least, that a cluster which grows on demand sees the demand. None at all is said."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            before, self._room = self._room, self._needs.room(self._ray.nodes())
            if self._room == 0 and (before or self._looked < 0):
                logger.warning("no node of the cluster has %s, which a job takes: waiting for one", self._needs)
            self._looked = time.monotonic()
        return max(1, self._room)


class _Crew:
    """The trainers of one call, as many as there is work and room for."""

    def __init__(self, ray: Any, work: Work, needs: Needs, most: int | None) -> None:
        self._ray, self._most = ray, most
        self._room = _Room(ray, needs)
        self._shared = ray.put(packed(work))
        self._kind = ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus)(Trainer)
        self._workers: list[_Worker] = []
        self._asked: State | None = None
        self._deaths: Counter[str] = Counter()
        self._stillborn = 0  # trainers that died before they were ready, since one became so

    def finish(self, waiting: deque[Job], report: Report, stop: Stop) -> dict[str, Outcome]:
        """Work until nothing is waiting or running; return how each job that was started ended."""
        outcomes: dict[str, Outcome] = {}
        while True:
            self._asked = self._asked or stop()
            if self._asked is not None:
                waiting.clear()
            outcomes |= self._assign(waiting, report)
            if not waiting and all(worker.job is None for worker in self._workers):
                return outcomes
            for worker in self._heard():
                for key, outcome in self._listen(worker, waiting, report).items():
                    outcomes[key] = outcome
                    if outcome.state in ("stopped", "interrupted"):  # where somebody asked one job, all are meant
                        self._asked = self._asked or outcome.state

    def dismiss(self, patience: float) -> None:
        """Let everybody go; who has not gone within so many seconds is ended."""
        for worker in self._workers:
            worker.end(Outcome("interrupted", "it was ended at once"))
        farewells = [worker.dismiss() for worker in self._workers]
        if farewells:
            self._ray.wait(farewells, num_returns=len(farewells), timeout=patience)
        for worker in self._workers:
            worker.kill()

    def _assign(self, waiting: deque[Job], report: Report) -> dict[str, Outcome]:
        """Give jobs to whoever is ready and has none, hire where there is room, and let go of whom nobody needs."""
        outcomes: dict[str, Outcome] = {}
        self._workers = [worker for worker in self._workers if worker.lives]
        for worker in self._workers:
            if worker.is_ready and worker.job is None and waiting:
                outcomes |= worker.give(waiting.popleft(), report)
        idle = [worker for worker in self._workers if worker.job is None]
        if not waiting:
            for worker in idle:
                worker.dismiss()
        elif len(idle) < len(waiting):
            for _ in range(min(len(waiting) - len(idle), self._most_now() - len(self._workers))):
                self._workers.append(_Worker(self._ray, self._kind.remote(self._shared)))
        return outcomes

    def _most_now(self) -> int:
        """Return how many trainers there may be; where others die at once, no more than there are."""
        if self._workers and self._stillborn >= _MOST_STILLBORN:
            return len(self._workers)
        room = self._room.now()
        return room if self._most is None else min(room, self._most)

    def _heard(self) -> list[_Worker]:
        """Wait a moment and return the trainers that have answered, or died."""
        by_call = {worker.call: worker for worker in self._workers if worker.lives and worker.call is not None}
        if not by_call:
            return []
        ready, rest = self._ray.wait(list(by_call), timeout=_POLL_SECONDS)
        if ready and rest:
            ready += self._ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        return [by_call[call] for call in ready]

    def _listen(self, worker: _Worker, waiting: deque[Job], report: Report) -> dict[str, Outcome]:
        """Take what a trainer answers; return its job's outcome by key, once it has one.

        Raises:
            RunError: Trainers die before they begin.
        """
        was_ready = worker.is_ready
        try:
            outcomes = worker.hear(report)
        except self._ray.exceptions.RayError as error:
            worker.kill()
            return self._bury(worker, _why(error), waiting, report)
        if not was_ready:
            self._stillborn = 0
        worker.ask(self._asked)
        return outcomes

    def _bury(self, worker: _Worker, why: str, waiting: deque[Job], report: Report) -> dict[str, Outcome]:
        """Let the job of a trainer that died be done again, unless that was tried too often."""
        job = worker.job
        if job is None:
            self._stillborn += 1
            logger.warning("a trainer ended before it began: %s", why)
            if self._stillborn >= _MOST_STILLBORN and not any(each.lives for each in self._workers):
                raise RunError(f"Trainers end before they begin: {why}.", _SAME_EVERYWHERE)
            return {}
        key = job.folder.key
        self._deaths[key] += 1
        if self._deaths[key] > _RETRIES:
            return worker.end(Outcome("failed", f"{why}, and so after {_RETRIES} retries"), report)
        outcome = worker.end(Outcome("interrupted", why), report)
        if self._asked is not None:
            return outcome
        waiting.appendleft(job)
        return {}


class _Worker:
    """A trainer, as the driver sees it, and the folder of the job that it does."""

    def __init__(self, ray: Any, trainer: Any) -> None:
        self.job: Job | None = None
        self.lives, self.is_ready = True, False
        self._ray, self._trainer = ray, trainer
        self._begun: Any = None
        self._farewell: Any = None
        self._open = contextlib.ExitStack()
        self._writer: JobWriter | None = None
        self._log = logger
        self._step, self._ended = 0, False  # what its job's records have said so far
        self.call = trainer.exchange.remote(None)

    def give(self, job: Job, report: Report) -> dict[str, Outcome]:
        """Hand it a job, with the checkpoint to go on from; return its outcome where its folder cannot be opened."""
        self.job, self._step, self._ended, self._log = job, 0, False, logging.Logger(job.folder.key)
        try:
            self._writer = self._open.enter_context(JobWriter(job.folder, self._log))
            files = {path.name: path.read_bytes() for path in _checkpoints(job.folder) if path.exists()}
        except SupernetError as error:
            return self.end(Outcome("failed", error.message), report)
        except OSError as error:
            return self.end(Outcome("failed", f"its checkpoint cannot be read: {error.strerror}"), report)
        self._begun = self._trainer.begin.remote(job, files)
        self.ask(None)
        return {}

    def ask(self, asked: State | None) -> None:
        """Ask how it is, and tell what is wanted of its job, if it has one."""
        assert self._writer is not None or self.job is None
        self.call = None if self._writer is None else self._trainer.exchange.remote(self._writer.wanted(asked))

    def hear(self, report: Report) -> dict[str, Outcome]:
        """Take its answer into the job's folder; return its job's outcome by key, once it has one.

        Raises:
            RayError: It is dead.
        """
        if self._begun is not None:
            self._ray.get(self._begun)
            self._begun = None
        said: Said = self._ray.get(self.call)
        self.is_ready = True
        if self.job is None:
            return {}
        try:
            for name, content in said.files.items():
                self._keep(self.job.folder, name, content)
            for word in said.words:
                if isinstance(word, Outcome):
                    return self.end(word, report)
                self._take(word, report)
        except SupernetError as error:
            self.kill()
            return self.end(Outcome("failed", error.message), report)
        return {}

    def end(self, outcome: Outcome, report: Report | None = None) -> dict[str, Outcome]:
        """Close its job's folder, if it has one, and return the outcome by key."""
        job, self.job = self.job, None
        if job is None:
            return {}
        record = JobEnded(step=self._step, state=outcome.state, reason=outcome.reason)
        if not self._ended:
            if self._writer is not None:
                with contextlib.suppress(SupernetError):  # a full disk may be the reason
                    self._writer.record(record)
            if report is not None:
                report(job.folder.key, record)
        self._writer = None
        self._open.close()
        return {job.folder.key: outcome}

    def dismiss(self) -> Any:
        """Let it go; returns what is there once it has gone."""
        if self._farewell is None:
            self._farewell = self._trainer.leave.remote()
            if not self.is_ready:  # it may be waiting for a place
                self.kill()
        self.lives = False
        return self._farewell

    def kill(self) -> None:
        """End it."""
        self.lives = False
        self._ray.kill(self._trainer)

    def _keep(self, folder: JobFolder, name: str, content: bytes) -> None:
        if name == folder.checkpoint.name:
            checkpoint.keep_checkpoint(folder.checkpoint, content)
        else:
            checkpoint.keep_weights(folder.weights, content)

    def _take(self, word: Record | Line, report: Report) -> None:
        assert self.job is not None
        assert self._writer is not None
        if isinstance(word, Line):
            self._log.log(word.level, "%s", word.text)
            if word.level >= logging.WARNING and not word.ends_job:
                logger.warning("%s: %s", self.job.folder.key, word.text)
            return
        self._step, self._ended = getattr(word, "step", self._step), isinstance(word, JobEnded)
        self._writer.record(word)
        report(self.job.folder.key, word)


def _checkpoints(folder: JobFolder) -> tuple[Path, Path]:
    return folder.checkpoint, checkpoint.previous(folder.checkpoint)


_applied: dict[str, Callable[[Any], Any]] = {}  # in a process of the cluster: what it was asked to apply last


def _apply(key: str, shared: Packed, item: Any) -> Any:
    """Apply a packed function, unpacked once a process; what a person can act on is returned, not raised."""
    if key not in _applied:
        _applied.clear()
        _applied[key] = unpacked(shared)
    try:
        return _applied[key](item)
    except SupernetError as error:
        return error


def _result(ray: Any, call: Any) -> Any:
    """Return what came of a call.

    Raises:
        SupernetError: The function raised it.
        RunError: Its process died again and again, or could not begin.
    """
    try:
        result = ray.get(call)
    except ray.exceptions.RayError as error:
        is_task = isinstance(error, ray.exceptions.RayTaskError)
        if is_task and not (isinstance(error.cause, ImportError) or "failed to import" in str(error)):
            raise  # a bug of ours
        raise RunError(f"A process of the cluster could not do its work: {_why(error)}.", _SAME_EVERYWHERE) from error
    if isinstance(result, SupernetError):
        raise result
    return result


def _why(error: Exception) -> str:
    """Return what Ray says of a death, in a few words."""
    text = str(error)
    if "is unavailable" in text:  # nobody knows yet whether its process or its node died
        return "its process cannot be reached any more"
    because = re.search(r"because (its [^.\n]+)", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return because[1] if because else (lines or [type(error).__name__])[-1].rstrip(".")


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep our handlers while Ray starts, which sets one of its own; its processes are not to hear of the terminal.

    A signal that asks this process to end while Ray's handler is in place ends it as an interruption does.
    """
    terminal = {getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)}
    handler = signal.getsignal(signal.SIGTERM)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, terminal)  # what it starts inherits this
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        signal.signal(signal.SIGTERM, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
