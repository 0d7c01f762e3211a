"""Export the network of one path as a folder that stands on its own, and check that its files reproduce the network."""

from __future__ import annotations

import importlib
import importlib.util
import json
import platform
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from supernet_cli.config.catalog import entries
from supernet_cli.errors import DataError, RunError, UsageError, did_you_mean
from supernet_cli.reports.card import card
from supernet_cli.reports.next_step import trained_names
from supernet_cli.reports.search.document import stored_search
from supernet_cli.store.exported import (
    CARD,
    CONFIG,
    Check,
    ExportedModel,
    FileFacts,
    FormatFacts,
    ImageInput,
    Latency,
    Weights,
    appearing,
    check_output,
    write_files,
)
from supernet_cli.store.files import read_small
from supernet_cli.store.layout import Way
from supernet_cli.store.results import Split, evaluation, selections
from supernet_cli.store.run import Run
from supernet_cli.version import __version__, version_of
from supernet_cli.workflows.load import Source, find_source, last_accuracy, needs_images, network_of
from supernet_cli.workflows.session import Session

if TYPE_CHECKING:
    from supernet_cli.data import Progress
    from supernet_cli.networks.deployable import Deployable
    from supernet_cli.networks.loaded import LoadedNetwork
    from supernet_cli.networks.parity import Answers
    from supernet_cli.store.network import NetworkSpec
    from supernet_cli.training.prepare import Prepared

Choice = Literal["pick", "best"]
"""How a path is chosen: the pick of the search, or the best of those trained from scratch."""

DEFAULT = "folder"
"""The word for every format that can be written here."""

EVERY = "all"
"""The word for every format there is."""

BATCHES = (1, 16, 256)
"""Batch sizes to measure latencies with."""

_LIBRARIES = ("torch", "numpy", "safetensors", "onnx", "onnxruntime", "onnxscript")
_NAMED = "the path that you named"
_PICK = "the pick of the search"
_BEST = "the best path trained from scratch, by accuracy on validation"


@dataclass(frozen=True)
class ExportRequest:
    """What is exported, and how.

    Args:
        output: The folder to write; it must not exist, or be empty.
        path: The path; by default the pick of the search if there is one, otherwise the best one trained from scratch.
        choice: How the path is chosen instead.
        formats: Names of formats, `folder` for all that can be written here, or `all`.
        weights: Which weights (default: as for `load`).
        seed: Of its training, or of the supernet (default: as for `load`).
        raw: Whether graphs take normalised floats instead of pixels.
        check: Whether the files are run in a fresh process and compared with the network.
        benchmark: Whether latencies of the files are measured.
    """

    output: Path
    path: str | None = None
    choice: Choice | None = None
    formats: tuple[str, ...] = (DEFAULT,)
    weights: Weights | None = None
    seed: int | None = None
    raw: bool = False
    check: bool = True
    benchmark: bool = False


@dataclass(frozen=True)
class Exported:
    """An exported network.

    Args:
        run: The run it is from.
        folder: Where its files are.
        chosen: Why this path, in words.
        model: Its config.json.
        missing: Formats that were not asked for by name and cannot be written here, with the packages they need.
    """

    run: Run
    folder: Path
    chosen: str
    model: ExportedModel
    missing: dict[str, tuple[str, ...]]

    def document(self) -> dict[str, Any]:
        """Return the JSON document: where the folder is, why this path, and config.json."""
        return {"folder": str(self.folder), "chosen": self.chosen, **self.model.document()}


