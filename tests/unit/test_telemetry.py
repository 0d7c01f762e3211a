from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from supernet_cli.store.records import DevicesSampled, Record
from supernet_cli.telemetry import DeviceSampler, Sampling, sampler


class Nvml:
    """Two GPUs, the second of which reports almost nothing."""

    NVML_TEMPERATURE_GPU = 0

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, handle: int) -> bytes | str:  # noqa: N802
        return [b"Old GPU", "New GPU"][handle]

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:  # noqa: N802
        return self._only_first(handle, SimpleNamespace(gpu=42))

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        return SimpleNamespace(used=2, total=8)

    def nvmlDeviceGetTemperature(self, handle: int, kind: int) -> Any:  # noqa: N802
        return self._only_first(handle, 61)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> Any:  # noqa: N802
        return self._only_first(handle, 312_500)

    def _only_first(self, handle: int, value: Any) -> Any:
        if handle:
            raise RuntimeError("not supported")
        return value


def test_each_figure_of_a_gpu_may_be_missing_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "_nvml", Nvml)
    first, second = DeviceSampler().sample().gpus
    assert (first.name, first.utilisation, first.power_watts, first.temperature_celsius) == ("Old GPU", 42, 312.5, 61)
    assert (second.name, second.memory_used_bytes, second.memory_total_bytes) == ("New GPU", 2, 8)
    assert (second.utilisation, second.power_watts, second.temperature_celsius) == (None, None, None)


def test_the_host_is_measured() -> None:
    import psutil

    sample = DeviceSampler().sample()
    assert len(sample.cores) == psutil.cpu_count()
    assert 0 < sample.process_memory_bytes < sample.memory_used_bytes + 2**30
    assert sample.memory_used_bytes < sample.memory_total_bytes


def test_samples_come_at_an_interval_and_end_with_the_context() -> None:
    class Kept(list[Record]):
        def record(self, record: Record) -> None:
            self.append(record)

    kept = Kept()
    with Sampling(kept, interval=0.01):
        deadline = time.monotonic() + 10
        while len(kept) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    count = len(kept)
    assert count >= 3
    assert all(isinstance(record, DevicesSampled) for record in kept)
    time.sleep(0.05)
    assert len(kept) == count
