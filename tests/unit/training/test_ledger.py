"""What a training costs, counted by hand."""

from __future__ import annotations

import torch
from helpers import space_of

from supernet_cli.device import Device
from supernet_cli.networks.scoring import ForwardCost
from supernet_cli.sampling import Part, Pass, StepPlan
from supernet_cli.space import Bundle, PathCosts
from supernet_cli.training.ledger import Ledger


def test_passes_over_paths_and_bundles_are_counted_and_feedback_is_taken_once() -> None:
    ledger = Ledger(PathCosts(((1, 10), (100, 1000)), head=5), Device(torch.device("cpu"), torch.float32))
    space = space_of(["conv1x1", "conv3x3"], ["conv1x1", "conv3x3"])
    first, last = space.at(0), space.at(3)
    whole = Bundle(((0, 1), (0, 1)))
    ledger.after_step(StepPlan((Pass(first), Pass(last, part=Part(0, 2)), Pass(whole))), 8)
    assert ledger.forward_images == 8 + 4 + 8
    assert ledger.trained_images == {first: 8, last: 4}
    assert ledger.bundle_macs == 8 * 1116
    assert ledger.macs == 8 * 106 + 4 * 1015 + 8 * 1116
    ledger.start_clock()
    ledger.record_feedback(ForwardCost(20, 300))
    ledger.record_feedback(ForwardCost(1, 2))
    cost = ledger.take_feedback()
    assert (cost.images, cost.macs, cost.seconds >= 0) == (21, 302, True)
    assert ledger.take_feedback() == ForwardCost()
