"""What jobs on a cluster share: tensors are packed as arrays, and unpacked where those lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from supernet_cli import seed
from supernet_cli.executors._trainer import Packed, packed, unpacked
from supernet_cli.store.alone import AloneJob
from supernet_cli.store.layout import Way
from supernet_cli.store.runs import create_run
from supernet_cli.training import checkpoint
from supernet_cli.training.prepare import prepare
from supernet_cli.training.retrain import AloneTraining


def read_only(value: Packed) -> Packed:
    """Return what a process gets from the object store."""
    arrays = [array.copy() for array in value.arrays]
    for array in arrays:
        array.flags.writeable = False
    return Packed(value.frame, arrays)


def test_tensors_are_packed_without_a_copy_and_unpacked_where_they_lie() -> None:
    images = torch.arange(60, dtype=torch.uint8).reshape(3, 4, 5)
    value = {"images": images, "empty": torch.zeros(0), "scalar": torch.tensor(3), "words": ["a"]}
    sent = packed(value)
    assert sent.arrays[0].ctypes.data == images.data_ptr()
    assert len(sent.frame) < 1000
    there = read_only(sent)
    got = unpacked(there)
    assert got["images"].data_ptr() == there.arrays[0].ctypes.data
    assert all(torch.equal(got[name], value[name]) for name in ("images", "empty", "scalar"))
    assert got["words"] == ["a"]


def test_what_trainings_share_is_sent_whole_inherited_weights_included(tiny: Any, tmp_path: Path) -> None:
    prepared = prepare(tiny())
    run = create_run(tmp_path, "tiny", tiny())
    whole, path = prepared.networks.supernet(5), prepared.networks.space.at(3)
    weights = run.supernet_job(0).weights
    checkpoint.save_weights(weights, whole)
    sent = packed(AloneTraining.of(prepared, weights))
    weights.unlink()  # a node does not see it
    work = unpacked(read_only(sent))
    network = work._network(AloneJob(run.alone_job(path, 0, Way.INHERITED), path, 0), 0)
    images = next(prepared.images.resident("test").batches(50))[0]
    with torch.inference_mode():
        assert torch.equal(network(images, network.space.at(0)), whole(images, path))
    first, _ = next(work.data.training.epoch(seed.torch_rng(0, "images", 0), 50))
    same, _ = next(prepared.images.training_data().training.epoch(seed.torch_rng(0, "images", 0), 50))
    assert torch.equal(first, same)
