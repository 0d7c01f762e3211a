"""Evaluation: top-1 accuracy and mean cross-entropy of one path, or of many with shared prefixes computed once.

Names of tensors end with their shape: B images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, groupby

import torch
from torch import Tensor, nn
from torch.nn import functional

from supernet_cli.data.images import CALIBRATION_BATCH
from supernet_cli.data.resident import ResidentImages
from supernet_cli.device import Device
from supernet_cli.networks import normalisation
from supernet_cli.networks.supernet import Supernet
from supernet_cli.space import Architecture, Bundle, PathCosts

BATCH = 250
"""Images per batch: small enough for the caches, and the same everywhere, since it can change the last bits."""

TOGETHER = 1024
"""Number of paths whose statistics are held in memory at the same time."""


@dataclass(frozen=True)
class Score:
    """A network's results on a split.

    Args:
        accuracy: Top-1, a fraction.
        loss: Mean cross-entropy, nats per image.
        correct: Which images are classified correctly, (N,) bool on the CPU; None unless requested.
        accuracy_unrecalibrated: Top-1 with running statistics; None unless the network was recalibrated.
        divergence: Mean of KL(p ‖ q) + KL(q ‖ p), nats per image, between its predictions and those of the undropped
            network; None without one.
    """

    accuracy: float
    loss: float
    correct: Tensor | None = field(default=None, compare=False)
    accuracy_unrecalibrated: float | None = None
    divergence: float | None = None


_Statistics = Mapping[tuple[int, ...], normalisation.PathStatistics]  # by prefix, block by block; () is the stem


class _Tally:
    """Sums over batches, kept on the device: correct answers, cross-entropy, divergence."""

    def __init__(self, device: torch.device, keep_correct: bool = False) -> None:
        self._sums = torch.zeros(3, dtype=torch.float64, device="cpu" if device.type == "mps" else device)
        self._images = 0
        self._diverges = False
        self._correct: list[Tensor] | None = [] if keep_correct else None

    def add(self, logits_BK: Tensor, labels_B: Tensor, undropped_BK: Tensor | None = None) -> None:
        """Add a batch: logits, labels, and the undropped network's log-probabilities."""
        loss = functional.cross_entropy(logits_BK, labels_B, reduction="sum")
        correct_B = logits_BK.argmax(1) == labels_B
        divergence = loss.new_zeros(())
        if undropped_BK is not None:
            own_BK = logits_BK.log_softmax(1)
            divergence = ((own_BK.exp() - undropped_BK.exp()) * (own_BK - undropped_BK)).sum()
        self._sums += torch.stack([correct_B.sum().float(), loss, divergence]).to(self._sums.device)
        self._diverges = undropped_BK is not None
        self._images += len(labels_B)
        if self._correct is not None:
            self._correct.append(correct_B)

    def score(self) -> Score:
        correct, loss, divergence = (total / self._images for total in self._sums.tolist())
        correct_N = None if self._correct is None else torch.cat(self._correct).cpu()
        return Score(correct, loss, correct_N, divergence=divergence if self._diverges else None)


@dataclass(frozen=True)
class ForwardCost:
    """The cost of an evaluation, which has no backward passes.

    Args:
        images: Images run forward, counted once for each path and each pass over them.
        macs: Multiply-accumulates; a prefix that paths share counts once.
        seconds: The time that it took.
    """

    images: int = 0
    macs: int = 0
    seconds: float = 0.0

    def __add__(self, other: ForwardCost) -> ForwardCost:
        """Return the cost of both."""
        return ForwardCost(self.images + other.images, self.macs + other.macs, self.seconds + other.seconds)


