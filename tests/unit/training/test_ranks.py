"""Who of several ranks does what: their place, their device, their share of a pass; and what is theirs together."""

from __future__ import annotations

import itertools

import pytest
import torch
from helpers import TWO
from torch import nn

from supernet_cli import device
from supernet_cli.config.space import Space
from supernet_cli.config.torchrun import Place, here
from supernet_cli.errors import PresetError
from supernet_cli.networks import normalisation
from supernet_cli.networks.supernet import Supernet
from supernet_cli.space import SearchSpace
from supernet_cli.store.state import Wish
from supernet_cli.training.ranks import Ranks

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, Place(0, 1, 0, 1)),
        ({"WORLD_SIZE": "4"}, Place(0, 1, 0, 1)),
        ({"RANK": "x", "WORLD_SIZE": "4"}, Place(0, 1, 0, 1)),
        ({"RANK": "4", "WORLD_SIZE": "4"}, Place(0, 1, 0, 1)),
        ({**TORCHRUN, "LOCAL_WORLD_SIZE": "0"}, Place(0, 1, 0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "4"}, Place(3, 4, 3, 4)),
        (TORCHRUN, Place(3, 4, 1, 2)),
    ],
)
def test_the_environment_says_which_of_how_many_a_process_is(environment: dict[str, str], place: Place) -> None:
    assert here(environment) == place


@pytest.mark.parametrize(("images", "size"), itertools.product([1, 2, 3, 5, 8, 63, 64], [2, 3, 4]))
def test_the_shares_of_a_pass_add_up_and_none_is_a_single_image_of_several(images: int, size: int) -> None:
    losses_B = torch.rand(images, dtype=torch.float64)
    parts = [Ranks(Place(rank, size)).own(losses_B, torch.arange(images), 0.25) for rank in range(size)]
    assert sum(own.mean() * share for own, _, share in parts) == pytest.approx(losses_B.mean() * 0.25)
    assert all(len(own) >= min(2, images) for own, _, _ in parts)
    whole = images < 2 * size
    seen = [int(label) for _, labels, _ in parts for label in labels]
    assert sorted(seen) == sorted(list(range(images)) * (size if whole else 1))


def test_a_process_alone_waits_for_nobody() -> None:
    with Ranks() as alone:
        alone.tell("orders")
        assert alone.agree(Wish.PAUSE) is Wish.PAUSE
        assert alone.from_first(lambda: 7) == 7
        alone.beat()
        alone.check_same("ever", nn.Linear(1, 1))


def test_each_rank_takes_the_gpu_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(3, 4, 1, 2)
    assert [device.of_rank(name, Place()) for name in ("auto", "cuda:7", "mps")] == ["auto", "cuda:7", "mps"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [device.of_rank(name, place) for name in ("auto", "cuda", "cpu")] == ["cuda:1", "cuda:1", "cpu"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.of_rank("auto", place) == "cpu"
    with pytest.raises(PresetError, match="each rank uses the GPU with its own number"):
        device.of_rank("cuda:0", place)


def test_ranks_of_a_host_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    set_threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", set_threads.append)
    monkeypatch.setattr(device, "usable_cores", lambda: 6)
    cpu = device.choose_device("cpu", "float32")
    assert [device.prepare(cpu, *arguments) for arguments in ((0,), (0, 4), (0, 8), (3, 4))] == [6, 1, 1, 3]
    assert set_threads == [6, 1, 1, 3]


def test_synchronised_batch_norm_is_the_same_network_and_measures_a_path_on_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocks = [{"channels": 3, "pool": 2, "candidates": TWO}] * 2
    space = SearchSpace.from_config(Space.model_validate({"hidden": 8, "norm": "batch", "blocks": blocks}))
    plain, synced = Supernet(space, (1, 8, 8), 10), Supernet(space, (1, 8, 8), 10)
    synced.load_state_dict(plain.state_dict())
    before = dict(synced.named_parameters())
    normalisation.synchronise(synced)
    layers = normalisation.layers_of(synced)
    assert len(layers) == len(normalisation.layers_of(plain)) > 0
    assert all(isinstance(layer, nn.SyncBatchNorm) for layer in layers)
    assert all(before[name] is weight for name, weight in synced.named_parameters())
    images_BCHW, path = torch.randn(6, 1, 8, 8), space.at(0)
    with monkeypatch.context() as while_measuring:
        while_measuring.setattr(nn.SyncBatchNorm, "forward", lambda *_: pytest.fail("would wait for the other ranks"))
        for network in (plain, synced):
            with normalisation.borrowed(network) as lent, normalisation.calibrating(lent):
                network(images_BCHW, path)
    assert torch.equal(plain(images_BCHW, path), synced(images_BCHW, path))
    assert torch.equal(plain.eval()(images_BCHW, path), synced.eval()(images_BCHW, path))
    assert plain.state_dict().keys() == synced.state_dict().keys()
