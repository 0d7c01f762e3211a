from __future__ import annotations

import pytest
import torch
from torch import nn

from supernet_cli.config.catalog import entries
from supernet_cli.config.space import Block, Candidate
from supernet_cli.device import Device
from supernet_cli.networks.ops import build_candidate
from supernet_cli.networks.ops._layers import group_norm
from supernet_cli.networks.profile import profile

CPU = Device(torch.device("cpu"), torch.float32)
OPERATIONS = sorted(entries("operation"))


def example(operation: str, **more: object) -> Candidate:
    """Return a candidate with 3 for whatever the family requires."""
    return Candidate.model_validate(
        {"op": operation, **dict.fromkeys(entries("operation")[operation].required, 3), **more}
    )


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("repeat", "stride"), [(1, 1), (2, 2)])
@pytest.mark.parametrize("norm", ["none", "batch", "group"])
@pytest.mark.parametrize(("channels_in", "channels_out"), [(1, 4), (4, 4), (4, 2)])
def test_every_operation_keeps_the_size_but_for_its_stride_and_can_be_trained(
    operation: str, repeat: int, stride: int, norm: str, channels_in: int, channels_out: int
) -> None:
    module = build_candidate(example(operation, repeat=repeat, norm=norm), channels_in, channels_out, stride)
    images = torch.randn(2, channels_in, 9, 7, requires_grad=True)
    out = module(images)
    assert out.shape == (2, channels_out, *((9, 7) if stride == 1 else (5, 4)))
    (out * torch.randn(out.shape)).sum().backward()
    assert images.grad is not None
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_a_stacked_operation_has_relu_between_and_none_at_its_end() -> None:
    module = build_candidate(example("conv", repeat=3), 1, 4)
    kinds = [type(layer) for layer in module.children()]
    assert kinds == [nn.Conv2d, nn.ReLU, nn.Conv2d, nn.ReLU, nn.Conv2d]
    assert [layer.in_channels for layer in module.children() if isinstance(layer, nn.Conv2d)] == [1, 4, 4]


AREA, INSIDE, OUTSIDE = 10 * 6, 4, 8
MACS = {
    "conv1x1": 4 * 8,
    "conv5x5": 4 * 8 * 25,
    "conv3x3x2": (4 * 8 + 8 * 8) * 9,
    "sep3x3": 4 * 9 + 4 * 8,
    "sep5x5x2": 4 * 25 + 4 * 8 + 8 * 25 + 8 * 8,
    "dil3x3": 4 * 9 + 4 * 8,
    "dil5x5": 4 * 25 + 4 * 8,
    "mbconv3x3e6": 4 * 24 + 24 * 9 + 24 * 8,
    "mbconv5x5e3": 4 * 12 + 12 * 25 + 12 * 8,
    "maxpool3x3": 4 * 8,
    "avgpool5x5": 4 * 8,
    "identity": 4 * 8,
    "identityx3": 4 * 8,
}


@pytest.mark.parametrize("word", MACS)
@pytest.mark.parametrize("norm", ["none", "batch", "group"])
def test_operations_cost_what_a_hand_computes(word: str, norm: str) -> None:
    candidate = Candidate.model_validate(word).model_copy(update={"norm": norm})
    found = profile(build_candidate(candidate, INSIDE, OUTSIDE), (INSIDE, 10, 6), CPU)
    assert found.macs == AREA * MACS[word]


@pytest.mark.parametrize("word", ["maxpool3x3", "avgpool3x3", "identity"])
def test_what_has_no_weights_costs_nothing_where_channels_stay(word: str) -> None:
    module = build_candidate(Candidate.model_validate(word), 4, 4)
    found = profile(module, (4, 10, 6), CPU)
    assert (found.macs, found.parameters) == (0, 0)


def test_a_strided_operation_costs_what_its_smaller_output_costs() -> None:
    found = profile(build_candidate(Candidate.model_validate("mbconv3x3e3"), 4, 8, stride=2), (4, 10, 6), CPU)
    assert found.macs == 60 * 4 * 12 + 5 * 3 * (12 * 9 + 12 * 8)


