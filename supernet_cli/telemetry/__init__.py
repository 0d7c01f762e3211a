"""Device utilisation: the host through psutil, GPUs through NVML. Free of torch."""

from supernet_cli.telemetry.sampler import DeviceSampler, Sampling

__all__ = ["DeviceSampler", "Sampling"]
