from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from supernet_cli.config.schema import Named, Recipe
from supernet_cli.engine.optim import build_loss, build_optimizer, build_schedule, check_recipe, is_plain_cross_entropy
from supernet_cli.errors import PresetError


def named(name: str, **parameters: Any) -> Named:
    return Named.model_validate({"name": name, **parameters})


def weights() -> list[nn.Parameter]:
    return [nn.Parameter(torch.ones(2, 2))]


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "NAdam", "RMSprop", "Adagrad", "RAdam", "Adamax"])
def test_an_optimizer_is_built_by_its_torch_name(name: str) -> None:
    optimizer = build_optimizer(named(name, lr=0.25), weights())
    assert type(optimizer) is getattr(torch.optim, name)
    assert optimizer.defaults["lr"] == 0.25


def test_betas_may_be_a_list() -> None:
    assert build_optimizer(named("AdamW", betas=[0.8, 0.9]), weights()).defaults["betas"] == (0.8, 0.9)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (named("AdmaW"), "none of that name"),
        (named("LBFGS"), "evaluates the loss several times"),
        (named("Optimizer"), "base of all"),
        (named("SGD", lr=-1), "refuses its parameters"),
        (named("SGD", lr="fast"), "refuses its parameters"),
        (named("AdamW", betas=[0.8]), "refuses its parameters"),
        (named("AdamW", momentum=0.9), "no parameter 'momentum'"),
        (named("SGD", params=[1]), "no parameter 'params'"),
        (named("SGD", lr=0.1, nesterov=True), "refuses its parameters"),
    ],
)
def test_a_wrong_optimizer_is_told_with_its_key(spec: Named, words: str) -> None:
    with pytest.raises(PresetError, match=words) as caught:
        build_optimizer(spec, weights())
    assert "train.optimizer" in caught.value.message


def test_a_mistyped_optimizer_names_the_nearest() -> None:
    with pytest.raises(PresetError) as caught:
        build_optimizer(named("AdmaW"), weights())
    assert "'AdamW'" in caught.value.hint


