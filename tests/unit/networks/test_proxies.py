from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from supernet_cli.config.catalog import entries
from supernet_cli.config.schema import Preset
from supernet_cli.config.space import Space
from supernet_cli.networks import proxies
from supernet_cli.networks.proxies import gradient_norm, naswot, synflow
from supernet_cli.networks.supernet import Supernet
from supernet_cli.reports.comparison import PathRow
from supernet_cli.reports.parts import BASELINES
from supernet_cli.space import SearchSpace
from supernet_cli.store.results import PathProfile
from supernet_cli.training.judge import profile_paths
from supernet_cli.training.prepare import prepare

PROXIES = sorted(proxies.proxies())

OPERATIONS = {
    "hidden": 8,
    "stem": {"channels": 4, "kernel": 3, "norm": "batch"},
    "blocks": [
        {
            "channels": 4,
            "pool": 2,
            "residual": True,
            "candidates": [
                {"op": name, "norm": norm, "label": f"{name}{norm}", **dict.fromkeys(entry.required, 3)}
                for norm in ("none", "batch", "group")
                for name, entry in entries("operation").items()
            ],
        }
    ],
}
"""Every operation, with every normalisation."""


def batch(images: int = 6, channels: int = 1, side: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels_B = torch.randint(0, 3, (images,), generator=generator)
    return torch.randn(images, channels, side, side, generator=generator), labels_B


def tiny_network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 5), nn.ReLU(), nn.Linear(5, 3)
        )


def test_each_proxy_has_a_field_in_profiles_and_in_rows_and_a_label() -> None:
    assert set(PROXIES) <= set(PathProfile.model_fields) & set(PathRow.model_fields) & set(BASELINES)


@pytest.mark.parametrize("name", PROXIES)
def test_every_operation_is_scored_twice_alike_and_stays_as_it_is(name: str) -> None:
    space = SearchSpace.from_config(Space.model_validate(OPERATIONS))
    supernet, (images_BCHW, labels_B) = Supernet(space, (3, 8, 8), 3), batch(channels=3, side=8)
    for path in space.enumerate():
        network = supernet.extract(path).eval()
        before = {key: value.clone() for key, value in network.state_dict().items()}
        random = torch.get_rng_state()
        scores = [proxies.proxies()[name].score(network, images_BCHW, labels_B) for _ in range(2)]
        assert scores[0] == scores[1] is not None, path
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
        assert all(parameter.grad is None for parameter in network.parameters())
        assert not network.training
        assert torch.equal(torch.get_rng_state(), random)


def test_a_score_is_the_mean_over_initialisations_and_none_if_one_has_none() -> None:
    networks, (images_BCHW, labels_B) = [tiny_network() for _ in range(3)], batch()
    for factor, network in enumerate(networks, start=1):
        with torch.no_grad():
            network[-1].weight.mul_(factor)
    found = proxies.scores(PROXIES, networks, images_BCHW, labels_B)
    each = [gradient_norm.score(network, images_BCHW, labels_B) for network in networks]
    assert len(set(each)) == 3
    assert found["gradient_norm"] == pytest.approx(np.mean(each))
    assert found["synflow"] == synflow.score(networks[0], images_BCHW, labels_B)
    with torch.no_grad():
        networks[2][-1].weight.fill_(math.inf)
    assert proxies.scores(PROXIES, networks, images_BCHW, labels_B)["gradient_norm"] is None


def test_synflow_of_a_linear_chain_is_what_a_hand_computes() -> None:
    """R = Σ |w₂| (|w₁| x + |b₁|) + |b₂|: a weight's share of the flow is itself times its derivative."""
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([2.0, -3.0]).reshape(2, 1, 1, 1))
        net[0].bias.copy_(torch.tensor([0.5, -1.0]))
        net[4].weight.copy_(torch.tensor([[-4.0, 5.0]]))
        net[4].bias.copy_(torch.tensor([7.0]))
    first = 4 * 2 + 5 * 3  # of the convolution's weights
    biases = 4 * 0.5 + 5 * 1
    second = 4 * 2.5 + 5 * 4
    flow = synflow.score(net, torch.zeros(3, 1, 1, 1), torch.zeros(3, dtype=torch.int64))
    assert flow == pytest.approx(math.log(first + biases + second + 7))


def test_synflow_of_what_nothing_flows_through_is_not_a_number_but_none() -> None:
    net = nn.Linear(3, 2, bias=False)
    nn.init.zeros_(net.weight)
    images_BCHW = torch.zeros(1, 3, 1, 1)
    assert synflow.score(nn.Sequential(nn.Flatten(), net), images_BCHW, torch.zeros(1, dtype=torch.int64)) is None


