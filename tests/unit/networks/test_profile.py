from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from helpers import space_of
from torch import Tensor, nn
from torch.nn import functional

from supernet_cli.config.load import load_preset
from supernet_cli.config.schema import Preset
from supernet_cli.config.space import Space
from supernet_cli.device import Device
from supernet_cli.networks.profile import latency, path_costs, profile
from supernet_cli.networks.supernet import Supernet
from supernet_cli.space import PathCosts, SearchSpace
from supernet_cli.training.prepare import prepare
from supernet_cli.training.rehearse import rehearse

CPU = Device(torch.device("cpu"), torch.float32)


def test_the_reference_paths_cost_what_a_hand_computes() -> None:
    space = SearchSpace.from_config(load_preset("default").preset.space)
    net = Supernet(space, (1, 28, 28), 10)
    head = 7 * 7 * 32 * 64 + 64 * 10
    for path in space.enumerate():
        first, second = (9 if choice == 0 else 25 for choice in path.choices)
        found = profile(net.extract(path), (1, 28, 28), CPU)
        assert found.macs == 28 * 28 * 32 * first + 14 * 14 * 32 * 32 * second + head
        assert found.parameters == 32 * first + 32 + 32 * 32 * second + 32 + head + 64 + 10


def test_the_table_of_costs_agrees_with_every_path_measured_whole() -> None:
    space = space_of(["conv3x3", "conv5x5", "identity"], ["identity", "conv1x1"], channels=6)
    net = Supernet(space, (3, 12, 12), 4)
    costs = path_costs(net, (3, 12, 12), CPU)
    measured = {path: profile(net.extract(path), (3, 12, 12), CPU).macs for path in space.enumerate()}
    assert {path: costs.of(path) for path in measured} == measured


def test_paths_that_share_a_prefix_cost_it_once() -> None:
    space = space_of(["conv3x3", "conv5x5"], ["conv3x3", "conv5x5"])
    costs = PathCosts(((10, 20), (3, 5)), 1)
    assert costs.of_shared_prefixes(list(space.enumerate())) == 10 + 20 + 2 * (3 + 5) + 4
    assert costs.of_shared_prefixes([space.at(1), space.at(1)]) == costs.of(space.at(1)) == 10 + 5 + 1


RICH = {
    "hidden": 8,
    "norm": "batch",
    "stem": {"channels": 4, "kernel": 5, "stride": 2},
    "blocks": [
        {"channels": 4, "pool": 1, "residual": True, "candidates": ["conv3x3", "sep3x3"]},
        {"channels": 6, "pool": 1, "stride": 2, "residual": True, "candidates": ["mbconv3x3e3", "identity", "dil5x5"]},
    ],
}


def test_stem_and_shortcuts_are_counted_once_and_the_table_stays_exact() -> None:
    space = SearchSpace.from_config(Space.model_validate(RICH))
    net = Supernet(space, (3, 12, 12), 4)
    costs = path_costs(net, (3, 12, 12), CPU)
    assert costs.stem == 6 * 6 * 3 * 4 * 25
    assert costs.shared == (0, 3 * 3 * 4 * 6)
    assert costs.head == 3 * 3 * 6 * 8 + 8 * 4
    measured = {path: profile(net.extract(path), (3, 12, 12), CPU).macs for path in space.enumerate()}
    assert {path: costs.of(path) for path in measured} == measured
    first, second = costs.candidates
    together = costs.stem + sum(first) + 2 * (sum(second) + 3 * costs.shared[1]) + 6 * costs.head
    assert costs.of_shared_prefixes(measured) == together
    assert costs.of_shared_prefixes(measured, head=False) == together - 6 * costs.head


def test_measuring_leaves_statistics_and_modes_as_they_were() -> None:
    net = Supernet(SearchSpace.from_config(Space.model_validate(RICH)), (3, 12, 12), 4)
    net.blocks[0].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    path_costs(net, (3, 12, 12), CPU)
    profile(net.extract(net.space.at(0)), (3, 12, 12), CPU)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert (net.training, net.blocks[0].training, net.blocks[1].training) == (True, False, True)


def test_latency_is_a_median_of_seconds() -> None:
    net = Supernet(space_of(["conv3x3"], ["conv3x3"]), (1, 12, 12), 4)
    assert 0 < latency(net.extract(net.space.at(0)), (1, 12, 12), 2, CPU) < 1


def test_an_identity_costs_nothing_and_a_projection_does() -> None:
    space = space_of(["identity"], ["identity"], channels=5, pool=1)
    found = profile(Supernet(space, (1, 6, 6), 3).extract(space.at(0)), (1, 6, 6), CPU)
    assert found.macs == 6 * 6 * 5 + 5 * 36 * 16 + 16 * 3


