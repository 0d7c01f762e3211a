"""Use of the host and its GPUs, now and over the last minutes."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from supernet_cli.glyphs import gib, sparkline
from supernet_cli.store.records import DevicesSampled, Gpu
from supernet_cli.store.views import RunView
from supernet_cli.tui.draw import MUTED, Part, heading, line, lines
from supernet_cli.tui.panels.panel import Panel

_SPARK = "$accent 65%"


class DevicesPanel(Panel):
    """Cores, memory and GPUs."""

    def draw(self, view: RunView, width: int, height: int) -> Content:
        """Return the devices that fit: the host first, then each GPU."""
        if not view.devices:
            words = "no samples yet" if view.is_alive else "this run has no samples"
            return lines([heading("Devices", width, (view.job.snapshot.device, MUTED)), line((words, MUTED))])
        samples = view.devices
        newest = samples[-1]
        info = "" if view.is_alive else "last known"
        gpus = newest.gpus
        room = height - 1 - 1 - max(1, len(gpus))
        rows = [*_cores(samples, width, max(1, room)), _memory(samples, width)]
        rows += [_gpu(number, samples, width) for number in range(len(gpus))] or [line(("no GPU", MUTED))]
        if len(rows) > height - 1:
            hidden = len(rows) - (height - 2)
            rows = [*rows[: height - 2], line((f"… {hidden} more", MUTED))]
        return lines([heading("Devices", width, (info, MUTED)), *rows])


def _cores(samples: Sequence[DevicesSampled], width: int, rows: int) -> list[Content]:
    """Return a history for each core if they fit, otherwise one of their mean and the current use of all cores."""
    cores = len(samples[-1].cores)
    label = 1 + len(str(max(0, cores - 1)))
    across = next((n for n in (1, 2, 3, 4) if n * rows >= cores and (width + 2) // n >= 18), 0)
    if not across:
        return _many_cores(samples, width, rows)
    each = (width + 2) // across - 2
    prefix = "cpu " if across == 1 else ""
    spark = min(30, each - len(prefix) - label - 6)
    cells = []
    for core in range(cores):
        history = [s.cores[core] for s in samples if core < len(s.cores)][-2 * spark :]
        cells.append(
            line(
                (f"{prefix}{core:>{label - 1}} ", MUTED),
                (sparkline(history, spark, 0.0, 100.0).rjust(spark), _SPARK),
                f" {samples[-1].cores[core]:3.0f} %",
            )
        )
    found = []
    for begin in range(0, cores, across):
        row: list[Part] = []
        for cell in cells[begin : begin + across]:
            row += [cell, "  "]
        found.append(line(*row[:-1]))
    return found


def _many_cores(samples: Sequence[DevicesSampled], width: int, rows: int) -> list[Content]:
    newest = samples[-1].cores
    means = [sum(s.cores) / max(1, len(s.cores)) for s in samples]
    spark = max(6, min(30, width - 22))
    mean = line(
        ("cpu ", MUTED),
        (sparkline(means[-2 * spark :], spark, 0.0, 100.0).rjust(spark), _SPARK),
        f" {means[-1]:3.0f} % of {len(newest)}",
    )
    if rows < 2:
        return [mean]
    each = sparkline(newest, min(len(newest), width - 7), 0.0, 100.0)
    return [mean, line(("cores ", MUTED), (each, _SPARK))]


def _memory(samples: Sequence[DevicesSampled], width: int) -> Content:
    newest = samples[-1]
    figures = f" {gib(newest.memory_used_bytes)}/{gib(newest.memory_total_bytes)} GiB"
    mine = f"  trainer {gib(newest.process_memory_bytes)} GiB"
    words = figures + (mine if width >= 44 else "")
    spark = max(4, min(30, width - len(words) - 4))
    history = [s.memory_used_bytes / max(1, s.memory_total_bytes) for s in samples][-2 * spark :]
    return line(("ram ", MUTED), (sparkline(history, spark, 0.0, 1.0).rjust(spark), _SPARK), words)


def _gpu(number: int, samples: Sequence[DevicesSampled], width: int) -> Content:
    history = [s.gpus[number] for s in samples if number < len(s.gpus)]
    gpu = history[-1]
    used = [g.utilisation for g in history if g.utilisation is not None]
    figures = [_figure(gpu.utilisation, "3.0f", "%"), _memory_of(gpu)]
    figures += [_figure(gpu.temperature_celsius, ".0f", "°C"), _figure(gpu.power_watts, ".0f", "W")]
    words = "  ".join(figures)
    name = gpu.name.removeprefix("NVIDIA ").split(" ")[0]
    label = f"gpu {number} {name} " if width - len(words) > len(name) + 18 else f"gpu {number} "
    spark = max(0, min(24, width - len(words) - len(label) - 1))
    drawn = sparkline(used[-2 * spark :], spark, 0.0, 100.0).rjust(spark) if spark >= 4 else ""
    return line((label, MUTED), (drawn, _SPARK), " " if drawn else "", words)


def _memory_of(gpu: Gpu) -> str:
    if gpu.memory_used_bytes is None:
        return "N/A"
    total = f"/{gpu.memory_total_bytes / 2**30:.0f}" if gpu.memory_total_bytes is not None else ""
    return f"{gpu.memory_used_bytes / 2**30:.0f}{total} GiB"


def _figure(value: float | None, form: str, unit: str) -> str:
    return "N/A" if value is None else f"{value:{form}} {unit}"
