"""Jobs on a Ray cluster: trainers on its nodes do one job after another; the driver owns the folders.

Data that jobs share is in Ray's object store once; the processes of a node read its tensors in place. A trainer works
in a temporary folder. About once a second the driver asks for its news: records, log lines, and a new checkpoint or
new weights. So nodes need no shared disk, and a run's folder looks as if everything had happened on the driver's
machine. If a process or a node dies, its job resumes from the driver's copy of the checkpoint, as a new segment.
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
from typing import Any, TypeVar

from supernet_cli.cores import usable_cores
from supernet_cli.errors import RunError, SupernetError
from supernet_cli.executors import Job, Report, Work
from supernet_cli.executors._trainer import Line, Packed, Reply, Trainer, packed, unpacked
from supernet_cli.glyphs import counted
from supernet_cli.runs.job import JobFolder, JobWriter
from supernet_cli.runs.records import JobEnded, Record, State
from supernet_cli.training import checkpoint
from supernet_cli.training.driver import Outcome, Stop

_POLL_SECONDS = 0.2
_LOOK_SECONDS = 2.0  # between checks which nodes there are
_PATIENCE_SECONDS = 10.0
_HASTE_SECONDS = 2.0
_RETRIES = 3  # of a job whose process or node died
_MOST_STILLBORN = 3
_SAME_EVERYWHERE = "Install the same versions of supernet and Python on every node as on this machine."

_T = TypeVar("_T")
_R = TypeVar("_R")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Needs:
    """What one job needs on a node.

    Args:
        cpus: Cores.
        gpus: GPUs; a fraction if several jobs share one.
        or_all: Whether all cores of a node are enough if no node has as many.
    """

    cpus: float
    gpus: float = 0.0
    or_all: bool = False

    def __str__(self) -> str:
        return " and ".join(counted(n, unit) for unit, n in (("CPU", self.cpus), ("GPU", self.gpus)) if n)

    def fitted(self, nodes: Iterable[Mapping[str, Any]]) -> Needs:
        """Return the needs adapted to certain nodes, as described by Ray."""
        most = max((node["Resources"].get("CPU", 0.0) for node in nodes if node["Alive"]), default=0.0)
        return replace(self, cpus=min(self.cpus, most)) if self.or_all and most else self

    def room(self, nodes: Iterable[Mapping[str, Any]]) -> int:
        """Return how many jobs fit on certain nodes at once, as described by Ray."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus}
        resources = [node["Resources"] for node in nodes if node["Alive"]]
        return sum(
            min((int(node.get(unit, 0.0) / count + 1e-9) for unit, count in wanted.items() if count), default=0)
            for node in resources
        )