def export(session: Session, request: ExportRequest) -> Exported:
    """Export the network of a path.

    The folder appears whole or not at all.

    Args:
        session: The run, and who sees what happens.
        request: What is exported.

    Raises:
        UsageError: There is no such path or format, a package is missing, or the output folder is in use.
        RunError: The path has no such weights, or they are damaged.
        DataError: The images are needed, and missing or damaged.
        DiskError: The folder cannot be written.
        ExportError: A file does not reproduce the network; nothing is written.
    """
    formats, missing = chosen_formats(request.formats)
    check_output(request.output)
    name, why = chosen_path(session, request)
    source = find_source(session, name, request.weights, request.seed)
    with session.observer.working("loading torch and the data") as advance:
        work = _Work.of(session, request, source, advance)
        with appearing(request.output) as folder:
            facts: dict[str, FormatFacts] = {}
            files: dict[str, FileFacts] = {}
            for number, (format_name, module) in enumerate(formats.items()):
                advance(f"writing {format_name}", number, 2 * len(formats))
                content = module.write(work.model)
                files |= write_files(folder, content, request.output)
                takes: Any = "float32" if request.raw and not module.TAKES_PIXELS else "uint8"
                facts[format_name] = FormatFacts(files=tuple(content), takes=takes, **module.FACTS)
            checks, latencies = [], []
            for number, (format_name, module) in enumerate(formats.items(), len(formats)):
                if request.check:
                    advance(f"checking {format_name} in a fresh process", number, 2 * len(formats))
                    checks.append(work.check(format_name, module, folder))
                if request.benchmark:
                    advance(f"timing {format_name}", number, 2 * len(formats))
                    latencies += work.measure(format_name, module, folder)
            model = work.document(facts, files, checks, latencies)
            files |= write_files(folder, {CARD: card(model).encode(errors="backslashreplace")}, request.output)
            model = model.model_copy(update={"files": files})
            config = json.dumps(model.document(), indent=2, allow_nan=False) + "\n"
            write_files(folder, {CONFIG: config.encode()}, request.output)
    return Exported(session.run, request.output, why, model, missing)


def chosen_formats(names: Sequence[str]) -> tuple[dict[str, ModuleType], dict[str, tuple[str, ...]]]:
    """Return the formats to write, and those that cannot be written here although they would have been.

    Args:
        names: As in `ExportRequest.formats`.

    Raises:
        UsageError: There is no such format, none is named, or one that is named needs a package that is not installed.
    """
    known = entries("format")
    for name in names:
        if name not in (*known, DEFAULT, EVERY):
            words = [*known, DEFAULT, EVERY]
            raise UsageError(f"There is no format '{name}'.", did_you_mean(name, words))
    if not names:
        raise UsageError("No format was named.", f"Known: {', '.join([*known, DEFAULT, EVERY])}.")
    whole = EVERY in names or DEFAULT in names
    wanted = [name for name in known if whole or name in names]
    modules = {name: importlib.import_module(f"supernet_cli.{known[name].module}") for name in wanted}
    gone = {name: packages for name, module in modules.items() if (packages := lacking(module))}
    for name, packages in gone.items():
        if EVERY in names or name in names:
            which = f"package{'s' if len(packages) > 1 else ''} {' and '.join(packages)}"
            raise UsageError(f"The format {name} needs the {which}.", f"Install: {install_command(name)}")
    return {name: module for name, module in modules.items() if name not in gone}, gone


def install_command(name: str) -> str:
    """Return the command that installs what a format needs: its extra has its name."""
    return f'pip install "supernet-cli[{name}]"'


def lacking(module: ModuleType) -> tuple[str, ...]:
    """Return the packages that a format needs and that are not installed."""
    return tuple(package for package in module.NEEDS if importlib.util.find_spec(package) is None)


def chosen_path(session: Session, request: ExportRequest) -> tuple[str, str]:
    """Return the path to export, and why it is this one.

    Raises:
        UsageError: A path is named and chosen.
        RunError: There is no such choice.
    """
    if request.path is not None:
        if request.choice is not None:
            raise UsageError(
                f"You named the path {request.path} and also gave --{request.choice}.", "Give one of them."
            )
        return request.path, _NAMED
    run = session.run
    found = stored_search(run) if request.choice != "best" else None
    if found is not None:
        return found.pick.path, _PICK
    if request.choice == "pick":
        raise RunError(f"Run {run.id} has not been searched, so it has no pick.", f"Search: `{run.command('search')}`.")
    return _best(session), _BEST


