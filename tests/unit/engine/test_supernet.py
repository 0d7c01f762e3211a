from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from helpers import TWO, space_of
from torch import Tensor, nn

from supernet_cli.config.catalog import entries
from supernet_cli.config.schema import Candidate
from supernet_cli.engine.ops import build_candidate
from supernet_cli.engine.supernet import BlockEnd, Supernet
from supernet_cli.errors import PresetError

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


def examples(operation: str) -> Candidate:
    entry = entries("operation")[operation]
    return Candidate.model_validate({"op": operation, **({"kernel": 3} if "kernel" in entry.parameters else {})})


@pytest.mark.parametrize("operation", sorted(entries("operation")))
@pytest.mark.parametrize("repeat", [1, 2])
@pytest.mark.parametrize(("channels_in", "channels_out"), [(1, 4), (4, 4), (4, 2)])
def test_every_operation_keeps_height_and_width_and_can_be_trained(
    operation: str, repeat: int, channels_in: int, channels_out: int
) -> None:
    candidate = examples(operation).model_copy(update={"repeat": repeat})
    module = build_candidate(candidate, channels_in, channels_out)
    images = torch.randn(2, channels_in, 9, 7, requires_grad=True)
    out = module(images)
    assert out.shape == (2, channels_out, 9, 7)
    out.square().sum().backward()
    assert images.grad is not None
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_a_stacked_operation_has_relu_between_and_none_at_its_end() -> None:
    module = build_candidate(examples("conv").model_copy(update={"repeat": 3}), 1, 4)
    kinds = [type(layer) for layer in module.children()]
    assert kinds == [nn.Conv2d, nn.ReLU, nn.Conv2d, nn.ReLU, nn.Conv2d]
    assert [layer.in_channels for layer in module.children() if isinstance(layer, nn.Conv2d)] == [1, 4, 4]


def test_memory_order_survives_between_blocks(net: Supernet, images: Tensor) -> None:
    features = net.blocks[0](images, 0)
    assert features.is_contiguous(memory_format=torch.channels_last)
    assert all(a.shape[2:] >= b.shape[2:] for a, b in pairwise([images, features]))
