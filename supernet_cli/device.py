"""Where a job runs and in which arithmetic: decided once, then passed down."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import platform
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import torch

from supernet_cli.config.torchrun import Place
from supernet_cli.cores import usable_cores
from supernet_cli.errors import OutOfMemoryError, PresetError

logger = logging.getLogger(__name__)

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEEP = 1 << 30


@dataclass(frozen=True)
class Device:
    """A device and the arithmetic of its forward passes.

    Args:
        place: The device, as torch names it.
        dtype: float32, or bfloat16 under autocast.
    """

    place: torch.device
    dtype: torch.dtype

    def __str__(self) -> str:
        return str(self.place)

    @property
    def name(self) -> str:
        """The device's name for people."""
        if self.place.type == "cuda":
            return torch.cuda.get_device_name(self.place)
        return str(self.place)

    @property
    def arithmetic(self) -> str:
        """What the last bits of weights depend on, in words: the device and the precision of forward passes."""
        return f"{self.name} in {str(self.dtype).removeprefix('torch.')}"

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Return the context of a forward pass: bfloat16 if that was chosen, otherwise none."""
        if self.dtype is torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.place.type, self.dtype)

    def synchronize(self) -> None:
        """Wait until the device has finished its work, so that a clock measures all of it."""
        if self.place.type == "cuda":
            torch.cuda.synchronize(self.place)
        elif self.place.type == "mps":
            torch.mps.synchronize()


def available_devices() -> list[str]:
    """Return the names of the devices that can be used; warns of GPUs that cannot."""
    names, problems = find_devices()
    for problem in problems:
        logger.warning("GPUs cannot be used: %s", problem)
    return names


def find_devices() -> tuple[list[str], list[str]]:
    """Return the names of the devices that can be used, and torch's complaints, such as of a driver that is too old."""
    names = ["cpu"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            names += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        if torch.backends.mps.is_available():
            names.append("mps")
    return names, [str(each.message).partition(" (Triggered")[0] for each in caught]


def describe(name: str) -> str:
    """Return a device's name with that of the product: `cuda:0 (NVIDIA H100)`."""
    return f"{name} ({torch.cuda.get_device_name(name)})" if name.startswith("cuda") else name


def choose_device(name: str, precision: str) -> Device:
    """Return the device that a preset names.

    Args:
        name: auto (a GPU, if available), cpu, cuda, cuda:N or mps.
        precision: auto, float32 or bfloat16.

    Raises:
        PresetError: It is not available; lists those that are.
    """
    present = available_devices()
    best = present[-1] if "mps" in present else present[min(1, len(present) - 1)]
    wanted = {"auto": best, "cuda": "cuda:0"}.get(name, name)
    if wanted not in present:
        raise PresetError(f'runtime.device = "{name}": not on this machine.', f"Available: {', '.join(present)}.")
    device = torch.device(wanted)
    if precision != "auto":
        return Device(device, getattr(torch, precision))
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return Device(device, torch.bfloat16 if fast else torch.float32)


def of_rank(name: str, place: Place) -> str:
    """Return the device, as a preset would name it, of a rank: the GPU with its number on its host, or the CPU.

    Raises:
        PresetError: The preset names a single device for all of them.
    """
    if place.size == 1:
        return name
    if name not in ("auto", "cpu", "cuda"):
        raise PresetError(
            f'runtime.device = "{name}": under torchrun, each rank uses the GPU with its own number.',
            'Set it to "auto", "cuda" or "cpu".',
        )
    if name == "cuda" or (name == "auto" and torch.cuda.is_available()):
        return f"cuda:{place.local_rank}"
    return "cpu"


def prepare(device: Device, threads: int, sharers: int = 1) -> int:
    """Set up the process for a job: allocator, threads, deterministic kernels.

    Args:
        device: Where it will run.
        threads: Threads of the CPU; 0 for all cores that this process may use.
        sharers: Processes that share these cores.

    Returns:
        The number of threads.
    """
    _keep_freed_memory()
    threads = threads or max(1, usable_cores() // sharers)
    torch.set_num_threads(threads)
    if device.place.type == "cuda":
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.allow_tf32 = False  # float32 is what it says; bfloat16 is there for speed
    return threads


@contextlib.contextmanager
def memory_errors(hint: str = "Use a smaller train.batch_size, narrower blocks, or another device.") -> Iterator[None]:
    """Turn exhausted memory into an error that says what to do.

    Args:
        hint: What would need less.

    Raises:
        OutOfMemoryError: The host or the device has no memory left.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(f"The device is out of memory: {str(error).partition('. ')[0]}.", hint) from error
    except MemoryError as error:
        raise OutOfMemoryError("This machine is out of memory.", hint) from error
    except RuntimeError as error:
        if "DefaultCPUAllocator" in str(error):
            raise OutOfMemoryError("This machine is out of memory.", hint) from error
        if "MPS backend out of memory" in str(error):
            raise OutOfMemoryError("The device is out of memory.", hint) from error
        raise


@cache
def _keep_freed_memory() -> None:
    """Make glibc keep freed activations mapped.

    By default it returns large blocks to the kernel at every step and pays page faults to get them back. Both
    thresholds have to be raised: the trim threshold alone, with blocks still mapped one by one, is slower than the
    default.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, _KEEP)
    libc.mallopt(_M_TRIM_THRESHOLD, _KEEP)
