from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from torch import nn

from supernet_cli.errors import RunError
from supernet_cli.store.job import previous_checkpoint
from supernet_cli.training.checkpoint import (
    StoredWeights,
    _decoded,
    load_checkpoint,
    save_checkpoint,
    save_weights,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "checkpoint.pt", {"step": 1, "weight": torch.arange(1000.0)})
    save_checkpoint(tmp_path / "checkpoint.pt", {"step": 2, "weight": torch.arange(1000.0) * 2})
    return tmp_path / "checkpoint.pt"


def test_a_checkpoint_comes_back_and_the_one_before_is_kept(path: Path) -> None:
    state = load_checkpoint(path)
    assert state is not None
    assert state["step"] == 2
    assert torch.equal(state["weight"], torch.arange(1000.0) * 2)
    before = load_checkpoint(previous_checkpoint(path))
    assert before is not None
    assert before["step"] == 1
    assert sorted(file.name for file in path.parent.iterdir()) == ["checkpoint.previous.pt", "checkpoint.pt"]


def test_torch_reads_a_checkpoint_as_it_is(path: Path) -> None:
    assert torch.load(path, weights_only=True)["step"] == 2


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_damage_is_told_and_the_checkpoint_before_is_used(
    path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    if damage == "flip":
        content[middle] ^= 1
    else:
        del content[middle:]
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        state = load_checkpoint(path)
    assert state is not None
    assert state["step"] == 1
    assert "damaged" in caplog.text


def test_a_bit_flipped_in_any_byte_and_a_cut_at_any_byte_are_found(path: Path) -> None:
    """Every byte: those of the archive's headers, of pickle and tensors, of the directory, of the mark and the sum."""
    whole = path.read_bytes()
    assert whole.index(b"data.pkl") < whole.index(b"PK\x05\x06") < whole.rindex(b"supernet")
    assert _decoded(whole) is not None
    for place in range(len(whole)):
        assert _decoded(whole[:place]) is None, place
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        assert _decoded(bytes(flipped)) is None, place
    assert _decoded(whole + b"\x00") is None


def test_when_all_are_damaged_that_is_an_error(path: Path) -> None:
    path.write_bytes(b"")
    previous_checkpoint(path).write_bytes(b"x" * 500)
    with pytest.raises(RunError, match="damaged"):
        load_checkpoint(path)


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "checkpoint.pt") is None


def test_a_kill_between_the_two_renames_leaves_the_checkpoint_before(path: Path) -> None:
    path.rename(path.parent / "elsewhere")
    state = load_checkpoint(path)
    assert state is not None
    assert state["step"] == 1


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (eval, ("1/0",))


def test_a_crafted_pickle_is_not_executed(tmp_path: Path) -> None:
    import hashlib
    import io

    buffer = io.BytesIO()
    torch.save({"format": 1, "step": Malicious()}, buffer)
    payload = buffer.getvalue()
    (tmp_path / "checkpoint.pt").write_bytes(payload + b"supernet" + hashlib.sha256(payload).digest())
    with pytest.raises(RunError):
        load_checkpoint(tmp_path / "checkpoint.pt")


def test_the_same_weights_are_the_same_bytes_and_come_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(3, 4)).to(memory_format=torch.channels_last)
    save_weights(tmp_path / "a", net)
    save_weights(tmp_path / "b", net)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    other = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(3, 4))
    StoredWeights.read(tmp_path / "a").put_into(other)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\xff" * 100])
def test_damaged_weights_are_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(RunError, match="damaged"):
        StoredWeights.read(tmp_path / "w").put_into(nn.Linear(1, 1))


def test_weights_of_another_network_are_an_error(tmp_path: Path) -> None:
    save_weights(tmp_path / "w", nn.Linear(2, 2))
    with pytest.raises(RunError, match="another network"):
        StoredWeights.read(tmp_path / "w").put_into(nn.Linear(3, 2))