@dataclass(frozen=True)
class JudgingPlan:
    """An evaluation of paths of a supernet: runs it, and prices it.

    Args:
        paths: In any order; duplicates are evaluated once.
        images: The split to evaluate on.
        calibration: Training images for recalibrating each path's batch normalisation before it is evaluated; None
            for running statistics.
        undropped: All candidates at once, if the strategy trains them so: scores then include how far each path's
            predictions are from it (Bender et al. 2018, "Understanding and Simplifying One-Shot Architecture Search",
            ICML).
        both_ways: Whether recalibrated paths are also evaluated with running statistics.
        keep_correct: Whether scores record which images are classified correctly.
    """

    paths: Sequence[Architecture]
    images: ResidentImages
    calibration: ResidentImages | None = None
    undropped: Bundle | None = None
    both_ways: bool = False
    keep_correct: bool = False

    @torch.inference_mode()
    def run(
        self, supernet: Supernet, device: Device, between: Callable[[], None] = lambda: None
    ) -> dict[Architecture, Score]:
        """Evaluate the paths; activations of a common prefix are computed once.

        The scores equal those of each path's extracted subnet exactly: the same operations run on the same numbers.
        Memory is bounded by one batch of activations per block, and the statistics of `TOGETHER` paths.

        Args:
            supernet: The weights.
            device: Determines the arithmetic.
            between: Called between batches; an exception from it ends the evaluation and leaves the supernet unchanged.
        """
        ordered = in_order(self.paths)
        undropped_NK = None if self.undropped is None else self._predicted(self.undropped, supernet, device)
        if self.calibration is None or not normalisation.layers_of(supernet):
            with normalisation.borrowed(supernet):
                return self._judge(supernet, ordered, device, None, undropped_NK, between)
        plain: dict[Architecture, Score] = {}
        if self.both_ways:
            with normalisation.borrowed(supernet):
                plain = replace(self, keep_correct=False)._judge(supernet, ordered, device, None, None, between)
        scores: dict[Architecture, Score] = {}
        for group in _in_groups(ordered):
            with normalisation.borrowed(supernet) as layers:
                statistics = _measured(supernet, group, layers, self.calibration, device, between)
                scores |= self._judge(supernet, group, device, statistics, undropped_NK, between)
        return {
            path: replace(score, accuracy_unrecalibrated=plain[path].accuracy) if self.both_ways else score
            for path, score in scores.items()
        }

    def cost(self, supernet: Supernet, costs: PathCosts) -> ForwardCost:
        """Return what the evaluation costs, its time aside.

        Args:
            supernet: The network whose paths are evaluated.
            costs: Costs of its candidates.
        """
        images, ordered = len(self.images), in_order(self.paths)
        measured = self.calibration if normalisation.layers_of(supernet) else None
        calibrating = 0 if measured is None else len(measured)
        forward = len(ordered) * images_per_path(images, calibrating, self.both_ways)
        macs = 0
        if self.undropped is not None:
            forward += images + calibrating
            macs += (images + calibrating) * costs.of_bundle(self.undropped)
        if self.both_ways or not calibrating:
            macs += images * costs.of_shared_prefixes(ordered)
        if calibrating:
            for group in _in_groups(ordered):
                macs += images * costs.of_shared_prefixes(group)
                macs += calibrating * costs.of_shared_prefixes(group, head=False)
        return ForwardCost(forward, macs)

    def _judge(
        self,
        supernet: Supernet,
        ordered: Sequence[Architecture],
        device: Device,
        statistics: _Statistics | None,
        undropped_NK: Tensor | None,
        between: Callable[[], None],
    ) -> dict[Architecture, Score]:
        tallies = {path: _Tally(device.place, self.keep_correct) for path in ordered}
        for start, (images_BCHW, labels_B) in zip(count(0, BATCH), self.images.batches(BATCH), strict=False):
            between()
            undropped_BK = None if undropped_NK is None else undropped_NK[start : start + BATCH]
            with device.autocast():
                for path, features_BCHW in _walk(supernet, images_BCHW, ordered, statistics):
                    tallies[path].add(_logits(supernet, features_BCHW, device), labels_B, undropped_BK)
        return {path: tally.score() for path, tally in tallies.items()}

    def _predicted(self, bundle: Bundle, supernet: Supernet, device: Device) -> Tensor:
        """Return a bundle's log-probabilities, (N, K), with its batch normalisation recalibrated like a path's."""

        def forward(images_BCHW: Tensor) -> Tensor:
            with device.autocast():
                return _logits(supernet, supernet.features(images_BCHW, bundle), device)

        with normalisation.borrowed(supernet) as layers:
            if self.calibration is not None and layers:
                normalisation.measure(layers, self.calibration, forward)
            return torch.cat([forward(batch).log_softmax(1) for batch, _ in self.images.batches(BATCH)])