class RayCluster:
    """An executor on a Ray cluster.

    Args:
        needs: What each job needs.
        address: Address of a cluster; None for RAY_ADDRESS, otherwise for a temporary cluster on this machine.
        most: Maximum number of jobs in parallel; None for as many as fit.
    """

    def __init__(self, needs: Needs, address: str | None = None, most: int | None = None) -> None:
        self.needs, self._most = needs, most
        self._address = address or os.environ.get("RAY_ADDRESS") or "local"

    def check(self) -> None:
        """Check that something listens at the cluster's address: Ray itself would try for minutes.

        Raises:
            RunError: Nothing does.
        """
        host, _, port = self._address.rpartition(":")
        if port.isdecimal() and "/" not in host:
            try:
                socket.create_connection((host, int(port)), timeout=_PATIENCE_SECONDS).close()
            except (OSError, OverflowError) as error:  # the latter if it is not a port
                raise self._is_missing(error) from error

    def run(self, work: Work, jobs: Sequence[Job], report: Report, stop: Stop) -> Mapping[str, Outcome]:
        """Run jobs until all are done or a stop is requested; see `Executor`.

        Raises:
            RunError: There is no such cluster, or trainers die before starting a job.
        """
        with self._connected() as ray:
            crew, patience = _Crew(ray, work, self.needs.fitted(ray.nodes()), self._most), _PATIENCE_SECONDS
            try:
                return crew.finish(deque(jobs), report, stop)
            except KeyboardInterrupt:  # the second one: end immediately
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
        """Apply a function to items in parallel; like the built-in, results come in the order of the items.

        Args:
            function: Sent once, with the data it holds.
            items: Consumed slightly ahead of the results.
            between: Called a few times per second; an exception from it ends everything.

        Raises:
            RunError: There is no such cluster, or a process died repeatedly.
            SupernetError: The function raised it.
        """
        with self._connected() as ray:
            needs = self.needs.fitted(ray.nodes())
            key, shared, room = uuid.uuid4().hex, ray.put(packed(function)), _Room(ray, needs)
            options = {"num_cpus": needs.cpus, "num_gpus": needs.gpus, "max_retries": _RETRIES}
            apply, remaining = ray.remote(**options, max_calls=0)(_apply), iter(items)
            running: deque[Any] = deque()
            try:
                while True:
                    for item in itertools.islice(remaining, max(0, 2 * room.now() - len(running))):
                        running.append(apply.remote(key, shared, item))
                    if not running:
                        return
                    while not ray.wait([running[0]], timeout=_POLL_SECONDS)[0]:
                        between()
                        room.now()  # it warns if there is none
                    yield _result(ray, running.popleft())
            finally:
                for call in running:
                    ray.cancel(call, force=True)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        """Provide a connected Ray; an existing connection is used and left open.

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
        # Ray prints its processes' output to stdout, which is for results; deaths are reported by this module.
        with contextlib.suppress(AttributeError):  # there is no public switch, and this one may disappear
            ray._private.worker._worker_logs_enabled = False
        try:
            with _own_signals():
                ray.init(**options)
        except Exception as error:  # Ray raises a plain Exception if a node does not start
            raise self._is_missing(error) from error
        try:
            yield ray
        finally:
            ray.shutdown()

    def _is_missing(self, error: Exception) -> RunError:
        return RunError(
            f"No usable Ray cluster at {self._address}: {str(error).strip().partition(chr(10))[0]}",
            "Start one with `ray start --head`, or omit --ray-address to use only this machine. If the cluster "
            "requires a token, set RAY_AUTH_MODE=token and copy its ~/.ray/auth_token to this machine.",
        )


class _Room:
    """How many jobs fit on a cluster, refreshed every few seconds."""

    def __init__(self, ray: Any, needs: Needs) -> None:
        self._ray, self._needs = ray, needs
        self._room, self._looked = 0, -math.inf

    def now(self) -> int:
        """Return the number, at least one so that an autoscaling cluster sees the demand; warns if there is no room."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            before, self._room = self._room, self._needs.room(self._ray.nodes())
            if self._room == 0 and (before or self._looked < 0):
                logger.warning("no node has the %s that a job needs; waiting for one", self._needs)
            self._looked = time.monotonic()
        return max(1, self._room)


