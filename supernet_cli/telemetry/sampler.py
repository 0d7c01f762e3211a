"""Sample the utilisation of the host and its GPUs once a second, in a separate thread."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any

import psutil

from supernet_cli.errors import DiskError
from supernet_cli.store.records import DevicesSampled, Gpu, Recorder

logger = logging.getLogger(__name__)


class DeviceSampler:
    """Reads the devices; each value covers the time since the previous call."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._nvml = _nvml()

    def start(self) -> None:
        """Start the first interval; to be called in the sampling thread, since psutil counts per thread."""
        psutil.cpu_percent(percpu=True)

    def sample(self) -> DevicesSampled:
        """Return the current utilisation of the devices."""
        memory = psutil.virtual_memory()
        return DevicesSampled(
            cores=tuple(psutil.cpu_percent(percpu=True)),
            memory_used_bytes=memory.total - memory.available,
            memory_total_bytes=memory.total,
            process_memory_bytes=self._memory(),
            gpus=self._gpus(),
        )

    def _memory(self) -> int:
        """Return the memory of this process and its workers, in bytes."""
        resident = self._process.memory_info().rss
        for child in self._process.children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has just exited
                resident += child.memory_info().rss
        return int(resident)

    def _gpus(self) -> tuple[Gpu, ...]:
        if self._nvml is None:
            return ()
        nvml, gpus = self._nvml, []
        for index in range(_figure(nvml.nvmlDeviceGetCount) or 0):
            handle = _figure(nvml.nvmlDeviceGetHandleByIndex, index)
            if handle is not None:
                gpus.append(_read_gpu(nvml, handle))
        return tuple(gpus)


class Sampling:
    """A context in which devices are sampled into a recorder at a steady interval.

    Args:
        recorder: Receives the samples, in the sampling thread.
        sampler: Reads the devices.
        interval: Seconds between samples.
    """

    def __init__(self, recorder: Recorder, sampler: DeviceSampler | None = None, interval: float = 1.0) -> None:
        self._recorder = recorder
        self._sampler = sampler or DeviceSampler()
        self._interval = interval
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def __enter__(self) -> Sampling:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._finished.set()
        self._thread.join()

    def _run(self) -> None:
        self._sampler.start()
        while not self._finished.wait(self._interval):
            try:
                self._recorder.record(self._sampler.sample())
            except DiskError as error:  # missing telemetry is no reason to end a training
                logger.warning("telemetry stopped: %s", error.message)
                return


def _nvml() -> Any:
    """Return NVML, initialised, or None if there is no driver."""
    import pynvml  # the module of the package nvidia-ml-py

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def _read_gpu(nvml: Any, handle: Any) -> Gpu:
    name = _figure(nvml.nvmlDeviceGetName, handle) or "GPU"
    use = _figure(nvml.nvmlDeviceGetUtilizationRates, handle)
    memory = _figure(nvml.nvmlDeviceGetMemoryInfo, handle)
    milliwatts = _figure(nvml.nvmlDeviceGetPowerUsage, handle)
    return Gpu(
        name=name.decode() if isinstance(name, bytes) else name,
        utilisation=None if use is None else use.gpu,
        memory_used_bytes=None if memory is None else memory.used,
        memory_total_bytes=None if memory is None else memory.total,
        temperature_celsius=_figure(nvml.nvmlDeviceGetTemperature, handle, getattr(nvml, "NVML_TEMPERATURE_GPU", 0)),
        power_watts=None if milliwatts is None else milliwatts / 1000,
    )


def _figure(read: Callable[..., Any], *arguments: Any) -> Any:
    """Return a value from NVML, or None: any single value may be unsupported."""
    with contextlib.suppress(Exception):
        return read(*arguments)
    return None