def rates(spec: Named | None, optimizer_spec: Named, steps: int, epochs: int) -> list[float]:
    optimizer = build_optimizer(optimizer_spec, weights())
    schedule = build_schedule(spec, optimizer, optimizer_spec, steps, epochs)
    seen = []
    for step in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if schedule is not None:
            schedule.after_step()
            if (step + 1) % (steps // epochs) == 0:
                schedule.after_epoch()
    return seen


def test_one_cycle_rises_to_the_optimizers_rate_and_falls_over_the_whole_training() -> None:
    seen = rates(named("OneCycleLR", pct_start=0.2), named("AdamW", lr=0.5), 100, 4)
    assert max(seen) == pytest.approx(0.5)
    assert seen.index(max(seen)) == 19
    assert seen[0] == pytest.approx(0.5 / 25)
    assert seen[-1] < 1e-4


def test_cosine_falls_to_zero_over_the_whole_training() -> None:
    seen = rates(named("CosineAnnealingLR"), named("SGD", lr=1.0), 50, 5)
    assert seen[0] == 1.0
    assert seen[25] == pytest.approx(0.5)
    assert 0 < seen[-1] < 0.01


def test_a_schedule_may_count_epochs() -> None:
    seen = rates(named("StepLR", step_size=2, gamma=0.1, every="epoch"), named("SGD", lr=1.0), 20, 4)
    assert seen == pytest.approx([1.0] * 10 + [0.1] * 10)


@pytest.mark.parametrize(
    ("spec", "optimizer", "words"),
    [
        (named("OneCycelLR"), named("AdamW", lr=0.1), "none of that name"),
        (named("LambdaLR"), named("AdamW", lr=0.1), "needs a function"),
        (named("ReduceLROnPlateau"), named("AdamW", lr=0.1), "measured loss"),
        (named("OneCycleLR", max_lr=1.0), named("AdamW", lr=0.1), "leave max_lr out"),
        (named("OneCycleLR", epochs=3), named("AdamW", lr=0.1), "train.epochs"),
        (named("OneCycleLR", pct_start=3.0), named("AdamW", lr=0.1), "refuses its parameters"),
        (named("OneCycleLR"), named("AdamW", lr=0.1, betas=[0.8, 0.9]), "override the optimiser's betas"),
        (named("OneCycleLR"), named("SGD", lr=0.1, momentum=0.9), "override the optimiser's momentum"),
        (named("StepLR"), named("SGD", lr=0.1), "refuses its parameters"),
        (named("StepLR", step_size=1, every="day"), named("SGD", lr=0.1), 'must be "step" or "epoch"'),
        (named("StepLR", stepsize=1), named("SGD", lr=0.1), "no parameter 'stepsize'"),
        (named("StepLR", step_size=1, last_epoch=3), named("SGD", lr=0.1), "no parameter 'last_epoch'"),
    ],
)
def test_a_wrong_schedule_is_told_with_its_key(spec: Named, optimizer: Named, words: str) -> None:
    with pytest.raises(PresetError, match=words) as caught:
        rates(spec, optimizer, 10, 1)
    assert "train.schedule" in caught.value.message


@pytest.mark.parametrize(
    ("spec", "plain"),
    [
        (named("CrossEntropyLoss"), True),
        (named("CrossEntropyLoss", label_smoothing=0.1), False),
        (named("CrossEntropyLoss", weight=[1.0, 2.0, 3.0]), False),
        (named("MultiMarginLoss"), False),
    ],
)
def test_a_loss_is_built_by_its_torch_name(spec: Named, plain: bool) -> None:
    loss = build_loss(spec, 3)
    assert type(loss) is getattr(nn, spec.name)
    assert is_plain_cross_entropy(loss) == plain


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (named("CrossEntropy"), "none of that name"),
        (named("MSELoss"), "cannot judge 3 logits"),
        (named("NLLLoss"), "log-probabilities"),
        (named("CrossEntropyLoss", reduction="sum"), "no parameter 'reduction'"),
        (named("CrossEntropyLoss", label_smoothing=2.0), "cannot judge 3 logits"),
        (named("CrossEntropyLoss", weight=[1.0, 2.0]), "cannot judge 3 logits"),
    ],
)
def test_a_wrong_loss_is_told_with_its_key(spec: Named, words: str) -> None:
    with pytest.raises(PresetError, match=words) as caught:
        build_loss(spec, 3)
    assert "train.loss" in caught.value.message


def test_a_value_found_wrong_only_in_the_first_steps_is_found_before_training() -> None:
    recipe = Recipe.model_validate({"optimizer": {"name": "SGD", "lr": 0.1, "momentum": True, "foreach": "x"}})
    check_recipe(recipe, weights(), 100, 3)
    broken = Recipe.model_validate({"optimizer": {"name": "SGD", "lr": 0.1, "dampening": "x", "momentum": 0.9}})
    with pytest.raises(PresetError, match=r"train: the optimiser's first steps fail"):
        check_recipe(broken, weights(), 100, 3)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"schedule": {"name": "OneCycleLR", "total_steps": 12}}, "the training takes 100"),
        ({"optimizer": {"name": "Muon", "lr": 0.01}}, "refuses its parameters"),
        (
            {"schedule": {"name": "CyclicLR", "base_lr": 0.5, "max_lr": 1.0}},
            "override the optimiser's lr",
        ),
    ],
)
def test_the_training_that_will_run_is_the_one_that_is_checked(recipe: dict[str, Any], words: str) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(2, 2))
    with pytest.raises(PresetError, match=words):
        check_recipe(Recipe.model_validate(recipe), network.parameters(), 100, 3)


def test_cross_entropy_that_leaves_out_a_class_is_not_the_reported_one() -> None:
    assert not is_plain_cross_entropy(build_loss(named("CrossEntropyLoss", ignore_index=1), 3))


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_a_loss_that_would_broadcast_is_refused_for_any_number_of_classes(num_classes: int) -> None:
    with pytest.raises(PresetError, match="cannot judge"):
        build_loss(named("MSELoss"), num_classes)
