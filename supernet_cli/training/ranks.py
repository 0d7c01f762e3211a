"""Several processes, started by torchrun, train one supernet, each on a share of every mini-batch.

Every rank draws the same plan and the same mini-batch and runs its share of each pass. Before the optimiser steps, the
gradients of what took part are summed in one all-reduce, weighted so that the sum is the gradient of the whole
mini-batch: all ranks have the same weights, equal to those of a single process up to rounding. The first rank
evaluates, writes files and prints; the others wait for it.

Tensors on GPUs are reduced by NCCL. What ranks agree on after each step is one number in host memory and uses gloo, so
that nothing waits for the device and the end of a rank is noticed immediately.
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
from supernet_cli.device import Device
from supernet_cli.errors import RankError, SupernetError, UsageError
from supernet_cli.store.state import Wish

PATIENCE_SECONDS = 300.0
"""How long a rank waits for another that is silent because its host is gone or its disk hangs."""

START_SECONDS = 1800.0
"""How long it waits for another to have its data, which may have to be downloaded."""

_BEAT_SECONDS = 1.0  # between signs of life of a rank that others wait for
_POLL_SECONDS = 0.05
_LEAVING_SECONDS = 10.0

_WISHES: tuple[Wish | None, ...] = (None, Wish.PAUSE, Wish.INTERRUPT, Wish.STOP)
"""What a rank can be asked for; of several requests, the last in this order wins."""

_RESUME = "Resume from the last checkpoint with --resume; any number of ranks works."

T = TypeVar("T")


class Ranks:
    """The processes that train together, seen from one of them; a context that ends when all are done.

    For a single process, the default, none of this has an effect.

    Args:
        place: Place of this process.

    Raises:
        RankError: Another rank failed, is gone, or has a different result.
    """

    def __init__(self, place: Place | None = None) -> None:
        self.place = place or Place()
        self.size, self.is_first = self.place.size, self.place.is_first
        self._store: Any = None  # torch's types do not cover its methods
        self._on_gpu = False
        self._wish = torch.zeros(1, dtype=torch.int64)
        self._beaten = 0.0

    def __enter__(self) -> Ranks:
        if self.size == 1:
            return self
        from torch.distributed.rendezvous import rendezvous  # not in every build of torch

        try:
            with self._noticing("The ranks cannot connect"):
                self._store, _, _ = next(rendezvous("env://", timeout=dt.timedelta(seconds=START_SECONDS)))
        except ValueError as error:
            message = f"WORLD_SIZE is {self.size}, but the environment does not say where the ranks meet: {error}."
            raise UsageError(message, "Start the ranks with torchrun.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.size == 1:
            return
        if error is None:
            with contextlib.suppress(RankError):  # all work is done: a rank that is gone by now is not missed
                self._meet("done", _LEAVING_SECONDS)
        elif not isinstance(error, RankError):
            self._publish_failure(error)
        # Closing NCCL takes all ranks; with gloo, the others notice broken connections immediately.
        if distributed.is_initialized() and (error is None or not self._on_gpu):
            distributed.destroy_process_group()

    def tell(self, orders: str) -> None:
        """Send the others their orders, as the first rank, before they join."""
        if self.size > 1:
            with self._noticing():
                self._store.set("orders", orders)

    def hear(self) -> str:
        """Wait for the orders of the first rank."""
        self._poll(lambda: self._store.check(["orders"]), START_SECONDS)
        with self._noticing():
            return str(self._store.get("orders"), "utf-8")

    def join(self, on: Device) -> None:
        """Wait until every rank has its data, then connect with them.

        Args:
            on: The device that this rank computes on.
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
        """Return this rank's images of a pass, their labels, and the share of the mini-batch that it stands for.

        With fewer than two images per rank, all of them run the whole pass, and each stands for an equal share of it.
        """
        size = len(labels_B)
        if size < 2 * self.size:
            return images_BCHW, labels_B, share / self.size
        first, end = (rank * size // self.size for rank in (self.place.rank, self.place.rank + 1))
        return images_BCHW[first:end], labels_B[first:end], share * (end - first) / size

    def sum_up(self, optimizer: Optimizer, losses: Tensor) -> Tensor:
        """Sum the gradients over the ranks in place; weights that took no part keep a gradient of None.

        Args:
            optimizer: Optimiser of the weights that have the gradients.
            losses: Losses of this rank's share, (2,).

        Returns:
            The sums of the losses, (2,).
        """
        weights = (weight for group in optimizer.param_groups for weight in group["params"])
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        flat = torch.cat([tensor.reshape(-1) for tensor in (*gradients, losses)])
        with self._noticing():
            distributed.all_reduce(flat)
        *summed, losses = torch.split(flat, [tensor.numel() for tensor in (*gradients, losses)])
        for gradient, total in zip(gradients, summed, strict=True):
            gradient.copy_(total.view_as(gradient))
        return losses

    def agree(self, wish: Wish | None) -> Wish | None:
        """Return what any rank is asked for, the same on all ranks."""
        if self.size == 1:
            return wish
        self._wish[0] = _WISHES.index(wish)
        with self._noticing():
            distributed.all_reduce(self._wish, distributed.ReduceOp.MAX)
        return _WISHES[int(self._wish)]

    def from_first(self, work: Callable[[], T]) -> T:
        """Return, on all ranks, the result of work that the first rank does; long work has to call `beat`."""
        if self.size == 1:
            return work()
        if self.is_first:
            result = work()
            self._send(True, result)
            return result
        while True:
            is_done, answer = self._receive()
            if is_done:
                return answer  # type: ignore[return-value]

    def beat(self) -> None:
        """Send a sign of life to the ranks that wait in `from_first`."""
        if self.size > 1 and time.monotonic() - self._beaten > _BEAT_SECONDS:
            self._send(False, None)
            self._beaten = time.monotonic()

    def check_same(self, when: str, module: nn.Module, plan: str = "") -> None:
        """Check that all ranks have the same weights.

        Args:
            when: The point in the training, for the message.
            module: The module with the weights.
            plan: The state of the plan, which has to be the same, too.

        Raises:
            RankError: They differ.
        """
        if self.size == 1:
            return
        digests: list[str] = [""] * self.size
        with self._noticing():
            distributed.all_gather_object(digests, _digest(module, plan))
        others = ", ".join(str(rank) for rank, digest in enumerate(digests) if digest != digests[0])
        if others:
            raise RankError(
                f"The weights or the plan of rank {others} differ from those of rank 0 {when}.",
                "Check that every host has the same versions of supernet and torch. " + _RESUME,
            )

    def _send(self, is_done: bool, value: object) -> None:
        with self._noticing():
            distributed.broadcast_object_list([is_done, value], src=0)

    def _receive(self) -> tuple[bool, object]:
        message: list[object] = [False, None]
        with self._noticing():
            distributed.broadcast_object_list(message, src=0)
        return bool(message[0]), message[1]

    def _meet(self, point: str, patience: float) -> None:
        """Wait until every rank has reached this point; uses the store, which exists before and after the group."""
        with self._noticing():
            self._store.add(point, 1)
        self._poll(lambda: self._store.add(point, 0) >= self.size, patience)

    def _poll(self, is_ready: Callable[[], bool], patience: float) -> None:
        deadline = time.monotonic() + patience
        with self._noticing():
            while not is_ready():
                failure = self._failure()
                if failure is not None:
                    raise failure
                if time.monotonic() > deadline:
                    raise RankError(f"A rank did not arrive within {patience:.0f} seconds.", _RESUME)
                time.sleep(_POLL_SECONDS)

    @contextlib.contextmanager
    def _noticing(self, what: str = "Another rank is gone") -> Iterator[None]:
        """Turn torch's errors about a broken group into a RankError."""
        try:
            yield
        except RuntimeError as error:
            with contextlib.suppress(RuntimeError):  # the store may be gone as well
                failure = self._failure()
                if failure is not None:
                    raise failure from error
            reason = str(error).partition("\n")[0]
            raise RankError(f"{what}: {reason}", "torchrun's report below names the rank. " + _RESUME) from error

    def _publish_failure(self, error: BaseException) -> None:
        """Publish why this rank fails; if several do, the first one counts."""
        bug = SupernetError(f"{type(error).__name__}: {error}", "This is a bug in supernet; log.txt has the traceback.")
        known = error if isinstance(error, SupernetError) else bug
        failure = {
            "rank": self.place.rank,
            "host": socket.gethostname(),
            "kind": known.kind,
            "exit_code": known.exit_code,
            "message": known.message,
            "hint": known.hint,
            "traceback": "".join(traceback.format_exception(error)),
        }
        with contextlib.suppress(RuntimeError):
            self._store.compare_set("failed", "", json.dumps(failure))

    def _failure(self) -> RankError | None:
        """Return the failure that another rank has published, if any."""
        if self._store is None or not self._store.check(["failed"]):
            return None
        failure = json.loads(self._store.get("failed"))
        error = RankError(f"Rank {failure['rank']} on {failure['host']}: {failure['message']}", failure["hint"])
        error.kind, error.exit_code = failure["kind"], failure["exit_code"]
        error.add_note(failure["traceback"])  # for the log
        return error


def _digest(module: nn.Module, plan: str) -> str:
    """Return a hash of a module's weights and a plan; batch normalisation statistics may differ between ranks."""
    digest = hashlib.sha256(plan.encode())
    for weight in module.parameters():
        digest.update(weight.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
