from __future__ import annotations

import itertools
import math
import re
from typing import Any

import pytest
import torch
from torch import nn

from supernet_cli.config.parts import Named
from supernet_cli.config.schema import Recipe
from supernet_cli.config.torch_names import SCHEDULES as SCHEDULE_NAMES
from supernet_cli.config.torch_names import UNUSABLE, _files
from supernet_cli.errors import PresetError
from supernet_cli.training.losses import build_loss, class_counts, is_plain_cross_entropy, with_class_weights
from supernet_cli.training.optimiser import build_optimizer, build_schedule, check_recipe


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
        (named("AdmaW"), "torch.* has no"),
        (named("LBFGS"), "evaluates the loss several times"),
        (named("Optimizer"), "base class of all"),
        (named("SGD", lr=-1), "rejects its parameters"),
        (named("SGD", lr="fast"), "rejects its parameters"),
        (named("AdamW", betas=[0.8]), "rejects its parameters"),
        (named("AdamW", momentum=0.9), "no parameter 'momentum'"),
        (named("SGD", params=[1]), "no parameter 'params'"),
        (named("SGD", lr=0.1, nesterov=True), "rejects its parameters"),
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
        (named("OneCycelLR"), named("AdamW", lr=0.1), "torch.* has no"),
        (named("LambdaLR"), named("AdamW", lr=0.1), "needs a function"),
        (named("ReduceLROnPlateau"), named("AdamW", lr=0.1), "measured loss"),
        (named("OneCycleLR", max_lr=1.0), named("AdamW", lr=0.1), "highest rate is the optimiser"),
        (named("OneCycleLR", epochs=3), named("AdamW", lr=0.1), "train.epochs"),
        (named("OneCycleLR", pct_start=3.0), named("AdamW", lr=0.1), "rejects its parameters"),
        (named("OneCycleLR"), named("AdamW", lr=0.1, betas=[0.8, 0.9]), "override the optimiser's betas"),
        (named("OneCycleLR"), named("SGD", lr=0.1, momentum=0.9), "override the optimiser's momentum"),
        (named("StepLR"), named("SGD", lr=0.1), "rejects its parameters"),
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
        (named("CrossEntropy"), "torch.* has no"),
        (named("MSELoss"), "cannot compare 3 logits"),
        (named("NLLLoss"), "log-probabilities"),
        (named("CrossEntropyLoss", reduction="sum"), "no parameter 'reduction'"),
        (named("CrossEntropyLoss", label_smoothing=2.0), "cannot compare 3 logits"),
        (named("CrossEntropyLoss", weight=[1.0, 2.0]), "weight has 2 numbers, but the data set has 3 classes"),
        (named("CrossEntropyLoss", weight=[2]), "weight has 1 number, but the data set has 3 classes"),
        (named("CrossEntropyLoss", weight=["a", "b", "c"]), "is not a list of numbers"),
        (named("CrossEntropyLoss", weight=2), "weight = 2 is not a list of numbers"),
        (named("CrossEntropyLoss", weight="even"), "weight = 'even' is not a list of numbers"),
        (named("CrossEntropyLoss", weight=[1, -1, 1]), "must be 0 or more"),
        (named("CrossEntropyLoss", weight=[0, 0, 0]), "at least one must be positive"),
        (named("CrossEntropyLoss", weight=[10**400, 1, 1]), "weight has a number that is too large"),
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
    with pytest.raises(PresetError, match=r"train\.optimizer: its first steps fail"):
        check_recipe(broken, weights(), 100, 3)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"schedule": {"name": "OneCycleLR", "total_steps": 12}}, "the training takes 100"),
        ({"optimizer": {"name": "Muon", "lr": 0.01}}, "rejects its parameters"),
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
    with pytest.raises(PresetError, match="cannot compare"):
        build_loss(named("MSELoss"), num_classes)


@pytest.mark.parametrize("spec", ["CrossEntropyLoss", "MultiMarginLoss"])
def test_whole_class_weights_mean_what_the_same_numbers_with_a_point_mean(spec: str) -> None:
    logits_BK, labels_B = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    whole, pointed = (build_loss(named(spec, weight=w), 3) for w in ([1, 4, 2], [1.0, 4.0, 2.0]))
    assert torch.equal(whole(logits_BK, labels_B), pointed(logits_BK, labels_B))