def _best(session: Session) -> str:
    """Return the path with the highest mean accuracy on validation of its trainings from scratch.

    Raises:
        RunError: None has been trained from scratch.
    """
    run, space = session.run, session.space
    accuracies: dict[str, list[float]] = defaultdict(list)
    for job in run.alone_jobs():
        if job.weights.is_file():
            accuracies[job.key.folder].append(last_accuracy(job))
    if not accuracies:
        raise RunError(
            f"No path of run {run.id} has been trained from scratch, so there is no best one to export.",
            f"Let a search find one: `{run.command('search')}`; or name a path, with --weights inherited.",
        )
    best = max(accuracies, key=lambda folder: sum(accuracies[folder]) / len(accuracies[folder]))
    known = next(job.key.path for job in run.alone_jobs() if job.key.folder == best)
    return str(space.parse(trained_names(run, space).get(best, known)))


@dataclass(frozen=True)
class _Work:
    """The network, what it says to the images, and what is written of it.

    Args:
        session: The run.
        request: What is exported.
        source: Where the weights are.
        loaded: The network.
        spec: What it is built from.
        model: What the formats are written from.
        answers: To the validation images; None without a check.
        test: Accuracy on the test images and their number; None without a check.
        recalibrated: Images that batch normalisation was measured on.
        threads: Of the processor.
    """

    session: Session
    request: ExportRequest
    source: Source
    loaded: LoadedNetwork
    spec: NetworkSpec
    model: Deployable
    answers: Answers | None
    test: tuple[float, int] | None
    recalibrated: int
    threads: int

    @classmethod
    def of(cls, session: Session, request: ExportRequest, source: Source, advance: Progress) -> _Work:
        """Load the network, and run it on the images if they are needed."""
        import torch

        from supernet_cli import device
        from supernet_cli.networks.deployable import Deployable

        threads = _threads(session, source)
        cpu = device.Device(torch.device("cpu"), torch.float32)
        with device.memory_errors():
            prepared = _prepared(session, request, source, threads, advance)
            device.prepare(cpu, threads)
            loaded, spec = network_of(session, source, prepared)
            origin = f"Exported from run {session.run.id} by supernet {__version__}."
            model = Deployable.of(loaded, spec.image_shape, spec.normalisation, origin, request.raw)
            answers = test = None
            if prepared is not None:
                answers, tested = (_answers(loaded, prepared, split) for split in ("validation", "test"))
                test = (tested.accuracy, len(tested.labels_N))
        recalibrated = 0
        if prepared is not None and needs_images(session, source):
            calibration = prepared.images.calibration(prepared.plan.calibration, torch.device("cpu"))
            recalibrated = 0 if calibration is None else len(calibration)
        return cls(session, request, source, loaded, spec, model, answers, test, recalibrated, threads)

    def check(self, name: str, module: ModuleType, folder: Path) -> Check:
        """Check the files of a format."""
        from supernet_cli.networks.parity import check

        assert self.answers is not None
        return check(name, module, folder, self.model, self.answers, self.threads)

    def measure(self, name: str, module: ModuleType, folder: Path) -> list[Latency]:
        """Measure the files of a format."""
        import numpy as np

        from supernet_cli.networks.parity import measure

        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (BATCHES[-1], *self.spec.image_shape), dtype=np.uint8)
        return measure(name, module, folder, self.model, pixels, self.threads, BATCHES)

    def document(
        self,
        formats: dict[str, FormatFacts],
        files: dict[str, FileFacts],
        checks: Sequence[Check],
        latencies: Sequence[Latency],
    ) -> ExportedModel:
        """Return config.json."""
        import torch

        from supernet_cli.device import Device
        from supernet_cli.networks.profile import latency, profile

        run, source, spec = self.session.run, self.source, self.spec
        preset = run.preset()
        cpu = Device(torch.device("cpu"), torch.float32)
        size = profile(self.loaded, spec.image_shape, cpu)
        recipe = preset.train if source.way is Way.ONE_SHOT else preset.standalone_recipe()
        channels, height, width = spec.image_shape
        accuracies = dict(self._accuracies())
        return ExportedModel(
            path=self.loaded.path,
            weights=source.weights,
            seed=source.job.seed,
            recalibrated=self.recalibrated,
            run=run.id,
            preset=run.manifest.preset,
            dataset=preset.data.dataset,
            input=ImageInput(channels=channels, height=height, width=width),
            classes=spec.classes,
            num_classes=spec.num_classes,
            normalisation=spec.normalisation,
            space=spec.space.model_dump(mode="json"),
            recipe=recipe.model_dump(mode="json") | self._final(),
            parameters=size.parameters,
            macs=size.macs,
            latency_seconds=latency(self.loaded, spec.image_shape, 1, cpu),
            validation_accuracy=accuracies["validation"],
            test_accuracy=accuracies["test"],
            validation_images=None if self.answers is None else len(self.answers.labels_N),
            test_images=None if self.test is None else self.test[1],
            formats=formats,
            checks=tuple(checks),
            benchmark=tuple(latencies),
            device=processor(),
            threads=self.threads,
            created=time.time(),
            versions={"supernet": __version__, "python": platform.python_version(), **_versions()},
            files=files,
        )

    def _final(self) -> dict[str, Any]:
        """Return what differs from the recipe where the path was trained for use."""
        if self.source.way is not Way.FINAL:
            return {}
        every = [each for each in selections(self.session.run) if str(self.source.path) in each.paths]
        final = next((each.final for each in reversed(every) if each.final is not None), None)
        return {} if final is None else final.model_dump(mode="json", exclude_defaults=True, exclude={"teacher_job"})

    def _accuracies(self) -> Iterator[tuple[Split, float | None]]:
        """Yield the accuracy on each split: just measured, or stored in the run."""
        stored = evaluation(self.session.run)
        measured: dict[Split, float | None] = {
            "validation": None if self.answers is None else self.answers.accuracy,
            "test": None if self.test is None else self.test[0],
        }
        for split, value in measured.items():
            row = stored.rows(split, self.source.way).get(self.source.job.seed, {}).get(self.loaded.path)
            if value is None and row is not None:
                value = row.accuracy
            if value is None and split == "validation" and self.source.way is not Way.ONE_SHOT:
                value = last_accuracy(self.source.job)
            yield split, value


