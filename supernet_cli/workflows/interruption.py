"""Signals while a training runs: the first asks it to save and stop, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from supernet_cli.store.state import Wish

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # as far as the platform has them


class Interruption:
    """A context in which signals are noted instead of ending the process; outside the main thread, none arrive.

    Args:
        lasting: Whether they are also noted afterwards. torchrun ends all ranks as soon as one is gone, when the first
            still has to report why.

    Attributes:
        requested: Whether a signal was received.
    """

    def __init__(self, lasting: bool = False) -> None:
        self.requested = False
        self._lasting = lasting
        self._before: dict[int, Any] = {}

    @property
    def wish(self) -> Wish | None:
        """What the signals received ask for, if there were any."""
        return Wish.INTERRUPT if self.requested else None

    def __enter__(self) -> Interruption:
        for name in _NAMES if threading.current_thread() is threading.main_thread() else ():
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` ignores hang-ups
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in {} if self._lasting else self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number != getattr(signal, "SIGHUP", None):  # closing a terminal may send it twice
            raise KeyboardInterrupt
        self.requested = True
