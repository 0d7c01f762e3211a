"""What a benchmark reports: figures against scipy and the study, places, and supernets trained again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import table_of
from scipy import stats

from supernet_cli.benchmarks import words
from supernet_cli.benchmarks.standing import Supernets, Yardstick, catalogue, stand
from supernet_cli.benchmarks.strategy import label, same
from supernet_cli.benchmarks.table import Table, find_table
from supernet_cli.config.parts import Named
from supernet_cli.config.schema import Preset

PAGE = Path(__file__).resolve().parents[3] / "docs" / "study-lab.md"


@pytest.fixture(scope="module")
def lab() -> Table:
    return find_table("lab")


@pytest.fixture
def small(tiny: Callable[..., Preset]) -> Table:
    blocks = [{"channels": 4, "pool": 1, "candidates": ["conv3x3", "conv5x5", "identity", "conv1x1"]}] * 2
    return Table.model_validate_json(json.dumps(table_of(tiny(space={"blocks": blocks}))))


def supernets(table: Table, noises: list[float], strategy: str = "fair", epochs: int = 3) -> Supernets:
    """Return supernets whose scores are the true means with noise."""
    good, rng = np.array(table.truth.test).mean(axis=1), np.random.default_rng(1)
    scores = np.array([good + rng.normal(0, noise, len(good)) for noise in noises])
    return Supernets(Named(name=strategy), epochs, tuple(range(len(noises))), scores, 9000.0)


def recorded(table: Table, name: str, seeds: int | None = None) -> Supernets:
    (found,) = (each for each in table.supernets if each.name == name)
    macs = found.training_macs + found.evaluation_macs
    count = seeds or len(found.seeds)
    return Supernets(
        found.strategy,
        found.epochs,
        found.seeds[:count],
        -np.array(found.loss[:count]),
        macs * count / len(found.seeds),
    )


def test_recorded_rows_are_those_of_the_study(lab: Table) -> None:
    """Its table of strategies has τ with the interval, and the cost; its table of regrets, regret@3."""
    tables = dict(re.findall(r"<!-- table: lab (\w+) -->\n(.*?)<!-- end -->", PAGE.read_text("utf-8"), re.DOTALL))
    rows = {(row.label, row.epochs): row for row in catalogue(lab).recorded}
    for name in ("uniform", "fair"):
        row = rows[name, 4]
        (line,) = re.findall(rf"^\| {name}, 4 \| [\d,]+ \| (.*) \|$", tables["strategies"], re.MULTILINE)
        cost, _, tau = line.split(" | ")[:3]
        assert cost == f"{row.cost:.1f}"
        assert tau == f"**{row.tau.mean:.2f}** ({row.tau.low:.2f}–{row.tau.high:.2f})"
        (line,) = re.findall(rf"^\| {name}, 4 epochs \| (.*) \|$", tables["regrets"], re.MULTILINE)
        assert row.regret.mean is not None
        assert row.regret.low is not None
        assert row.regret.high is not None
        figures = tuple(100 * value for value in (row.regret.mean, row.regret.low, row.regret.high))
        assert line.split(" | ")[6] == "{:.2f} ({:.2f}–{:.2f})".format(*figures)


def test_tau_is_scipys_with_every_ground_truth(small: Table) -> None:
    made = supernets(small, [0.1, 0.2])
    row = Yardstick(small).row(made)
    for truth, mean in ((small.truths[0], row.tau.mean), (small.truths[1], row.other_truths[0].tau.mean)):
        means = np.array(truth.test).mean(axis=1)
        assert mean == pytest.approx(np.mean([stats.kendalltau(scores, means).statistic for scores in made.scores]))


def test_a_cost_of_one_is_one_epoch_of_an_average_path(small: Table) -> None:
    # helpers.table_of: a training of one epoch and one seed costs 1,000; 9,000 are of two supernets
    assert Yardstick(small).row(supernets(small, [0.1, 0.1])).cost == pytest.approx(4.5)


def test_bounds_are_an_interval_from_five_supernets_and_a_range_below(small: Table) -> None:
    many = Yardstick(small).row(supernets(small, [0.1] * 5))
    values = np.arctanh([tau for tau in many.per_seed if tau is not None])
    low, high = np.tanh(stats.t.interval(0.95, 4, values.mean(), stats.sem(values)))
    assert (many.tau.bounds, many.tau.low, many.tau.high) == ("interval", pytest.approx(low), pytest.approx(high))
    few = Yardstick(small).row(supernets(small, [0.1, 0.3]))
    assert (few.tau.bounds, few.tau.low, few.tau.high) == ("range", min(few.per_seed), max(few.per_seed))  # type: ignore[type-var]
    one = Yardstick(small).row(supernets(small, [0.1]))
    assert (one.tau.bounds, one.tau.low) == (None, None)


def test_a_place_counts_better_kinds_and_says_which_cannot_be_told_apart(small: Table) -> None:
    best = stand(small, supernets(small, [0.03, 0.04, 0.05]))
    assert best.place is not None
    assert [rival.label for rival in best.place.rivals] == ["uniform", "sandwich"]
    uniform, sandwich = (recorded(small, f"{name}-3") for name in ("uniform", "sandwich"))
    ours = np.arctanh([t for t in best.row.per_seed if t is not None])
    p_values = []
    for kind, rival in zip((uniform, sandwich), best.place.rivals, strict=True):
        theirs = np.arctanh([t for t in Yardstick(small).row(kind).per_seed if t is not None])
        p_values.append(stats.ttest_ind(ours, theirs, equal_var=False).pvalue)
        assert rival.p == pytest.approx(p_values[-1])
        assert rival.difference is not None
        assert rival.difference > 0
    smaller, larger = sorted(p_values)
    adjusted = sorted(rival.p_adjusted or 0 for rival in best.place.rivals)
    assert adjusted == [pytest.approx(2 * smaller), pytest.approx(max(2 * smaller, larger))]
    assert (best.place.place, best.place.of) == (1, 3)
    assert best.place.best == 1
    assert best.place.worst == 3 - sum(p < 0.05 for p in adjusted)
    assert [row.place for row in (best.row, *best.recorded)] == [1, 2, 3]


def test_a_single_supernet_has_a_place_that_excludes_nothing(small: Table) -> None:
    found = stand(small, supernets(small, [0.0001]))
    assert found.place is not None
    assert (found.place.place, found.place.best, found.place.worst) == (1, 1, 3)
    assert all(rival.p is None and rival.note for rival in found.place.rivals)
    assert "1st of 3 kinds of supernet of that length; from 1st to 3rd within noise." in words.sentence(found)


def test_supernets_that_are_clearly_worse_than_all_are_last(lab: Table) -> None:
    backwards = replace(recorded(lab, "fair-4"), scores=-recorded(lab, "fair-4").scores, strategy=Named(name="mine"))
    found = stand(lab, backwards)
    assert found.place is not None
    assert (found.place.place, found.place.of) == (9, 9)
    assert (found.place.best, found.place.worst, found.place.is_certain) == (9, 9, True)
    assert words.sentence(found).endswith(": 9th of 9 kinds of supernet of that length.")
    assert "not told apart from" not in dict(words.lines(found))


def test_recorded_supernets_trained_again_are_reproduced(lab: Table) -> None:
    found = stand(lab, recorded(lab, "fair-4", seeds=2))
    assert "fair" not in [row.label for row in found.recorded]
    assert found.place is not None
    assert found.place.of == 8
    repetition = found.repetition
    assert repetition is not None
    assert repetition.reproduced
    taus = np.arctanh([tau for tau in repetition.recorded.per_seed if tau is not None])
    half = stats.t.ppf(0.975, 4) * taus.std(ddof=1) * np.sqrt(1 / 5 + 1 / 2)
    assert repetition.low == pytest.approx(np.tanh(taus.mean() - half))
    assert repetition.high == pytest.approx(np.tanh(taus.mean() + half))
    assert "; reproduced: from " in dict(words.lines(found))["recorded before"]


def test_other_supernets_under_the_same_name_are_not_reproduced(lab: Table) -> None:
    found = stand(lab, replace(recorded(lab, "epoch-4"), strategy=Named(name="fair")))
    assert found.repetition is not None
    assert found.repetition.reproduced is False
    assert "NOT reproduced" in dict(words.lines(found))["recorded before"]


def test_two_recorded_supernets_are_too_few_to_say(lab: Table) -> None:
    found = stand(lab, recorded(lab, "dropout-gentle-4"))
    assert found.repetition is not None
    assert found.repetition.reproduced is None
    assert "unknown: Needs 3 supernet seeds" in dict(words.lines(found))["recorded before"]


def test_equal_scores_rank_nothing_and_have_a_reason(small: Table) -> None:
    flat = replace(supernets(small, [0.1]), scores=np.zeros((1, len(small.paths))))
    found = stand(small, flat)
    assert (found.row.tau.mean, found.place, found.row.place) == (None, None, None)
    assert "cannot be placed on tiny: All scores or all accuracies are equal" in words.sentence(found)
    json.dumps(found.document(), allow_nan=False)


def test_scores_that_are_not_finite_count_for_nothing_and_are_reported(small: Table) -> None:
    broken = supernets(small, [0.1, 0.1])
    broken.scores[0, 0] = -np.inf
    found = stand(small, broken)
    assert found.row.per_seed[0] is None
    assert "Only 1 of 2 supernet seeds could be used" in dict(words.lines(found))["note"]
    json.dumps(found.document(), allow_nan=False)


def test_proxies_are_the_scores_that_no_recorded_supernet_has(small: Table, lab: Table) -> None:
    assert small.proxies == ["synflow"]
    assert {row.label for row in catalogue(lab).baselines} == {"multiply-accumulates", "parameters", "synflow"}


def test_strategies_are_the_same_if_they_do_the_same() -> None:
    def dropout(**parameters: object) -> Named:
        return Named.model_validate({"name": "path-dropout", **parameters})

    assert same(dropout(), dropout(rate=0.05, ghost=4))
    assert not same(dropout(rate=0.5), dropout(rate=0.5, combine="sum"))
    assert not same(Named(name="fair"), Named(name="uniform"))
    assert label(dropout(rate=0.5, ghost=4, combine="sum")) == "path-dropout (rate 0.5, combine sum)"
    assert label(dropout(rate=0.05)) == "path-dropout"
    assert label(Named.model_validate({"name": "fair", "parts": True})) == "fair (parts)"
    assert label(Named.model_validate({"name": "of-another-installation", "x": 1})) == "of-another-installation (x 1)"


@pytest.mark.parametrize(
    ("place", "ordinal"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st")]
)
def test_places_are_ordinals(place: int, ordinal: str) -> None:
    assert words.ordinal(place) == ordinal
