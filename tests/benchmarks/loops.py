"""The loops that `supernet train` is measured against; each a process that prints its images per second as JSON.

`bare` has the same mathematics as `supernet train` written out plainly: same network, data layout, batches,
optimiser, schedule and paths, no interface, no files. `dataloader` is what the reference project does: a DataLoader
over PIL images.
"""

from __future__ import annotations

import ctypes
import json
import random
import resource
import sys
import time

import torch
from torch import Tensor, nn
from torch.nn import functional

from supernet_cli.data import load_dataset, split_validation

EPOCHS, BATCH, RATE, DECAY, START = 2, 64, 0.004, 0.1, 0.2


class Net(nn.Module):
    """Two choice blocks of a 3×3 and a 5×5 convolution, then Linear, ReLU, Linear."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(width, 32, kernel, padding=kernel // 2) for kernel in (3, 5)) for width in (1, 32)
        )
        self.hidden, self.last = nn.Linear(32 * 7 * 7, 64), nn.Linear(64, 10)

    def forward(self, images: Tensor, path: tuple[int, int], pool_first: bool = True) -> Tensor:
        for block, choice in zip(self.blocks, path, strict=True):
            features = block[choice](images)
            images = (
                torch.relu(functional.max_pool2d(features, 2))
                if pool_first
                else functional.max_pool2d(torch.relu(features), 2)
            )
        return self.last(torch.relu(self.hidden(images.flatten(1))))  # type: ignore[no-any-return]


def draw() -> tuple[int, int]:
    return random.randrange(2), random.randrange(2)


def bare() -> float:
    """Train like the preset `default`; return images per second."""
    libc = ctypes.CDLL(None)
    libc.mallopt(-3, 1 << 30)
    libc.mallopt(-1, 1 << 30)
    split = split_validation(load_dataset("mnist", None), 5000, 0).train
    pixels = split.images[..., 0].float() / 255
    mean, std = pixels.mean(), pixels.std()
    padded = functional.pad(split.images[..., 0], (1, 1, 1, 1))
    windows = padded.unfold(1, 28, 1).unfold(2, 28, 1)
    del pixels
    net = Net().to(memory_format=torch.channels_last)
    count, steps = len(split), -(-len(split) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps * EPOCHS, pct_start=START)
    start = time.perf_counter()
    for _ in range(EPOCHS):
        order, shifts = torch.randperm(count), torch.randint(0, 3, (2, count))
        for first in range(0, count, BATCH):
            chosen, (down, right) = order[first : first + BATCH], shifts[:, first : first + BATCH]
            images = windows[chosen, down, right].float().div_(255).sub_(mean).div_(std)[:, None]
            optimizer.zero_grad()
            functional.cross_entropy(net(images, draw()), split.labels[chosen]).backward()
            optimizer.step()
            schedule.step()
    return EPOCHS * count / (time.perf_counter() - start)


def dataloader() -> float:
    """Train like the reference: PIL images one by one through a DataLoader, NCHW, ReLU before pooling, plain SGD."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    from supernet_cli.data.cache import scratch

    load_dataset("mnist", None)
    (root,) = scratch("").glob("mnist-*")
    data = datasets.MNIST(str(root), train=True, transform=transforms.ToTensor())
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    loader = DataLoader(data, batch_size=256, shuffle=True, num_workers=2)
    start, path, seen = time.perf_counter(), draw(), 0
    for images, labels in loader:
        optimizer.zero_grad()
        functional.cross_entropy(net(images, path, pool_first=False), labels).backward()
        optimizer.step()
        seen += len(labels)
    return seen / (time.perf_counter() - start)


if __name__ == "__main__":
    random.seed(0)
    torch.manual_seed(0)
    rate = {"bare": bare, "dataloader": dataloader}[sys.argv[1]]()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1024 if sys.platform == "linux" else 1)
    print(json.dumps({"images_per_second": rate, "peak_bytes": peak}))
