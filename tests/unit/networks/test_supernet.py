from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from helpers import TWO, space_of
from torch import Tensor, nn

from supernet_cli.config.load import load_preset
from supernet_cli.config.space import Space
from supernet_cli.device import Device
from supernet_cli.errors import PresetError
from supernet_cli.networks.profile import path_costs
from supernet_cli.networks.supernet import BlockEnd, Supernet
from supernet_cli.sampling import Context, build_sampler
from supernet_cli.space import Architecture, SearchSpace

SPACE = space_of(TWO, TWO, channels=4)
PATHS = list(SPACE.enumerate())


@pytest.fixture
def net() -> Supernet:
    torch.manual_seed(0)
    return Supernet(SPACE, (1, 12, 12), 10).to(memory_format=torch.channels_last)


@pytest.fixture
def images() -> Tensor:
    return torch.randn(8, 1, 12, 12, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("path", PATHS, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_an_extracted_subnet_gives_the_same_bits(net: Supernet, images: Tensor, path: object, training: bool) -> None:
    net.train(training)
    assert torch.equal(net.extract(path)(images), net(images, path))  # type: ignore[arg-type]


def test_a_subnet_has_weights_of_its_own(net: Supernet, images: Tensor) -> None:
    subnet = net.extract(PATHS[0])
    before = subnet(images)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    assert torch.equal(subnet(images), before)


def test_a_path_computes_what_a_network_written_by_hand_computes(net: Supernet, images: Tensor) -> None:
    first, second = net.blocks[0].candidates[1], net.blocks[1].candidates[0]
    features = nn.functional.conv2d(images, first.weight, first.bias, padding=2)
    features = nn.functional.max_pool2d(torch.relu(features), 2)
    features = nn.functional.conv2d(features, second.weight, second.bias, padding=1)
    features = nn.functional.max_pool2d(torch.relu(features), 2).flatten(1)
    _, hidden, _, last = net.head
    expected = torch.relu(features @ hidden.weight.T + hidden.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(net(images, SPACE.parse("conv5x5_conv3x3")), expected)


def test_pooling_before_relu_gives_the_same_bits_as_after() -> None:
    features = torch.randn(4, 6, 10, 10)
    assert torch.equal(BlockEnd(2)(features), nn.functional.max_pool2d(torch.relu(features), 2))


def test_only_the_chosen_operations_are_executed(net: Supernet, images: Tensor) -> None:
    executed = []
    for number, block in enumerate(net.blocks):
        for choice, candidate in enumerate(block.candidates):
            candidate.register_forward_hook(lambda *_, place=(number, choice): executed.append(place))
    net(images, SPACE.parse("conv5x5_conv3x3"))
    assert executed == [(0, 1), (1, 0)]


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda parameters: torch.optim.SGD(parameters, 0.1, momentum=0.9, weight_decay=0.1),
        lambda parameters: torch.optim.AdamW(parameters, 0.1, weight_decay=0.1),
    ],
)
def test_an_unchosen_branch_keeps_its_weights_through_momentum_and_decay(
    net: Supernet, images: Tensor, optimizer: Callable[..., torch.optim.Optimizer]
) -> None:
    steps = optimizer(net.parameters())
    labels = torch.arange(8)

    def step(path: str) -> None:
        steps.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(net(images, SPACE.parse(path)), labels).backward()
        steps.step()

    step("conv5x5_conv5x5")  # gives the 5x5 branches momentum
    unchosen = [block.candidates[1] for block in net.blocks]
    before = [parameter.detach().clone() for branch in unchosen for parameter in branch.parameters()]
    state = [{k: v.clone() for k, v in steps.state[p].items()} for b in unchosen for p in b.parameters()]
    for _ in range(3):
        step("conv3x3_conv3x3")
    after = [parameter for branch in unchosen for parameter in branch.parameters()]
    assert all(parameter.grad is None for parameter in after)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    for parameter, kept in zip(after, state, strict=True):
        assert all(torch.equal(steps.state[parameter][name], value) for name, value in kept.items())


def test_a_space_of_five_blocks_and_other_classes_is_only_data() -> None:
    space = space_of(TWO, ["identity", "conv1x1"], ["conv7x7"], TWO, TWO, channels=3, pool=1)
    net = Supernet(space, (3, 9, 7), 17)
    assert space.size == 2 * 2 * 1 * 2 * 2
    for path in space.enumerate():
        logits = net(torch.randn(2, 3, 9, 7), path)
        assert logits.shape == (2, 17)
        logits.sum().backward()


def test_pooling_to_nothing_names_the_block() -> None:
    with pytest.raises(PresetError, match=r"space.blocks\[2\].pool = 2 shrinks images of 7×7"):
        Supernet(space_of(TWO, TWO, TWO), (1, 7, 7), 10)


def test_memory_order_survives_between_blocks(net: Supernet, images: Tensor) -> None:
    features = net.blocks[0](images, 0)
    assert features.is_contiguous(memory_format=torch.channels_last)
    assert all(a.shape[2:] >= b.shape[2:] for a, b in pairwise([images, features]))


def rich_space(**changes: object) -> SearchSpace:
    """Return a space that uses whatever a space can have."""
    table = {
        "hidden": 8,
        "pooling": "global",
        "norm": "batch",
        "stem": {"channels": 4, "kernel": 5, "stride": 2},
        "blocks": [
            {"channels": 4, "pool": 1, "residual": True, "candidates": ["conv3x3", "sep5x5", "maxpool3x3"]},
            {"channels": 6, "pool": 1, "stride": 2, "residual": True, "candidates": ["mbconv3x3e3", "identity"]},
            {"channels": 6, "pool": 2, "candidates": ["dil3x3", {"op": "avgpool", "kernel": 3, "norm": "group"}]},
        ],
        **changes,
    }
    return SearchSpace.from_config(Space.model_validate(table))


RICH = rich_space()


@pytest.fixture
def rich() -> Supernet:
    torch.manual_seed(0)
    return Supernet(RICH, (3, 13, 9), 5)


@pytest.mark.parametrize("path", [RICH.at(index) for index in (0, 3, 6, 9)], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_a_subnet_of_a_rich_space_gives_the_same_bits(rich: Supernet, path: Architecture, training: bool) -> None:
    images = torch.randn(6, 3, 13, 9)
    rich.train(training)
    subnet = rich.extract(path)
    assert torch.equal(subnet(images), rich(images, path))
    alone = Supernet(RICH.only(path), (3, 13, 9), 5).train(training)
    alone.inherit(path, rich)
    assert torch.equal(alone(images, alone.space.at(0)), rich(images, path))


def test_a_residual_block_adds_what_came_in_before_pooling_and_relu(rich: Supernet) -> None:
    rich.eval()
    same, other = rich.blocks[0], rich.blocks[1]
    features = torch.randn(2, 4, 7, 5)
    assert torch.equal(same(features, 2), torch.relu(same.candidates[2](features) + features))
    projection, norm = other.shortcut
    assert (projection.kernel_size, projection.stride, projection.bias) == ((1, 1), (2, 2), None)
    expected = torch.relu(other.candidates[0](features) + norm(projection(features)))
    assert torch.equal(other(features, 0), expected)
    assert expected.shape == (2, 6, 4, 3)


def test_a_stem_is_a_convolution_its_normalisation_pooling_and_relu() -> None:
    stem = {"channels": 4, "kernel": 3, "pool": 2, "norm": "none"}
    net = Supernet(rich_space(stem=stem), (3, 13, 9), 5)
    images = torch.randn(2, 3, 13, 9)
    convolution = net.stem[0]  # type: ignore[index]
    expected = torch.relu(nn.functional.max_pool2d(convolution(images), 2))
    assert torch.equal(net.stem(images), expected)  # type: ignore[misc]
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in net.stem.modules())  # type: ignore[union-attr]


def test_a_global_head_sees_each_channels_mean(rich: Supernet) -> None:
    features = torch.randn(2, 6, 4, 3)
    assert torch.equal(rich.head(features), rich.head(features.mean((2, 3), keepdim=True)))
    whole = Supernet(rich_space(pooling="flatten"), (3, 13, 9), 5)
    assert whole.head[1].in_features == 6 * 2 * 1
    assert rich.head[2].in_features == 6


def test_everything_at_its_default_leaves_names_and_initial_weights_as_they_were() -> None:
    torch.manual_seed(0)
    names = list(Supernet(SPACE, (1, 12, 12), 10).state_dict())
    assert names == [
        *(f"blocks.{b}.candidates.{c}.{kind}" for b in (0, 1) for c in (0, 1) for kind in ("weight", "bias")),
        *(f"head.{layer}.{kind}" for layer in (1, 3) for kind in ("weight", "bias")),
    ]


def test_a_wrong_parameter_names_its_candidate() -> None:
    candidate = {"op": "dil", "kernel": 3, "dilation": 99}
    space = rich_space(blocks=[{"candidates": ["conv3x3", candidate]}])
    with pytest.raises(PresetError, match=r"space.blocks\[0\].candidates\[1\] \(dil3x3\): dilation = 99: must be"):
        Supernet(space, (1, 12, 12), 10)


@pytest.mark.parametrize(
    ("name", "paths"), [("depth", 9), ("fashion", 8), ("lab", 64), ("deep", 15_625), ("cifar", 16_384)]
)
def test_a_shipped_space_has_the_paths_it_says_and_they_can_be_run(name: str, paths: int) -> None:
    preset = load_preset(name).preset
    space = SearchSpace.from_config(preset.space)
    shape = (3, 32, 32) if name == "cifar" else (1, 28, 28)
    net = Supernet(space, shape, 10)
    assert space.size == paths
    for path in (space.at(0), space.at(paths // 3), space.at(paths - 1)):
        assert space.parse(str(path)) == path
        assert net(torch.randn(2, *shape), path).shape == (2, 10)
    costs = path_costs(net, shape, Device(torch.device("cpu"), torch.float32))
    sampler = preset.train.sampler
    build_sampler(sampler.name, space, random.Random(0), sampler.parameters, Context(1, 1000, 10, costs))