def images_per_path(images: int, calibration: int, both_ways: bool = False) -> int:
    """Return how many images evaluating one path runs forward.

    Args:
        images: Number of images to evaluate on.
        calibration: Number of images to calibrate with; 0 for no calibration.
        both_ways: Whether a recalibrated path is also evaluated with running statistics.
    """
    return images * (2 if both_ways and calibration else 1) + calibration


def in_order(architectures: Iterable[Architecture]) -> list[Architecture]:
    """Return each path once, paths with a common prefix next to each other."""
    return sorted(set(architectures), key=lambda architecture: architecture.choices)


def _in_groups(ordered: Sequence[Architecture]) -> list[Sequence[Architecture]]:
    """Return the paths in groups that are calibrated together, with their statistics in memory at the same time."""
    return [ordered[first : first + TOGETHER] for first in range(0, len(ordered), TOGETHER)]


def _logits(supernet: Supernet, features_BCHW: Tensor, device: Device) -> Tensor:
    """Return the head's logits, (B, K), in float32 whatever the rest runs in.

    A network that is sure has two logits closer to each other than bfloat16 can tell apart, for some images.
    """
    with torch.autocast(device.place.type, enabled=False):
        return supernet.head(features_BCHW.float())  # type: ignore[no-any-return]


def _measured(
    supernet: Supernet,
    ordered: Sequence[Architecture],
    layers: Sequence[nn.BatchNorm2d],
    calibration: ResidentImages,
    device: Device,
    between: Callable[[], None],
) -> _Statistics:
    """Return the statistics of every prefix: those of a block do not depend on later blocks."""
    blocks = list(supernet.choice_layers())
    statistics: dict[tuple[int, ...], normalisation.PathStatistics] = {}
    statistics[()] = normalisation.PathStatistics(normalisation.layers_of(supernet.stem))
    for path in ordered:
        for depth, (block, choice) in enumerate(zip(blocks, path.choices, strict=True)):
            prefix = path.choices[: depth + 1]
            if prefix not in statistics:
                block_layers = normalisation.layers_of(block.candidates[choice], block.shortcut)
                statistics[prefix] = normalisation.PathStatistics(block_layers)
    with normalisation.calibrating(layers):
        for images_BCHW, _ in calibration.batches(CALIBRATION_BATCH):
            between()
            with device.autocast():
                for _ in _walk(supernet, images_BCHW, ordered, statistics):
                    pass  # only the layers' statistics are of interest
    return statistics


def _walk(
    supernet: Supernet, images_BCHW: Tensor, ordered: Sequence[Architecture], statistics: _Statistics | None
) -> Iterator[tuple[Architecture, Tensor]]:
    """Yield the input of each path's head, walking the tree of prefixes depth first."""
    if statistics is not None:
        statistics[()].install()
    yield from _descend(supernet, supernet.begin(images_BCHW), ordered, 0, statistics)


def _descend(
    supernet: Supernet,
    features_BCHW: Tensor,
    ordered: Sequence[Architecture],
    depth: int,
    statistics: _Statistics | None,
) -> Iterator[tuple[Architecture, Tensor]]:
    if depth == len(supernet.blocks):
        yield ordered[0], features_BCHW
        return
    for choice, group in groupby(ordered, key=lambda architecture: architecture.choices[depth]):
        paths = list(group)
        if statistics is not None:
            statistics[paths[0].choices[: depth + 1]].install()
        yield from _descend(supernet, supernet.blocks[depth](features_BCHW, choice), paths, depth + 1, statistics)