def test_naswot_is_what_counting_units_one_by_one_gives() -> None:
    """Hamming distances of the codes, written out; batch normalisation is written out, too."""
    network, (images_BCHW, labels_B) = tiny_network(), batch()
    convolved = network[0](images_BCHW).detach()
    mean, variance = convolved.mean((0, 2, 3), keepdim=True), convolved.var((0, 2, 3), correction=0, keepdim=True)
    first = (convolved - mean) / (variance + 1e-5).sqrt()
    second = network[4](first.clamp_min(0).flatten(1)).detach()
    codes = [[value > 0 for value in row] for row in torch.cat([first.flatten(1), second], 1).tolist()]
    units = len(codes[0])
    assert units == 3 * 4 * 4 + 5
    kernel = np.zeros((6, 6))
    for i, j in product(range(6), repeat=2):
        kernel[i, j] = units - sum(one != other for one, other in zip(codes[i], codes[j], strict=True))
    sign, expected = np.linalg.slogdet(kernel)
    assert sign == 1
    assert naswot.score(network, images_BCHW, labels_B) == pytest.approx(expected)


class Called(nn.Module):
    """A ReLU that no module of torch stands for."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, features: Tensor) -> Tensor:
        return self.function(features)


@pytest.mark.parametrize(
    "function", [torch.relu, torch.relu_, functional.relu, lambda x: functional.relu(x, inplace=True), Tensor.relu]
)
def test_naswot_counts_a_relu_however_it_is_called(function: Callable[[Tensor], Tensor]) -> None:
    network, (images_BCHW, labels_B) = tiny_network(), batch()
    expected = naswot.score(network, images_BCHW, labels_B)
    network[2] = Called(function)
    assert naswot.score(network, images_BCHW, labels_B) == expected
    network[2] = nn.Identity()
    assert naswot.score(network, images_BCHW, labels_B) != expected


def test_naswot_sees_the_relus_of_a_path_that_are_no_modules() -> None:
    """The stem and both blocks end in a ReLU on 4 channels of 2×2 pixels, and the head has 8 units."""
    block = {"channels": 4, "pool": 1, "candidates": ["conv3x3"]}
    config = {"hidden": 8, "stem": {"channels": 4, "kernel": 3, "pool": 2}, "blocks": [block, block]}
    space = SearchSpace.from_config(Space.model_validate(config))
    images_BCHW, _ = batch(images=1, side=4)
    network = Supernet(space, (1, 4, 4), 3).extract(space.at(0))
    with torch.no_grad(), naswot._ActivationKernel(1) as kernel:
        network(images_BCHW)
    assert kernel.alike_BB.item() == 3 * 4 * 4 + 8


def test_naswot_cannot_tell_equal_images_apart_so_there_is_none() -> None:
    network, (images_BCHW, labels_B) = tiny_network(), batch()
    assert naswot.score(network, images_BCHW, labels_B) is not None
    images_BCHW[3] = images_BCHW[1]
    assert naswot.score(network, images_BCHW, labels_B) is None
    assert naswot.score(nn.Flatten(), images_BCHW, labels_B) is None  # no ReLU


def test_images_that_share_no_unit_have_the_determinant_of_their_number() -> None:
    """Two images with opposite codes of n units: K = n I, so log |det K| = 2 log n."""
    images_BCHW = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]).reshape(1, 6, 1, 1)
    both_BCHW = torch.cat([images_BCHW, -images_BCHW])
    assert naswot.score(nn.ReLU(), both_BCHW, torch.zeros(2)) == pytest.approx(2 * math.log(6))


def test_the_gradient_norm_of_a_linear_layer_is_what_a_hand_computes() -> None:
    """The gradient of the mean cross-entropy is (p - y) xᵀ / B."""
    network, (images_BCHW, labels_B) = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), batch(side=2)
    inputs, weight, bias = (x.detach().double().numpy() for x in (images_BCHW.flatten(1), *network.parameters()))
    exponentials = np.exp(inputs @ weight.T + bias)
    errors = exponentials / exponentials.sum(1, keepdims=True) - np.eye(3)[labels_B.numpy()]
    expected = np.linalg.norm(errors.T @ inputs / len(inputs))
    assert gradient_norm.score(network, images_BCHW, labels_B) == pytest.approx(expected, rel=1e-5)


def test_the_gradient_norm_sums_over_layers_but_neither_biases_nor_normalisation() -> None:
    network, (images_BCHW, labels_B) = tiny_network(), batch()
    found = gradient_norm.score(network.eval(), images_BCHW, labels_B)
    network.train()
    functional.cross_entropy(network(images_BCHW), labels_B).backward()
    norms = [network[place].weight.grad.square().sum().sqrt().item() for place in (0, 4, 6)]
    assert found == pytest.approx(sum(norms), rel=1e-5)


def test_scores_of_a_path_do_not_depend_on_which_paths_are_measured(tiny: Callable[..., Preset]) -> None:
    prepared = prepare(tiny())
    paths = list(prepared.networks.space.enumerate())
    together, last = (dict(profile_paths(prepared, several, PROXIES)) for several in (paths, paths[-1:]))
    one, other = ({name: getattr(found[paths[-1]], name) for name in PROXIES} for found in (together, last))
    assert one == other
    assert len({found.gradient_norm for found in together.values()}) == len(paths)