def test_balanced_weights_are_the_inverse_frequencies_of_the_classes() -> None:
    sklearn_documents = [6 / (3 * 1), 6 / (3 * 2), 6 / (3 * 3)]  # n_samples / (n_classes * np.bincount(y))
    recipe = Recipe.model_validate({"loss": {"name": "CrossEntropyLoss", "weight": "balanced", "label_smoothing": 0.1}})
    counts = class_counts(torch.tensor([2, 1, 2, 0, 1, 2]), ["a", "b", "c"])
    loss = with_class_weights(recipe, counts).loss
    assert loss.parameters == {"label_smoothing": 0.1, "weight": sklearn_documents}
    assert build_loss(loss, 3).weight.tolist() == pytest.approx(sklearn_documents)


def test_weights_in_numbers_stay_as_they_are() -> None:
    recipe = Recipe.model_validate({"loss": {"name": "CrossEntropyLoss", "weight": [1, 2]}})
    assert with_class_weights(recipe, {"a": 3, "b": 1}) is recipe


def test_a_class_without_training_images_cannot_be_balanced_and_is_named() -> None:
    recipe = Recipe.model_validate({"loss": {"name": "CrossEntropyLoss", "weight": "balanced"}})
    counts = class_counts(torch.tensor([0, 2]), ["ant", "bee", "cat"])
    with pytest.raises(PresetError, match=r"retrain\.loss\.weight.*class 'bee' has no training images"):
        with_class_weights(recipe, counts, "retrain")


def test_a_word_almost_balanced_is_corrected() -> None:
    with pytest.raises(PresetError) as caught:
        build_loss(named("CrossEntropyLoss", weight="balance"), 3)
    assert caught.value.hint == "Did you mean 'balanced'?"


def one_cycle_rates(steps: int, share: float, lr: float = 1.0) -> list[float]:
    """Return the rates as the definition has them: up to the peak at step share * steps - 1, then down to the end."""
    peak, low, end = share * steps - 1, lr / 25, lr / 25 / 1e4

    def between(start: float, stop: float, part: float) -> float:
        return stop + (start - stop) * (1 + math.cos(math.pi * part)) / 2

    def rate(step: int) -> float:
        rises = step <= peak and peak > 0
        return between(low, lr, step / peak) if rises else between(lr, end, (step - peak) / (steps - 1 - peak))

    return [rate(step) for step in range(steps)]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.125, 0.2, 0.25, 0.3, 1 / 3, 0.5, 2 / 3, 0.75, 0.9, 0.95])
def test_one_cycle_of_a_few_steps_has_the_rates_of_its_definition(share: float) -> None:
    for steps in range(1, 21):
        seen = rates(named("OneCycleLR", pct_start=share, cycle_momentum=False), named("SGD", lr=1.0), steps, 1)
        assert seen == pytest.approx(one_cycle_rates(steps, share), abs=1e-6), steps


SHARES = [0, 1, 0.0, 0.05, 0.1, 0.2, 0.25, 0.3, 1 / 3, 0.5, 0.6, 2 / 3, 0.75, 0.8, 0.9, 1.0]

SCHEDULES: list[dict[str, Any]] = [
    *({"name": "OneCycleLR", "pct_start": share, "three_phase": three} for share in SHARES for three in (False, True)),
    {"name": "StepLR", "step_size": 1},
    {"name": "MultiStepLR", "milestones": [1, 3]},
    {"name": "MultiStepLR", "milestones": []},
    {"name": "ConstantLR"},
    {"name": "LinearLR"},
    {"name": "LinearLR", "total_iters": 0},
    {"name": "ExponentialLR", "gamma": 0.5},
    {"name": "PolynomialLR"},
    {"name": "PolynomialLR", "total_iters": 0},
    {"name": "PolynomialLR", "power": -1.0},
    {"name": "CosineAnnealingLR"},
    {"name": "CosineAnnealingLR", "T_max": 0},
    {"name": "CosineAnnealingWarmRestarts", "T_0": 1},
    {"name": "CosineAnnealingWarmRestarts", "T_0": 3, "T_mult": 2},
    {"name": "CyclicLR", "base_lr": 0.5, "max_lr": 1.0, "step_size_up": 1, "cycle_momentum": False},
    {"name": "CyclicLR", "base_lr": 0.5, "max_lr": 1.0, "step_size_up": 0, "cycle_momentum": False},
]


