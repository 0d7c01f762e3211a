"""What `supernet train --dry-run` prints: sizes of the paths, an estimated time, the data, and the resolved preset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supernet_cli.cli.output import Output, verbatim
from supernet_cli.cli.render import facts
from supernet_cli.config.load import dump_toml
from supernet_cli.config.schema import Preset
from supernet_cli.glyphs import clock
from supernet_cli.runs.data_report import SPLITS

if TYPE_CHECKING:
    from supernet_cli.engine.rehearse import Rehearsal


def say_rehearsal(preset: Preset, voice: Output) -> None:
    """Measure and print what a training would be, without creating a run.

    Args:
        preset: What would be trained.
        voice: Where to print.
    """
    with voice.working("loading torch and the data, and timing a few steps") as progress:
        from supernet_cli.engine.prepare import prepare
        from supernet_cli.engine.rehearse import rehearse

        prepared = prepare(preset, progress=progress)
        prepared.splits.report.check_trainable()
        rehearsal = rehearse(prepared)
    from supernet_cli.cli.data_report import drawn_report

    seconds = rehearsal.estimate.seconds * len(preset.train.seeds)
    report = drawn_report(rehearsal.data)
    useful = facts(_pairs(rehearsal, seconds))
    voice.result(_document(preset, rehearsal, seconds), useful, "", *report, "", verbatim(dump_toml(preset)))


def _document(preset: Preset, rehearsal: Rehearsal, seconds: float) -> dict[str, Any]:
    """Return the JSON document of a dry run."""
    least, most, estimate = rehearsal.smallest, rehearsal.largest, rehearsal.estimate
    return {
        "preset": preset.model_dump(mode="json"),
        "space": {
            "paths": rehearsal.num_paths,
            "profiled_paths": rehearsal.num_profiled,
            "parameters": {"least": least.parameters, "most": most.parameters},
            "macs": {"least": least.macs, "most": most.macs},
        },
        "images": {split: rehearsal.data.images(split) for split in SPLITS},
        "data": rehearsal.data.model_dump(mode="json"),
        "device": rehearsal.device,
        "estimate": {"images_per_second": estimate.images_per_second, "seconds": seconds},
    }


def _pairs(rehearsal: Rehearsal, seconds: float) -> list[tuple[str, str]]:
    """Return the six lines that answer most questions."""
    least, most, data = rehearsal.smallest, rehearsal.largest, rehearsal.data
    sampled = "" if rehearsal.num_profiled == rehearsal.num_paths else f" (sample of {rehearsal.num_profiled} paths)"
    train, validation, test = map(data.images, SPLITS)
    return [
        ("space", f"{rehearsal.num_paths:,} path{'s' if rehearsal.num_paths != 1 else ''}"),
        ("parameters per path", f"{least.parameters:,} to {most.parameters:,}{sampled}"),
        ("multiply-accumulates", f"{least.macs:,} to {most.macs:,} per image{sampled}"),
        ("images", f"{train:,} train, {validation:,} validation, {test:,} test"),
        ("device", rehearsal.device),
        ("estimated time", f"{clock(seconds)} at {rehearsal.estimate.images_per_second:,.0f} images/s"),
    ]
