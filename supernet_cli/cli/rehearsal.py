"""What `--dry-run` prints: what would be done and how long it would take; of a new run also its data and preset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from supernet_cli.cli.console import verbatim
from supernet_cli.cli.output import Output
from supernet_cli.cli.render import facts
from supernet_cli.config.load import LoadedPreset, dump_toml
from supernet_cli.config.schema import Preset
from supernet_cli.glyphs import clock, counted
from supernet_cli.store.data_report import SPLITS

if TYPE_CHECKING:
    from supernet_cli.training.rehearse import Rehearsal
    from supernet_cli.workflows.selection import Wanted
    from supernet_cli.workflows.session import Session
    from supernet_cli.workflows.workplace import Workplace


def say_rehearsal(loaded: LoadedPreset, voice: Output, workplace: Workplace | None = None) -> None:
    """Measure and print what a training or an experiment would be, without creating a run.

    Args:
        loaded: What would be trained.
        voice: Where to print.
        workplace: Where paths are trained from scratch; None if they are not, as by `train`.
    """
    from supernet_cli.workflows.rehearse import rehearse_new

    preset, (rehearsal, alone) = loaded.preset, rehearse_new(loaded, voice, workplace)
    from supernet_cli.cli.data_report import drawn_report

    seconds = rehearsal.estimate.seconds * len(preset.train.seeds)
    pairs, document = _pairs(rehearsal, seconds), _document(preset, rehearsal, seconds)
    if alone is not None:
        paths, seeds = counted(rehearsal.num_paths, "path"), counted(len(preset.retrain.seeds), "seed")
        total = seconds + alone.seconds
        pairs[-1] = ("supernets", f"{len(preset.train.seeds)}, in {clock(seconds)}")
        pairs += [
            ("stand-alone trainings", f"{paths} × {seeds}, {alone.workers} at a time, in {clock(alone.seconds)}"),
            ("estimated time", f"{clock(total)} without the evaluation on the test images"),
        ]
        document["estimate"] |= {"supernet_seconds": seconds, "stand_alone_seconds": alone.seconds, "seconds": total}
    report = drawn_report(rehearsal.data)
    voice.result(document, facts(pairs), "", *report, "", verbatim(dump_toml(preset)))


def say_alone_rehearsal(session: Session, wanted: Wanted, seeds: Sequence[int], voice: Output) -> None:
    """Measure and print what training some paths alone would be.

    Args:
        session: The run, and where its paths would be trained.
        wanted: Which paths, and how.
        seeds: Trainings of each.
        voice: Where to print.
    """
    from supernet_cli.workflows.rehearse import rehearse_alone

    rehearsal = rehearse_alone(session, wanted, seeds)
    estimate, trainings = rehearsal.estimate, rehearsal.num_paths * len(seeds)
    paths = rehearsal.paths
    if paths is None:
        named = f"{rehearsal.num_paths:,}, chosen after scoring {rehearsal.scored_first}"
    else:
        named = f"{rehearsal.num_paths:,}: {', '.join(paths[:3])}{' …' if len(paths) > 3 else ''}"
    each = counted(len(seeds), "seed")
    pairs = [
        ("run", session.run.id),
        ("paths", named),
        ("trainings", f"{trainings:,} ({counted(rehearsal.num_paths, 'path')} × {each}), {rehearsal.done:,} done"),
        ("length of each", rehearsal.length),
        ("where", rehearsal.where),
        ("estimated time", clock(estimate.seconds) if estimate.workers else "nothing is left to train"),
    ]
    document = {
        "run": session.run.id,
        "paths": None if paths is None else list(paths),
        "seeds": list(seeds),
        "trainings": trainings,
        "trainings_done": rehearsal.done,
        "estimate": {"seconds": estimate.seconds, "macs": estimate.macs, "workers": estimate.workers},
    }
    voice.result(document, facts(pairs))


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
        ("space", counted(rehearsal.num_paths, "path")),
        ("parameters per path", f"{least.parameters:,} to {most.parameters:,}{sampled}"),
        ("multiply-accumulates", f"{least.macs:,} to {most.macs:,} per image{sampled}"),
        ("images", f"{train:,} train, {validation:,} validation, {test:,} test"),
        ("device", rehearsal.device),
        ("estimated time", f"{clock(seconds)} at {rehearsal.estimate.images_per_second:,.0f} images/s"),
    ]