def refusal_of(recipe: Recipe, steps: int) -> str:
    try:
        check_recipe(recipe, weights(), steps, 3)
    except PresetError as error:
        return f"{error.message} {error.hint}"
    return ""


def test_a_schedule_of_a_few_steps_trains_to_its_end_or_is_refused_with_a_remedy() -> None:
    assert {spec["name"] for spec in SCHEDULES} == set(_files(SCHEDULE_NAMES)) - set(UNUSABLE)
    lengths = [("step", length) for length in range(1, 21)] + [("epoch", length) for length in (1, 2, 5)]
    for spec, (every, length) in itertools.product(SCHEDULES, lengths):
        steps, epochs = (length, 1) if every == "step" else (length, length)
        recipe = {"optimizer": {"name": "SGD", "lr": 0.5}, "schedule": {**spec, "every": every}, "epochs": epochs}
        checked = Recipe.model_validate(recipe)
        refusal = refusal_of(checked, steps)
        assert "division" not in refusal, (spec, length)
        assert checked.schedule is not None
        if refusal:
            assert "train.schedule" in refusal, (spec, length)
        else:  # raises where it cannot be trained to the end
            assert all(map(math.isfinite, rates(checked.schedule, checked.optimizer, steps, epochs))), (spec, length)


def test_a_one_cycle_schedule_without_a_phase_says_what_to_change() -> None:
    schedule = {"name": "OneCycleLR", "pct_start": 1.0}
    recipe = Recipe.model_validate({"schedule": schedule, "optimizer": {"name": "Adam"}})
    with pytest.raises(PresetError) as caught:
        check_recipe(recipe, weights(), 5, 3)
    assert "pct_start = 1.0" in caught.value.message
    assert "5 steps" in caught.value.message
    assert {"train.epochs", "train.batch_size"} <= set(re.findall(r"train\.\w+", caught.value.hint))


@pytest.mark.parametrize(
    "optimizer",
    [
        {"name": "SGD", "lr": 1e39},
        {"name": "SGD", "lr": 1e300},
        {"name": "SGD", "lr": 10**400},
        {"name": "SGD", "lr": 0.1, "weight_decay": 1e300},
        {"name": "AdamW", "lr": 1e100},
        {"name": "RMSprop", "lr": 0.1, "momentum": 10**30},
    ],
)
def test_a_typed_number_beyond_the_arithmetic_is_refused_in_words(optimizer: dict[str, Any]) -> None:
    with pytest.raises(PresetError, match="too large") as caught:
        check_recipe(Recipe.model_validate({"optimizer": optimizer}), weights(), 5, 3)
    assert "train.optimizer" in caught.value.message


def test_weight_decay_may_spare_normalisation_and_biases() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))
    before = [weight.detach().clone() for weight in layers.parameters()]
    optimizer = build_optimizer(named("SGD", lr=0.5, weight_decay=0.2), layers.parameters(), decay_norm=False)
    for weight in layers.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    for weight, old in zip(layers.parameters(), before, strict=True):
        assert torch.allclose(weight, old * (0.9 if old.ndim > 1 else 1.0))
    everything = build_optimizer(named("SGD", lr=0.5, weight_decay=0.2), layers.parameters())
    assert [len(group["params"]) for group in everything.param_groups] == [6]
    assert len(build_optimizer(named("AdamW"), weights(), decay_norm=False).param_groups) == 1


def test_an_optimizer_without_weight_decay_cannot_spare_anything() -> None:
    with pytest.raises(PresetError, match=r"retrain.decay_norm = false: torch.optim.Rprop has no weight decay"):
        check_recipe(Recipe(optimizer=named("Rprop"), decay_norm=False), weights(), 10, 10, "retrain")