def test_a_convolution_has_a_bias_or_a_normalisation() -> None:
    for norm, kinds in (("none", [nn.Conv2d]), ("batch", [nn.Conv2d, nn.BatchNorm2d])):
        layers = [m for m in build_candidate(example("conv", norm=norm), 4, 8).modules() if not list(m.children())]
        assert [type(layer) for layer in layers] == kinds
        assert (layers[0].bias is None) == (norm == "batch")


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (4, 1), (6, 1), (8, 2), (16, 4), (32, 8), (48, 8), (14, 2)])
def test_group_normalisation_has_at_most_8_groups_of_at_least_4_channels(channels: int, groups: int) -> None:
    norm = group_norm(channels)
    assert isinstance(norm, nn.GroupNorm)
    assert norm.num_groups == groups


def test_an_average_at_the_border_counts_what_lies_inside() -> None:
    ones = torch.ones(1, 4, 5, 5)
    assert torch.equal(build_candidate(Candidate.model_validate("avgpool3x3"), 4, 4)(ones), ones)


def test_a_dilated_kernel_looks_further() -> None:
    module = build_candidate(Candidate.model_validate("dil3x3"), 1, 1)
    image = torch.zeros(1, 1, 9, 9, requires_grad=True)
    module(image)[0, 0, 4, 4].backward()
    assert image.grad is not None
    assert image.grad[0, 0].nonzero().tolist() == [[r, c] for r in (2, 4, 6) for c in (2, 4, 6)]


@pytest.mark.parametrize(
    ("word", "table"),
    [
        ("sep5x5", {"op": "sep", "kernel": 5}),
        ("mbconv5x5e3", {"op": "mbconv", "kernel": 5, "expansion": 3}),
        ("conv3x3x2", {"op": "conv", "kernel": 3, "repeat": 2}),
        ("identity", {"op": "identity"}),
    ],
)
def test_a_word_says_the_same_as_a_table(word: str, table: dict[str, object]) -> None:
    assert Candidate.model_validate(word) == Candidate.model_validate(table)
    assert Candidate.model_validate(table).label == word


def test_candidates_that_differ_in_their_normalisation_have_labels_of_their_own() -> None:
    tables = [
        {"op": "conv", "kernel": 3},
        *({"op": "conv", "kernel": 3, "norm": n} for n in ("none", "batch", "group")),
    ]
    labels = [candidate.label for candidate in Block.model_validate({"candidates": tables}).candidates]
    assert labels == ["conv3x3", "conv3x3none", "conv3x3batch", "conv3x3group"]


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        ("sep4x4", "must be an odd whole number"),
        ("sep", "parameter 'kernel' is missing"),
        ("mbconv3x3", "parameter 'expansion' is missing"),
        ("conv3x3e6", "parameter 'expansion' is unknown"),
        ("conv3x3x0", "greater than or equal to 1"),
        ("mbconv3x5e6", "Did you mean 'mbconv"),
        ("maxpol3x3", "Did you mean 'maxpool3x3'"),
        ({"op": "sep", "kernel": 3, "norm": "layer"}, "'none', 'batch' or 'group'"),
        ({"op": "dil", "kernel": 3, "dilatation": 2}, "Did you mean 'dilation'"),
    ],
)
def test_a_wrong_candidate_is_told_without_torch(candidate: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Candidate.model_validate(candidate)


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        ("maxpool1x1", "needs a kernel of at least 3, not 1"),
        ("avgpool1x1", "needs a kernel of at least 3, not 1"),
        ("sep1x1", "needs a kernel of at least 3, not 1"),
        ("mbconv3x3e17", "expansion = 17: must be a whole number from 1 to 16"),
        ({"op": "mbconv", "kernel": 3, "expansion": 1.5}, "expansion = 1.5"),
        ({"op": "dil", "kernel": 3, "dilation": True}, "dilation = True"),
    ],
)
def test_a_value_that_cannot_be_is_told_before_training(candidate: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_candidate(Candidate.model_validate(candidate), 4, 4)
