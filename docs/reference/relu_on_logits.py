"""How often a ReLU on the logits loses a class, and what accuracy that gives.

The reference project's code ends its head in Linear, Linear, ReLU, where its diagram has Linear, ReLU, Linear. A class
whose logit is negative for every image gets no gradient any more: it is never predicted again. This trains one path,
conv3x3_conv5x5, with either head and a dozen seeds, and counts the classes that are never predicted on the test images.

    python docs/reference/relu_on_logits.py            # a line a training, then the table of docs/reference.md
"""

from __future__ import annotations

import sys
from collections import defaultdict

import torch
from torch import nn
from torch.nn import functional

from supernet_cli.data import load_dataset, split_validation
from supernet_cli.data.resident import ResidentImages, Statistics

SEEDS, EPOCHS, BATCH, RATE, MOMENTUM = range(12), 2, 256, 0.01, 0.9
ON_THE_LOGITS, BETWEEN = "ReLU on the logits", "ReLU between the layers"


def network(head: str) -> nn.Sequential:
    """Return the path with one of the heads."""
    blocks = [
        layer
        for width, kernel in ((1, 3), (32, 5))
        for layer in (nn.Conv2d(width, 32, kernel, padding=kernel // 2), nn.MaxPool2d(2), nn.ReLU())
    ]
    hidden, last = nn.Linear(32 * 7 * 7, 64), nn.Linear(64, 10)
    layers = (hidden, last, nn.ReLU()) if head == ON_THE_LOGITS else (hidden, nn.ReLU(), last)
    return nn.Sequential(*blocks, nn.Flatten(), *layers).to(memory_format=torch.channels_last)


def train(head: str, seed: int, training: ResidentImages, test: ResidentImages) -> tuple[float, int]:
    """Train once; return the test accuracy and how many classes are never predicted."""
    torch.manual_seed(seed)
    net = network(head)
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)
    for epoch in range(EPOCHS):
        for images, labels in training.epoch(torch.Generator().manual_seed(1000 * seed + epoch), BATCH):
            optimizer.zero_grad()
            functional.cross_entropy(net(images), labels).backward()
            optimizer.step()
    with torch.inference_mode():
        pairs = [(net(images).argmax(1), labels) for images, labels in test.batches(1000)]
    predicted, labels = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    return float((predicted == labels).float().mean()), 10 - len(predicted.unique())


def main() -> None:
    """Train all and print the table."""
    torch.set_num_threads(1)
    splits = split_validation(load_dataset("mnist", None), 5000, 0)
    training, test = (
        ResidentImages(split, Statistics.neutral(1), torch.device("cpu")) for split in (splits.train, splits.test)
    )
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    for seed in SEEDS:
        for head in (ON_THE_LOGITS, BETWEEN):
            accuracy, lost = train(head, seed, training, test)
            found[head, lost].append(accuracy)
            print(f"seed {seed:2}  {head:24} {100 * accuracy:.2f} %  {lost} classes lost", file=sys.stderr)
    print(
        f"| head | classes never predicted | trainings of {len(SEEDS)} | test accuracy |\n| --- | ---: | ---: | ---: |"
    )
    for (head, lost), accuracies in sorted(found.items()):
        low, high = 100 * min(accuracies), 100 * max(accuracies)
        print(f"| {head} | {lost} | {len(accuracies)} | {low:.2f} to {high:.2f} % |")


if __name__ == "__main__":
    main()
