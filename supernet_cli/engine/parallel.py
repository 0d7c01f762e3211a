"""Several processes train one supernet, each a share of every mini-batch, as torchrun starts them.

Every rank draws the same plan and the same mini-batch and runs its share of each pass. Before the optimiser steps, the
gradients of what took part are summed in one all-reduce, weighted so that the sum is the gradient of the whole
mini-batch: all ranks keep the same weights, and those of a single process up to rounding. The first rank judges,
writes and speaks; the others wait for it meanwhile.

Tensors on GPUs travel by NCCL. What ranks agree on each step is a number in the host's memory and travels by gloo, so
that nothing waits for the device, and a rank that ended is noticed at once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from supernet_cli.config.torchrun import Place
from supernet_cli.engine.device import Device
from supernet_cli.errors import RankError, SupernetError, UsageError
from supernet_cli.runs.records import State

PATIENCE_SECONDS = 300.0
"""How long a rank waits for another that says nothing: its host is gone, or its disk hangs."""

START_SECONDS = 1800.0
"""How long it waits for another to have its data: they may have to be downloaded."""

_BEAT_SECONDS = 1.0  # between two signs of life of a rank that others wait for
_POLL_SECONDS = 0.05
_LEAVING_SECONDS = 10.0

_WISHES: tuple[State | None, ...] = (None, "paused", "interrupted", "stopped")
"""What a rank may be asked for; of several, the last one here is done."""

_GO_ON = "Go on from the last checkpoint with --resume, with any number of ranks."

T = TypeVar("T")


class Ranks:
    """The processes that train together, seen from one of them; as a context, it is left when all are done.

    For a process alone, which is the default, nothing here does anything.

    Args:
        place: Of this process.

    Raises:
        RankError: Another rank failed, is gone, or has come to something else.
    """

    def __init__(self, place: Place | None = None) -> None:
        self.place = place or Place()
        self.size, self.is_first = self.place.size, self.place.is_first
        self._store: Any = None  # torch's types do not know all it can do
        self._on_gpu = False
        self._wish = torch.zeros(1, dtype=torch.int64)
        self._beaten = 0.0

    def __enter__(self) -> Ranks:
        if self.size == 1:
            return self
        from torch.distributed.rendezvous import rendezvous  # not in every build of torch

        try:
            with self._noticing("The ranks cannot meet"):
                self._store, _, _ = next(rendezvous("env://", timeout=dt.timedelta(seconds=START_SECONDS)))
        except ValueError as error:
            told = f"The environment speaks of {self.size} ranks, but does not say where they meet: {error}."
            raise UsageError(told, "Let torchrun start them.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.size == 1:
            return
        if error is None:
            with contextlib.suppress(RankError):  # all is done: whoever is gone by now is not missed
                self._meet("done", _LEAVING_SECONDS)
        elif not isinstance(error, RankError):
            self._tell_failure(error)
        # To close NCCL takes all ranks; gloo's connections tell the others at once when they break.
        if distributed.is_initialized() and (error is None or not self._on_gpu):
            distributed.destroy_process_group()

    def tell(self, orders: str) -> None:
        """Tell the others what is to be done, as the first rank, before they join."""
        if self.size > 1:
            with self._noticing():
                self._store.set("orders", orders)

    def hear(self) -> str:
        """Wait for the first rank to say what is to be done."""
        self._poll(lambda: self._store.check(["orders"]), START_SECONDS)
        with self._noticing():
            return str(self._store.get("orders"), "utf-8")

    def join(self, on: Device) -> None:
        """Wait until every rank has its data, then connect with them.

        Args:
            on: Where this rank computes.
        """
        if self.size == 1:
            return
        self._meet("ready", START_SECONDS)
        self._on_gpu = on.place.type == "cuda"
        if self._on_gpu:
            torch.cuda.set_device(on.place)
        with self._noticing("The ranks cannot reach each other"):
            distributed.init_process_group(
                "cpu:gloo,cuda:nccl" if self._on_gpu else "gloo",
                store=self._store,
                rank=self.place.rank,
                world_size=self.size,
                timeout=dt.timedelta(seconds=PATIENCE_SECONDS),
            )

    def own(self, images_BCHW: Tensor, labels_B: Tensor, share: float) -> tuple[Tensor, Tensor, float]:
        """Return this rank's images of a pass, their labels, and the share of the mini-batch that it answers for.

        Where there are not two images for each rank, all of them run the whole pass, and each answers for a part of it.
        """
        size = len(labels_B)
        if size < 2 * self.size:
            return images_BCHW, labels_B, share / self.size
        first, end = (rank * size // self.size for rank in (self.place.rank, self.place.rank + 1))
        return images_BCHW[first:end], labels_B[first:end], share * (end - first) / size

    def sum_up(self, optimizer: Optimizer, losses: Tensor) -> Tensor:
        """Sum the gradients that there are over the ranks, in place; what took no part keeps None.

        Args:
            optimizer: Whose weights have the gradients.
            losses: Of this rank's share, (2,).

        Returns:
            The losses' sums, (2,).
        """
        weights = (weight for group in optimizer.param_groups for weight in group["params"])
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        flat = torch.cat([each.reshape(-1) for each in (*gradients, losses)])
        with self._noticing():
            distributed.all_reduce(flat)
        *summed, losses = torch.split(flat, [each.numel() for each in (*gradients, losses)])
        for gradient, total in zip(gradients, summed, strict=True):
            gradient.copy_(total.view_as(gradient))
        return losses

    def agree(self, wish: State | None) -> State | None:
        """Return what any of the ranks is asked for: the same on all of them."""
        if self.size == 1:
            return wish
        self._wish[0] = _WISHES.index(wish)
        with self._noticing():
            distributed.all_reduce(self._wish, distributed.ReduceOp.MAX)
        return _WISHES[int(self._wish)]

    def from_first(self, work: Callable[[], T]) -> T:
        """Return what the first rank makes of some work, on all of them; it calls `beat` where that takes long."""
        if self.size == 1:
            return work()
        if self.is_first:
            found = work()
            self._send(True, found)
            return found
        while True:
            is_done, heard = self._receive()
            if is_done:
                return heard  # type: ignore[return-value]

    def beat(self) -> None:
        """Give the ranks that wait in `from_first` a sign of life."""
        if self.size > 1 and time.monotonic() - self._beaten > _BEAT_SECONDS:
            self._send(False, None)
            self._beaten = time.monotonic()

    def check_same(self, what: str, module: nn.Module, more: str = "") -> None:
        """Make sure that all ranks have the same weights.

        Args:
            what: For the message: where in a training this is.
            module: Whose weights.
            more: Something else that has to be the same.
        """
        if self.size == 1:
            return
        found: list[str] = [""] * self.size
        with self._noticing():
            distributed.all_gather_object(found, _digest(module, more))
        others = ", ".join(str(rank) for rank, each in enumerate(found) if each != found[0])
        if others:
            raise RankError(
                f"Rank 0 has other weights, or another plan, than rank {others} {what}.",
                "See that every host has the same versions of supernet and torch. " + _GO_ON,
            )

    def _send(self, is_done: bool, value: object) -> None:
        with self._noticing():
            distributed.broadcast_object_list([is_done, value], src=0)

    def _receive(self) -> tuple[bool, object]:
        heard: list[object] = [False, None]
        with self._noticing():
            distributed.broadcast_object_list(heard, src=0)
        return bool(heard[0]), heard[1]

    def _meet(self, where: str, patience: float) -> None:
        """Wait until every rank has come so far; by the store, which is there before the group and after it."""
        with self._noticing():
            self._store.add(where, 1)
        self._poll(lambda: self._store.add(where, 0) >= self.size, patience)

    def _poll(self, is_there: Callable[[], bool], patience: float) -> None:
        deadline = time.monotonic() + patience
        with self._noticing():
            while not is_there():
                failure = self._failure()
                if failure is not None:
                    raise failure
                if time.monotonic() > deadline:
                    raise RankError(f"A rank has not come in {patience:.0f} seconds.", _GO_ON)
                time.sleep(_POLL_SECONDS)

    @contextlib.contextmanager
    def _noticing(self, what: str = "Another rank is gone") -> Iterator[None]:
        """Turn torch's errors of a broken group into words."""
        try:
            yield
        except RuntimeError as error:
            with contextlib.suppress(RuntimeError):  # the store may be gone, too
                failure = self._failure()
                if failure is not None:
                    raise failure from error
            reason = str(error).partition("\n")[0]
            raise RankError(f"{what}: {reason}", "What torchrun says below names the rank. " + _GO_ON) from error

    def _tell_failure(self, error: BaseException) -> None:
        """Leave word of why this rank ends; of several, the first stands."""
        bug = SupernetError(f"{type(error).__name__}: {error}", "This is a bug in supernet; log.txt has the traceback.")
        known = error if isinstance(error, SupernetError) else bug
        words = {
            "rank": self.place.rank,
            "host": socket.gethostname(),
            "kind": known.kind,
            "exit_code": known.exit_code,
            "message": known.message,
            "hint": known.hint,
            "traceback": "".join(traceback.format_exception(error)),
        }
        with contextlib.suppress(RuntimeError):
            self._store.compare_set("failed", "", json.dumps(words))

    def _failure(self) -> RankError | None:
        """Return what another rank said when it ended."""
        if self._store is None or not self._store.check(["failed"]):
            return None
        told = json.loads(self._store.get("failed"))
        error = RankError(f"Rank {told['rank']} on {told['host']}: {told['message']}", told["hint"])
        error.kind, error.exit_code = told["kind"], told["exit_code"]
        error.add_note(told["traceback"])  # for the log
        return error


def _digest(module: nn.Module, more: str) -> str:
    """Return a hash of a module's weights; statistics of batch normalisation are each rank's own."""
    digest = hashlib.sha256(more.encode())
    for weight in module.parameters():
        digest.update(weight.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