def _prepared(
    session: Session, request: ExportRequest, source: Source, threads: int, advance: Progress
) -> Prepared | None:
    """Return the run's images, or None if nothing needs them.

    Raises:
        DataError: They are missing or damaged.
    """
    needed = needs_images(session, source)
    if not request.check and not needed:
        return None
    try:
        return session.prepare(advance, threads)
    except DataError as error:
        instead = "" if needed else " Or export without a check: --no-check."
        raise DataError(error.message, f"{error.hint}{instead}".strip()) from error


def _answers(loaded: LoadedNetwork, prepared: Prepared, split: Split) -> Answers:
    import torch

    from supernet_cli.networks.parity import Answers

    images = prepared.images.resident(split, torch.device("cpu"))
    return Answers.of(loaded, images, getattr(prepared.images.splits, split).images)


def _threads(session: Session, source: Source) -> int:
    """Return the threads that evaluations of this network use, since they change last bits."""
    preset = session.run.preset()
    if source.way is not Way.ONE_SHOT:
        return source.job.status().threads or preset.retrain.threads
    return max((job.status().threads for job in session.run.supernet_jobs()), default=0) or 1


def processor() -> str:
    """Return the name of this machine's processor."""
    try:
        lines = read_small(Path("/proc/cpuinfo")).decode(errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    return {name: version for name in _LIBRARIES if (version := version_of(name)) is not None}