class Functional(nn.Module):
    """Maps (1, C, H, W) to the same shape by calls that no module stands for."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Parameter(torch.ones(channels, 1, 3, 3))
        self.mix = nn.Parameter(torch.ones(channels, channels))
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = functional.conv2d(x_BCHW, self.depthwise, padding=1, groups=len(self.mix))
        tokens_BNC = x_BCHW.flatten(2).transpose(1, 2)
        tokens_BNC = torch.einsum("bnc,cd->bnd", tokens_BNC, self.mix)
        tokens_BNC = functional.scaled_dot_product_attention(*[tokens_BNC[:, None]] * 3)[:, 0]
        attended_BNN = torch.matmul(tokens_BNC, tokens_BNC.transpose(1, 2)).softmax(-1)
        gate_BN1 = (tokens_BNC @ self.scale)[..., None]
        return (attended_BNN @ tokens_BNC * gate_BN1).transpose(1, 2).reshape(x_BCHW.shape)


def functional_macs(channels: int, pixels: int) -> int:
    depthwise, mix, products, gate = 9 * channels * pixels, pixels * channels**2, 4 * pixels**2 * channels, pixels
    return depthwise + mix + products + gate * channels


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_what_an_operation_calls_without_a_module_counts_too(
    precision: torch.dtype, capsys: pytest.CaptureFixture[str]
) -> None:
    with Device(torch.device("cpu"), precision).autocast():
        assert profile(Functional(6), (6, 5, 4), CPU).macs == functional_macs(6, 20)
        net = Supernet(space_of(["conv3x3", "identity"], ["identity"], channels=6, pool=1), (6, 5, 4), 3)
        net.blocks[0].candidates[1] = Functional(6)
        costs = path_costs(net, (6, 5, 4), CPU)
    assert costs.candidates == ((20 * 6 * 6 * 9, functional_macs(6, 20)), (0,))
    assert costs.head == 20 * 6 * 16 + 16 * 3
    assert capsys.readouterr() == ("", "")


def test_grouped_and_transposed_convolutions_cost_what_a_hand_computes() -> None:
    grouped = nn.Conv2d(4, 6, 3, padding=1, groups=2)
    transposed = nn.ConvTranspose2d(6, 8, 2, stride=2, groups=2)
    assert profile(grouped, (4, 5, 4), CPU).macs == 20 * 6 * 2 * 9
    assert profile(nn.Sequential(grouped, transposed), (4, 5, 4), CPU).macs == 20 * 6 * 2 * 9 + 20 * 6 * 4 * 4


def test_a_module_of_attention_costs_the_same_whatever_kernel_it_uses() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x_BCHW: Tensor) -> Tensor:
            tokens_BNC = x_BCHW.flatten(2).transpose(1, 2)
            return self.attention(tokens_BNC, tokens_BNC, tokens_BNC)[0]

    assert torch.backends.mha.get_fastpath_enabled()
    assert profile(Tokens(), (8, 3, 2), CPU).macs == 4 * 6 * 8 * 8 + 2 * 6 * 6 * 8
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_rehearsal_tells_sizes_and_time(tiny: Callable[..., Preset]) -> None:
    found = rehearse(prepare(tiny()))
    assert (found.num_paths, found.num_profiled) == (4, 4)
    assert [found.data.images(split) for split in ("train", "validation", "test")] == [500, 100, 200]
    assert found.smallest.parameters < found.largest.parameters
    assert found.smallest.macs < found.largest.macs
    assert found.estimate.images_per_second > 0
    assert found.estimate.seconds > 3 * 500 / found.estimate.images_per_second


def test_a_rehearsal_works_where_an_epoch_is_shorter_than_its_timing(tiny: Callable[..., Preset]) -> None:
    assert rehearse(prepare(tiny(train={"batch_size": 500}))).estimate.seconds > 0


def test_a_huge_space_is_profiled_by_a_sample(tiny: Callable[..., Preset]) -> None:
    block = {"channels": 2, "pool": 1, "candidates": ["conv1x1", "conv3x3", "conv5x5"]}
    found = rehearse(prepare(tiny(space={"blocks": [block] * 8})))
    assert found.num_paths == 3**8
    assert found.num_profiled == 256


@pytest.mark.parametrize("flip", [True, False])
def test_images_are_mirrored_only_where_that_was_asked(tiny: Callable[..., Preset], flip: bool) -> None:
    prepared = prepare(tiny(data={"flip": flip, "shift": 0, "standardize": False}))
    images = prepared.images.training_data().training
    originals = prepared.images.splits.train.images.permute(0, 3, 1, 2).float() / 255
    seen = torch.cat([batch for batch, _ in images.epoch(torch.Generator().manual_seed(0), 100)])
    known = {bytes((image * 255).round().byte().flatten().tolist()) for image in originals}
    mirrored = {bytes((image * 255).round().byte().flatten().tolist()) for image in originals.flip(3)}
    rows = [bytes((image * 255).round().byte().flatten().tolist()) for image in seen]
    share = sum(row in mirrored for row in rows) / len(rows)
    assert all(row in known or row in mirrored for row in rows)
    assert (0.4 < share < 0.6) if flip else share == 0


def test_colour_images_are_mirrored_unless_the_preset_says_no(tiny: Callable[..., Preset]) -> None:
    from dataclasses import replace

    from supernet_cli.data import Split
    from supernet_cli.data.images import Images

    preset = tiny()
    grey = prepare(preset).images
    train = Split(grey.splits.train.images.repeat(1, 1, 1, 3), grey.splits.train.labels)
    colour = Images.of(replace(grey.splits, train=train), preset.data, grey.place)
    assert not grey.flip
    assert colour.flip