class _Crew:
    """The trainers of one call, no more than there is work and room for."""

    def __init__(self, ray: Any, work: Work, needs: Needs, most: int | None) -> None:
        self._ray, self._most = ray, most
        self._room = _Room(ray, needs)
        self._shared = ray.put(packed(work))
        self._kind = ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus)(Trainer)
        self._workers: list[_Worker] = []
        self._asked: State | None = None
        self._deaths: Counter[str] = Counter()
        self._stillborn = 0  # trainers that died before they were ready, since the last one that became ready

    def finish(self, waiting: deque[Job], report: Report, stop: Stop) -> dict[str, Outcome]:
        """Work until no job is waiting or running; return the outcome of each job that was started."""
        outcomes: dict[str, Outcome] = {}
        while True:
            self._asked = self._asked or stop()
            if self._asked is not None:
                waiting.clear()
            outcomes |= self._assign(waiting, report)
            if not waiting and all(worker.job is None for worker in self._workers):
                return outcomes
            for worker in self._replied():
                for key, outcome in self._listen(worker, waiting, report).items():
                    outcomes[key] = outcome
                    if outcome.state in ("stopped", "interrupted"):  # a request to one job is meant for all
                        self._asked = self._asked or outcome.state

    def dismiss(self, patience: float) -> None:
        """Dismiss all trainers; kill those that do not exit within this many seconds."""
        for worker in self._workers:
            worker.end(Outcome("interrupted", "ended immediately"))
        farewells = [worker.dismiss() for worker in self._workers]
        if farewells:
            self._ray.wait(farewells, num_returns=len(farewells), timeout=patience)
        for worker in self._workers:
            worker.kill()

    def _assign(self, waiting: deque[Job], report: Report) -> dict[str, Outcome]:
        """Give jobs to idle trainers, start more if there is room, and dismiss those that are not needed."""
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
        """Return the maximum number of trainers; no more than now if new ones die at once."""
        if self._workers and self._stillborn >= _MOST_STILLBORN:
            return len(self._workers)
        room = self._room.now()
        return room if self._most is None else min(room, self._most)

    def _replied(self) -> list[_Worker]:
        """Wait briefly and return the trainers that have replied or died."""
        by_call = {worker.call: worker for worker in self._workers if worker.lives and worker.call is not None}
        if not by_call:
            return []
        ready, rest = self._ray.wait(list(by_call), timeout=_POLL_SECONDS)
        if ready and rest:
            ready += self._ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        return [by_call[call] for call in ready]

    def _listen(self, worker: _Worker, waiting: deque[Job], report: Report) -> dict[str, Outcome]:
        """Process a trainer's reply; return its job's outcome by key once there is one.

        Raises:
            RunError: Trainers die before starting a job.
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
        """Queue the job of a dead trainer again, unless it has been retried too often."""
        job = worker.job
        if job is None:
            self._stillborn += 1
            logger.warning("a trainer exited before starting a job: %s", why)
            if self._stillborn >= _MOST_STILLBORN and not any(other.lives for other in self._workers):
                raise RunError(f"Trainers exit before starting a job: {why}.", _SAME_EVERYWHERE)
            return {}
        key = job.folder.key
        self._deaths[key] += 1
        if self._deaths[key] > _RETRIES:
            return worker.end(Outcome("failed", f"{why}, even after {counted(_RETRIES, 'retry', 'retries')}"), report)
        outcome = worker.end(Outcome("interrupted", why), report)
        if self._asked is not None:
            return outcome
        waiting.appendleft(job)
        return {}


class _Worker:
    """A trainer, seen from the driver, and the folder of its current job."""

    def __init__(self, ray: Any, trainer: Any) -> None:
        self.job: Job | None = None
        self.lives, self.is_ready = True, False
        self._ray, self._trainer = ray, trainer
        self._begun: Any = None
        self._farewell: Any = None
        self._open = contextlib.ExitStack()
        self._writer: JobWriter | None = None
        self._log = logger
        self._step, self._ended = 0, False  # according to its job's records so far
        self.call = trainer.exchange.remote(None)

    def give(self, job: Job, report: Report) -> dict[str, Outcome]:
        """Send it a job with its checkpoint; return the job's outcome if its folder cannot be opened."""
        self.job, self._step, self._ended, self._log = job, 0, False, logging.Logger(job.folder.key)
        try:
            self._writer = self._open.enter_context(JobWriter(job.folder, self._log))
            files = {path.name: path.read_bytes() for path in job.folder.checkpoints if path.exists()}
        except SupernetError as error:
            return self.end(Outcome("failed", error.message), report)
        except OSError as error:
            return self.end(Outcome("failed", f"its checkpoint cannot be read: {error.strerror}"), report)
        self._begun = self._trainer.begin.remote(job, files)
        self.ask(None)
        return {}

    def ask(self, asked: State | None) -> None:
        """Ask for its news, and pass on what its job is asked for, if it has one."""
        assert self._writer is not None or self.job is None
        self.call = None if self._writer is None else self._trainer.exchange.remote(self._writer.wanted(asked))

    def hear(self, report: Report) -> dict[str, Outcome]:
        """Write its reply to the job's folder; return the job's outcome by key once there is one.

        Raises:
            RayError: It is dead.
        """
        if self._begun is not None:
            self._ray.get(self._begun)
            self._begun = None
        reply: Reply = self._ray.get(self.call)
        self.is_ready = True
        if self.job is None:
            return {}
        try:
            for name, content in reply.files.items():
                self._keep(self.job.folder, name, content)
            for message in reply.messages:
                if isinstance(message, Outcome):
                    return self.end(message, report)
                self._take(message, report)
        except SupernetError as error:
            self.kill()
            return self.end(Outcome("failed", error.message), report)
        return {}

    def end(self, outcome: Outcome, report: Report | None = None) -> dict[str, Outcome]:
        """Close its job's folder, if it has a job, and return the outcome by key."""
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
        """Dismiss it; returns a reference that is ready once it has exited."""
        if self._farewell is None:
            self._farewell = self._trainer.leave.remote()
            if not self.is_ready:  # it may still be waiting for resources
                self.kill()
        self.lives = False
        return self._farewell

    def kill(self) -> None:
        """Kill it."""
        self.lives = False
        self._ray.kill(self._trainer)

    def _keep(self, folder: JobFolder, name: str, content: bytes) -> None:
        if name == folder.checkpoint.name:
            checkpoint.keep_checkpoint(folder.checkpoint, content)
        else:
            checkpoint.keep_weights(folder.weights, content)

    def _take(self, message: Record | Line, report: Report) -> None:
        assert self.job is not None
        assert self._writer is not None
        if isinstance(message, Line):
            self._log.log(message.level, "%s", message.text)
            if message.level >= logging.WARNING and not message.ends_job:
                logger.warning("%s: %s", self.job.folder.key, message.text)
            return
        self._step, self._ended = getattr(message, "step", self._step), isinstance(message, JobEnded)
        self._writer.record(message)
        report(self.job.folder.key, message)


