"""What `supernet train --dry-run` says: the resolved preset, the sizes of its paths, and how long it would take."""

from __future__ import annotations

from supernet_cli.cli.output import Output, verbatim
from supernet_cli.cli.render import facts
from supernet_cli.config.load import dump_toml
from supernet_cli.config.schema import Preset
from supernet_cli.glyphs import clock


def say_rehearsal(preset: Preset, voice: Output) -> None:
    """Measure and say what a training would be, without making a run.

    Args:
        preset: What would be trained.
        voice: How to say it.
    """
    with voice.working("loading torch and the data, and timing a few steps") as progress:
        from supernet_cli.engine.prepare import prepare
        from supernet_cli.engine.rehearse import rehearse

        found = rehearse(prepare(preset, progress=progress))
    seconds = found.estimate.seconds * len(preset.train.seeds)
    least, most = found.smallest, found.largest
    document = {
        "preset": preset.model_dump(mode="json"),
        "space": {
            "paths": found.num_paths,
            "profiled_paths": found.num_profiled,
            "parameters": {"least": least.parameters, "most": most.parameters},
            "macs": {"least": least.macs, "most": most.macs},
        },
        "images": {"train": found.train_images, "validation": found.validation_images, "test": found.test_images},
        "device": found.device,
        "estimate": {"images_per_second": found.estimate.images_per_second, "seconds": seconds},
    }
    of = "" if found.num_profiled == found.num_paths else f", in {found.num_profiled} of them"
    pairs = [
        ("space", f"{found.num_paths:,} paths"),
        ("parameters of a path", f"{least.parameters:,} to {most.parameters:,}{of}"),
        ("multiply-accumulates", f"{least.macs:,} to {most.macs:,} an image{of}"),
        ("images", f"{found.train_images:,} train, {found.validation_images:,} validation, {found.test_images:,} test"),
        ("device", found.device),
        ("estimate", f"{clock(seconds)} at {found.estimate.images_per_second:,.0f} images/s"),
    ]
    voice.result(document, verbatim(dump_toml(preset)), "", facts(pairs))
