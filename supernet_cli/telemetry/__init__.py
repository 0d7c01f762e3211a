"""Device utilisation: the host through psutil, GPUs through NVML. No torch."""

from supernet_cli.telemetry.sampler import DeviceSampler, Sampling

__all__ = ["DeviceSampler", "Sampling"]