_applied: dict[str, Callable[[Any], Any]] = {}  # in a process of the cluster: the last function applied


def _apply(key: str, shared: Packed, item: Any) -> Any:
    """Apply a packed function, unpacked once per process; errors for the user are returned, not raised."""
    if key not in _applied:
        _applied.clear()
        _applied[key] = unpacked(shared)
    try:
        return _applied[key](item)
    except SupernetError as error:
        return error


def _result(ray: Any, call: Any) -> Any:
    """Return the result of a call.

    Raises:
        SupernetError: The function raised it.
        RunError: Its process died repeatedly, or could not start.
    """
    try:
        result = ray.get(call)
    except ray.exceptions.RayError as error:
        is_task = isinstance(error, ray.exceptions.RayTaskError)
        if is_task and not (isinstance(error.cause, ImportError) or "failed to import" in str(error)):
            raise  # a bug in supernet
        raise RunError(f"A process on the cluster failed: {_why(error)}.", _SAME_EVERYWHERE) from error
    if isinstance(result, SupernetError):
        raise result
    return result


def _why(error: Exception) -> str:
    """Return Ray's explanation of a death, in a few words."""
    text = str(error)
    if "is unavailable" in text:  # not known yet whether its process or its node died
        return "its process can no longer be reached"
    because = re.search(r"because (its [^.\n]+)", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return because[1] if because else (lines or [type(error).__name__])[-1].rstrip(".")


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep our signal handlers while Ray starts and sets its own; its processes do not receive the terminal's signals.

    A signal to terminate that arrives while Ray's handler is in place counts as an interruption.
    """
    terminal = {getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)}
    handler = signal.getsignal(signal.SIGTERM)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, terminal)  # inherited by the processes it starts
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        signal.signal(signal.SIGTERM, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
