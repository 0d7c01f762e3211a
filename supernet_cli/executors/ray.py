"""Jobs on a Ray cluster: trainers on its nodes do one job after another; the driver owns the folders.

Data that jobs share is in Ray's object store once; the processes of a node read its tensors in place. A trainer works
in a temporary folder. About once a second the driver asks for its news: records, log lines, and a new checkpoint or
new weights. So nodes need no shared disk, and a run's folder looks as if everything had happened on the driver's
machine. If a process or a node dies, its job resumes from the driver's copy of the checkpoint, as a new segment.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import signal
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from supernet_cli.cores import usable_cores
from supernet_cli.errors import RunError
from supernet_cli.executors import Job, Report, Work
from supernet_cli.executors._crew import DeadWorkerError, run_jobs
from supernet_cli.executors._trainer import Reply, Trainer, packed
from supernet_cli.executors._worker import NewFile, Ready
from supernet_cli.glyphs import counted
from supernet_cli.store.state import Wish
from supernet_cli.training.driver import Outcome, Stop

_LOOK_SECONDS = 2.0  # between checks which nodes there are
_CONNECT_SECONDS = 10.0

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
                socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
            except (OSError, OverflowError) as error:  # the latter if it is not a port
                raise self._is_missing(error) from error

    def run(self, work: Work, jobs: Iterable[Job], report: Report, stop: Stop) -> Mapping[Any, Outcome]:
        """Run jobs until all are done or a stop is requested; see `Executor`.

        Raises:
            RunError: There is no such cluster, or trainers die before starting a job.
        """
        with self._connected() as ray:
            return run_jobs(_Trainers(ray, work, self.needs.fitted(ray.nodes()), self._most), jobs, report, stop)

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


class _Trainers:
    """The transport to trainers on the nodes of a cluster."""

    carries_files = True
    haste = 2.0
    remedy = "Install the same versions of supernet and Python on every node as on this machine."

    def __init__(self, ray: Any, work: Work, needs: Needs, most: int | None) -> None:
        self._ray, self._most = ray, most
        self._room = _Room(ray, needs)
        self._shared = ray.put(packed(work))
        self._kind = ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus)(Trainer)

    def room(self) -> int:
        """Return how many trainers there is room for."""
        room = self._room.now()
        return room if self._most is None else min(room, self._most)

    def hire(self) -> _Actor:
        """Ask the cluster for a trainer."""
        return _Actor(self._ray, self._kind.remote(self._shared))

    def heard(self, hands: Sequence[_Actor], seconds: float) -> list[_Actor]:
        """Wait briefly and return the trainers that have replied or died."""
        by_call = {hand.call: hand for hand in hands if hand.call is not None}
        if not by_call:
            return []
        ready, rest = self._ray.wait(list(by_call), timeout=seconds)
        if ready and rest:
            ready += self._ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        return [by_call[call] for call in ready]

    def reap(self, hands: Sequence[_Actor], patience: float) -> None:
        """Wait until all have exited; kill the others."""
        farewells = [hand.farewell for hand in hands]
        if farewells:
            self._ray.wait(farewells, num_returns=len(farewells), timeout=patience)
        for hand in hands:
            hand.kill()


class _Actor:
    """A trainer, seen from the driver."""

    def __init__(self, ray: Any, trainer: Any) -> None:
        self._ray, self._trainer = ray, trainer
        self._is_ready = False
        self._begun: Any = None
        self.farewell: Any = None
        self.call = trainer.exchange.remote(None)

    def give(self, job: Job, files: Mapping[str, bytes]) -> None:
        """Send it a job with its checkpoints."""
        self._begun = self._trainer.begin.remote(job, files)

    def ask(self, wish: Wish | None) -> None:
        """Ask for its news, unless that was done, and pass on what its job is asked for."""
        if self.call is None:
            self.call = self._trainer.exchange.remote(wish)

    def hear(self) -> list[object]:
        """Return its reply, new files first: messages may refer to them.

        Raises:
            DeadWorkerError: It is dead.
        """
        call, self.call = self.call, None
        try:
            if self._begun is not None:
                self._ray.get(self._begun)
                self._begun = None
            reply: Reply = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            raise DeadWorkerError(_why(error)) from error
        if not self._is_ready:
            self._is_ready = True
            return [Ready()]
        return [*(NewFile(*file) for file in reply.files.items()), *reply.messages]

    def dismiss(self) -> None:
        """Let it remove its files and exit."""
        self.farewell = self._trainer.leave.remote()

    def kill(self) -> None:
        """Kill it."""
        self._ray.kill(self._trainer)


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
