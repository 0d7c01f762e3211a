"""The comparison of one-shot scores with stand-alone training: facts in, the document of `supernet compare` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from supernet_cli.errors import UsageError
from supernet_cli.glyphs import counted
from supernet_cli.reports.advice import TRUSTED, advice
from supernet_cli.reports.beliefs import SIZES, Beliefs
from supernet_cli.reports.decision import cost, decision
from supernet_cli.reports.facts import Facts, Truth, gather, mean
from supernet_cli.reports.scores import BySeed
from supernet_cli.reports.verdict import judge, verdict
from supernet_cli.runs.alone import FEWEST_STEPS, SHORT_CALIBRATION, short_steps
from supernet_cli.runs.results import PathProfile
from supernet_cli.runs.store import Run

if TYPE_CHECKING:
    import numpy as np

    from supernet_cli.reports.statistics.ranking import Agreement, Spread
    from supernet_cli.reports.statistics.regret import Loss, Regret

_MOST_PAIRS = 5000  # listed by name
_CHANCE_SEED = 0
"""Seeds every random draw of a comparison: the same facts give the same document."""


def compare(runs: Sequence[Run], truth: Run | None = None) -> dict[str, Any]:
    """Compare runs with their stand-alone results, or with those of another run.

    Args:
        runs: Runs of the same search space.
        truth: The run whose stand-alone results to use (default: each run's own).

    Returns:
        The document of `supernet compare`.

    Raises:
        RunError: Facts are missing or damaged.
        UsageError: The runs' spaces differ, or the ground truth belongs to another experiment.
    """
    _check_one_space(runs)
    gathered = [gather(run, truth if truth is not None and truth.folder != run.folder else None) for run in runs]
    entries = [_Comparison(facts).document() for facts in gathered]
    if len(entries) == 1:
        return {"runs": entries}
    why_not = _differing_truths([truth or run for run in runs])
    return {
        "runs": entries,
        "strategies": [] if why_not else _strategies(entries),
        "notes": {"strategies": why_not} if why_not else {},
    }


def _check_one_space(runs: Sequence[Run]) -> None:
    first = runs[0].fingerprints()["space"]
    for run in runs[1:]:
        if run.fingerprints()["space"] != first:
            raise UsageError(
                f"Runs {runs[0].id} and {run.id} have different search spaces, so their rankings cannot be compared.",
                f"Compare runs of the same space; `{run.command('runs show')}` shows a run's fingerprints.",
            )


def _differing_truths(sources: Sequence[Run]) -> str:
    """Return why strategies of several runs cannot be compared; empty if they can."""
    for what, words in (("split", "data or splits"), ("retrain", "retraining recipes"), ("images", "images")):
        if len({source.fingerprints().get(what) for source in sources}) > 1:
            return (
                f"The ground truths of these runs have different {words}, so their τ cannot be compared. "
                "Give them one ground truth with --truth RUN."
            )
    return ""


@dataclass(frozen=True)
class _Comparison:
    """The comparison of one run, part by part; each part returns its fields and adds its notes."""

    facts: Facts

    @cached_property
    def beliefs(self) -> Beliefs:
        """What is known of the expected accuracy of every path."""
        return Beliefs(self.facts, _CHANCE_SEED)

    def document(self) -> dict[str, Any]:
        """Return the run's entry."""
        import numpy as np

        facts, truth = self.facts, self.facts.truth
        names = [str(path) for path in truth.paths]
        notes: dict[str, str] = {}
        losses, trusting = self._regret(names, notes)
        fields = {
            "run": facts.run.id,
            "sampler": facts.sampler,
            "n": len(names),
            "space_size": facts.space.size,
            "coverage": truth.coverage,
            "supernet_seeds": list(facts.seeds),
            "stand_alone_seeds": list(truth.seeds),
            "score": "validation_loss",
            "truth": {"run": truth.run, "split": "test"},
            "forward_images": facts.forward_images,
            "divergence": self._divergence(names, notes),
            "rows": _rows(facts, self.beliefs),
            **self._agreement(names, notes),
            **self._chance(names, notes, np.random.default_rng(_CHANCE_SEED)),
            **self._pairs(names, notes),
            **losses,
            "decision": decision(self.beliefs, trusting, names),
            "baselines": self._baselines(names, notes, np.random.default_rng(_CHANCE_SEED)),
            "at_equal_macs": self._at_equal_macs(names, notes),
            "audit": self._audit(names, notes),
            "cost": {
                "training": asdict(facts.training),
                "evaluation": asdict(facts.evaluation),
                "stand_alone": asdict(truth.cost),
                "short_training": asdict(facts.short_cost),
            },
            "missing": [asdict(missing) for missing in facts.missing],
        }
        judgement = judge(fields)
        answer = {**asdict(judgement), "next": advice(facts.run, facts, judgement, fields)}
        return {**fields, "answer": answer, "verdict": verdict(fields), "notes": notes}

    def _agreement(self, names: list[str], notes: dict[str, str]) -> dict[str, Any]:
        """Return how well the rankings agree, the ceiling, and τ without noise."""
        from supernet_cli.reports.statistics.ceiling import corrected_tau, tau_ceiling
        from supernet_cli.reports.statistics.intervals import tau_interval
        from supernet_cli.reports.statistics.quantity import document
        from supernet_cli.reports.statistics.ranking import (
            agreement,
            seed_agreement,
            seed_agreement_of_best,
            sparse_tau,
            supernet_agreement,
        )
        from supernet_cli.reports.statistics.seeds import largest_block, mean_seeds

        truth, scores = self.facts.truth.test, self.facts.scores(names)
        seeds, count = mean_seeds(truth), len(largest_block(truth).paths)
        found: Agreement = agreement(scores, truth)
        between, between_supernets = seed_agreement(truth), supernet_agreement(scores)
        interval = tau_interval(found.tau.per_seed)
        corrected = corrected_tau(found.tau.mean.value, between.value, seeds, count, between_supernets.value)
        if self.facts.truth.caution:
            notes["kendall_tau"] = self.facts.truth.caution
        numbers = {
            "seed_agreement": between,
            "seed_agreement_top_quarter": seed_agreement_of_best(truth),
            "supernet_agreement": between_supernets,
            "tau_ceiling": tau_ceiling(between.value, seeds, count),
            "sparse_tau": sparse_tau(scores, truth).mean,
            "tau_interval": interval,
        }
        plain, reasons = document(numbers)
        corrected_plain, corrected_reasons = document(corrected, "tau_corrected")
        notes |= reasons | corrected_reasons
        best = _spread(found.best_tau, "kendall_tau_top_quarter", notes)
        return {
            "kendall_tau": _spread(found.tau, "kendall_tau", notes),
            "kendall_tau_expected": self._expected_tau(notes),
            "spearman_rho": _spread(found.rho, "spearman_rho", notes),
            "kendall_tau_top_quarter": best | {"paths": found.best_paths},
            "spearman_rho_top_quarter": _spread(found.best_rho, "spearman_rho_top_quarter", notes),
            **plain,
            "tau_interval": _pair(plain["tau_interval"]),
            "tau_corrected": corrected_plain if any(v is not None for v in corrected_plain.values()) else None,
        }

    def _expected_tau(self, notes: dict[str, str]) -> dict[str, float] | None:
        """Return τ with the expected accuracies of all paths, trained or not."""
        from supernet_cli.reports.statistics.choice import Bounds

        tau = self.beliefs.tau
        if tau is None:
            notes["kendall_tau_expected"] = "Needs at least 3 paths whose scores and accuracies differ."
            return None
        return asdict(Bounds.of(tau))

    def _chance(self, names: list[str], notes: dict[str, str], rng: np.random.Generator) -> dict[str, Any]:
        """Return what chance would reach and, for a sample of paths, a bootstrap interval."""
        import numpy as np

        from supernet_cli.reports.statistics.chance import relabel_p
        from supernet_cli.reports.statistics.intervals import bootstrap_interval
        from supernet_cli.reports.statistics.quantity import document

        facts, truth = self.facts, self.facts.truth
        scored = [
            name for name in facts.one_shot[facts.seeds[0]] if all(name in facts.one_shot[s] for s in facts.seeds)
        ]
        paths = [facts.space.parse(name) for name in scored]
        place = {name: index for index, name in enumerate(scored)}
        tested = relabel_p(
            choices=np.array([path.choices for path in paths]),
            scores=facts.scores(scored),
            truth=truth.test,
            rows=np.array([place[name] for name in names]),
            sizes=[len(block.candidates) for block in facts.space.blocks],
            rng=rng,
        )
        plain, reasons = document(
            {
                "relabel_p": tested.p,
                "relabelling": {
                    "smallest_p": tested.smallest,
                    "relabellings": tested.relabellings,
                    "exhaustive": tested.exhaustive,
                },
            }
        )
        notes |= reasons
        sampled = None
        if truth.coverage == "sample":
            bounds, reasons = document(bootstrap_interval(facts.scores(names), truth.test, rng), "tau_bootstrap")
            notes |= reasons
            sampled = _pair(bounds)
        return {**plain, "tau_bootstrap": sampled}

    def _pairs(self, names: list[str], notes: dict[str, str]) -> dict[str, Any]:
        """Return which pairs of paths differ by more than noise."""
        import numpy as np

        from supernet_cli.reports.statistics.pairs import mcnemar_pairs, resolved_pairs
        from supernet_cli.reports.statistics.quantity import document, unknown

        truth = self.facts.truth
        found = resolved_pairs(truth.test, truth.correct, self.facts.scores(names))
        numbers: dict[str, Any] = {
            "resolved_share": found.share,
            "resolved_gamma": found.gamma,
            "resolved_pairs": found.resolved,
            "seed_sd": found.seed_sd,
        }
        if truth.correct_first is None:
            numbers["mcnemar"] = {"differing": unknown("Which test images each network got right was not stored.")}
        else:
            numbers["mcnemar"] = mcnemar_pairs(truth.correct_first)
        plain, reasons = document(numbers)
        notes |= reasons
        unresolved = None
        if found.mask is not None:
            one, other = np.nonzero(np.triu(~found.mask, 1))
            unresolved = (
                [[names[a], names[b]] for a, b in zip(one, other, strict=True)] if len(one) <= _MOST_PAIRS else None
            )
        return {**plain, "pairs": found.pairs, "unresolved": unresolved}

    def _regret(self, names: list[str], notes: dict[str, str]) -> tuple[dict[str, Any], Regret]:
        """Return the accuracy lost by training only a few paths from scratch, and the loss of trusting the first."""
        from supernet_cli.reports.statistics.regret import regret

        facts, beliefs = self.facts, self.beliefs
        macs = facts.sizes(names, "macs")
        orders: dict[str, np.ndarray | None] = {"largest": facts.sizes(names, "parameters"), "macs": macs}
        costs = None if macs is None or not macs.sum() else macs / macs.mean()
        fields: dict[str, Any] = {}
        for k in (1, TRUSTED):
            found = regret(facts.scores(names), beliefs.trained, facts.truth.validation, k, orders, costs)
            fields |= _losses(f"regret_at_{k}", found, facts, notes)
        few = min(TRUSTED, len(names))
        return fields, regret(facts.scores(names), beliefs.trained, facts.truth.validation, few, orders, costs)

    def _baselines(self, names: list[str], notes: dict[str, str], rng: np.random.Generator) -> list[dict[str, Any]]:
        """Return how well orders that need no supernet agree with the ground truth."""
        from supernet_cli.reports.statistics.chance import random_order_range
        from supernet_cli.reports.statistics.quantity import document
        from supernet_cli.reports.statistics.ranking import kendall_tau, mean_accuracy

        accuracy = mean_accuracy(self.facts.truth.test)
        bounds, _ = document(random_order_range(accuracy, rng))
        found: list[dict[str, Any]] = [{"name": "random", "kendall_tau": 0.0, "range": _pair(bounds)}]
        for name in SIZES:
            sizes = self.facts.sizes(names, name)
            if sizes is None:
                notes[f"baselines.{name}"] = f"Not measured yet: `{self.facts.run.command('evaluate')}`."
            tau = None if sizes is None else kendall_tau(sizes, accuracy)
            if sizes is not None and tau is None:
                notes[f"baselines.{name}"] = "Needs at least 3 paths that differ in size and in accuracy."
            found.append({"name": name, "kendall_tau": tau})
        found.append(self._short_training(names, notes))
        for baseline in found[1:]:
            difference = self.beliefs.difference(baseline["name"])
            baseline["difference"] = None if difference is None else asdict(difference)
        return found

    def _short_training(self, names: list[str], notes: dict[str, str]) -> dict[str, Any]:
        """Return how well short trainings, at the cost of a supernet, agree with the ground truth."""
        from supernet_cli.reports.statistics.ranking import agreement

        facts, name = self.facts, "short_training"
        if not facts.short:
            notes[f"baselines.{name}"] = _no_short_training(facts)
            return {"name": name, "kendall_tau": None}
        spread = _spread(agreement(facts.short_scores(names), facts.truth.test).tau, f"baselines.{name}", notes)
        tau = spread.pop("mean")
        return {"name": name, "kendall_tau": tau, **spread}

    def _divergence(self, names: list[str], notes: dict[str, str]) -> dict[str, Any] | None:
        """Return how well closeness to the network with nothing dropped ranks paths; None if no strategy trains it."""
        from supernet_cli.reports.statistics.ranking import agreement

        nearness = self.facts.nearness(names)
        if nearness is None:
            return None
        tau = _spread(agreement(nearness, self.facts.truth.test).tau, "divergence", notes)
        return {"nats": -float(nearness.mean()), "kendall_tau": tau}

    def _at_equal_macs(self, names: list[str], notes: dict[str, str]) -> dict[str, Any] | None:
        """Return what the supernets know beyond size."""
        import numpy as np

        from supernet_cli.reports.statistics.partial import beyond_size
        from supernet_cli.reports.statistics.quantity import document

        facts, truth = self.facts, self.facts.truth
        choices = np.array([path.choices for path in truth.paths])
        rng = np.random.default_rng(_CHANCE_SEED)
        found = beyond_size(facts.scores(names), truth.test, facts.sizes(names, "macs"), choices, rng)
        if found.p.value is None:
            notes["at_equal_macs"] = found.p.note
            return None
        plain, reasons = document({"null": found.null, "p": found.p}, "at_equal_macs")
        notes |= reasons
        correlation = _spread(found.correlation, "at_equal_macs", notes)
        return {"correlation": correlation, "null": _pair(plain["null"]), "p": plain["p"]}

    def _audit(self, names: list[str], notes: dict[str, str]) -> dict[str, Any]:
        """Return the sources of disagreement, and which operations the supernet over- or under-rates."""
        import numpy as np

        from supernet_cli.reports.statistics.audit import audit
        from supernet_cli.reports.statistics.quantity import document

        facts, truth = self.facts, self.facts.truth
        accuracies = np.array([[facts.one_shot[seed][name].accuracy for name in names] for seed in facts.seeds])
        found = audit(
            accuracies,
            truth.test,
            truth.correct,
            np.array([path.choices for path in truth.paths]),
            [block.labels for block in facts.space.blocks],
        )
        plain, reasons = document(found, "audit")
        notes |= {
            key: note for key, note in reasons.items() if not key.startswith("audit.shares.")
        }  # said of the parts
        plain["differences"] = dict(zip(names, plain["differences"], strict=False)) if plain["differences"] else None
        return plain  # type: ignore[no-any-return]


def _no_short_training(facts: Facts) -> str:
    """Return why there are no short trainings to compare with, and the command that runs them."""
    if facts.short_diverged:
        return f"{counted(facts.short_diverged, 'short training')} diverged, so no seed covers all paths."
    count = len(facts.truth.paths)
    if (steps := _short_steps(facts)) < FEWEST_STEPS:
        return (
            f"Not possible: the cost of one supernet pays for {counted(steps, 'step')} of each of "
            f"{counted(count, 'path')}; a training needs at least {FEWEST_STEPS}."
        )
    which = {"all": "--all", "part": "--all", "sample": f"--sample {count}", "top": f"--top {count}"}
    if facts.truth.run != facts.run.id or facts.truth.coverage not in which:
        these = "this path" if count == 1 else f"these {count:,} paths"
        return f"Not done yet: `{facts.run.command('retrain', '--short')}` with the names of {these}."
    return f"Not done yet: `{facts.run.command('retrain', which[facts.truth.coverage], '--short')}`."


def _short_steps(facts: Facts) -> int:
    """Return how long the short training of each path would be; as long as it must be where sizes are not known."""
    preset = facts.run.preset()
    sizes = [facts.profiles[str(path)].macs for path in facts.truth.paths if str(path) in facts.profiles]
    if len(sizes) < len(facts.truth.paths) or not sum(sizes):
        return FEWEST_STEPS
    calibration = min(SHORT_CALIBRATION, preset.train.calibration) if facts.space.has_batch_norm else 0
    budget = (facts.training + facts.evaluation).macs // len(facts.seeds)
    batch_size = preset.standalone_recipe().batch_size
    return short_steps(budget, sum(sizes), preset.data.validation + calibration, batch_size)


def _losses(name: str, found: Regret, facts: Facts, notes: dict[str, str]) -> dict[str, Any]:
    """Return the fields of one regret@k."""
    if found.supernet.mean.note:
        notes[name] = found.supernet.mean.note
    return {
        name: found.supernet.mean.value,
        f"{name}_interval": _bounds(found.supernet),
        f"{name}_cost": cost(facts, found.supernet),
        f"{name}_baselines": {other: loss.mean.value for other, loss in found.others.items()},
        f"{name}_baseline_intervals": {other: _bounds(loss) for other, loss in found.others.items()},
        f"{name}_baseline_costs": {other: cost(facts, loss) for other, loss in found.others.items()},
    }


def _bounds(loss: Loss) -> list[float] | None:
    low, high = loss.interval.low.value, loss.interval.high.value
    return None if low is None or high is None else [low, high]


def _rows(facts: Facts, beliefs: Beliefs) -> list[dict[str, Any]]:
    """Return one row per path: first those trained from scratch, by index, then the others that have scores."""
    truth = facts.truth
    trained = {str(path): index for index, path in enumerate(truth.paths)}
    scored = dict.fromkeys(name for seed in facts.seeds for name in facts.one_shot[seed])
    others = (name for name in scored if name not in trained)
    return [_row(facts, beliefs, name, trained.get(name)) for name in [*trained, *others]]


def _row(facts: Facts, beliefs: Beliefs, name: str, index: int | None) -> dict[str, Any]:
    profile, test = facts.profiles.get(name), _mean_of(facts.one_shot_test, facts.seeds, name, "accuracy")
    alone = _alone_of(facts.truth, index)
    accuracy, expected = alone["stand_alone_test_accuracy"], None if index is None else beliefs.expected(name)
    return {
        "path": name,
        "one_shot_validation_loss": _mean_of(facts.one_shot, facts.seeds, name, "loss"),
        "one_shot_validation_accuracy": _mean_of(facts.one_shot, facts.seeds, name, "accuracy"),
        "one_shot_test_accuracy": test,
        "one_shot_test_sd": _sd(
            [row.accuracy for seed in facts.seeds if (row := facts.one_shot_test.get(seed, {}).get(name))]
        ),
        **alone,
        "expected_accuracy": None if expected is None else expected.mean,
        "expected_error": None if expected is None else (expected.high - expected.low) / 2,
        "expected_low": None if expected is None else expected.low,
        "expected_high": None if expected is None else expected.high,
        "difference": test - accuracy if test is not None and accuracy is not None else None,
        **_size(profile),
        "seconds": None if index is None else _finite(float(facts.truth.seconds[index])),
    }


def _alone_of(truth: Truth, index: int | None) -> dict[str, Any]:
    """Return the fields of one path's stand-alone trainings, over the seeds that it has."""
    import numpy as np

    known = [] if index is None else np.flatnonzero(np.isfinite(truth.test[index])).tolist()
    test, loss, validation = (figures[index, known] for figures in (truth.test, truth.test_loss, truth.validation))
    return {
        "stand_alone_test_accuracy": float(test.mean()) if known else None,
        "stand_alone_sd": _sd(test.tolist()) if known else None,
        "stand_alone_test_loss": _finite(float(loss.mean())) if known else None,
        "stand_alone_validation_accuracy": _finite(float(validation.mean())) if known else None,
        "stand_alone_seeds": len(known),
    }


def _size(profile: PathProfile | None) -> dict[str, Any]:
    names = ("parameters", "macs", "latency_seconds", "synflow")
    return {name: getattr(profile, name) if profile is not None else None for name in names}


def _mean_of(rows: BySeed, seeds: Sequence[int], name: str, what: str) -> float | None:
    """Return the mean over seeds; None if a seed lacks the path or has no finite number for it."""
    known = [rows.get(seed, {}).get(name) for seed in seeds]
    values = [None if row is None else getattr(row, what) for row in known]
    return None if None in values else mean(values)


def _sd(values: Sequence[float]) -> float | None:
    import statistics

    return statistics.stdev(values) if len(values) > 1 else None


def _finite(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None


def _spread(spread: Spread, name: str, notes: dict[str, str]) -> dict[str, Any]:
    if spread.mean.note:
        notes[name] = f"{notes[name]} {spread.mean.note}" if name in notes else spread.mean.note
    return {
        "mean": spread.mean.value,
        "per_seed": list(spread.per_seed),
        "low": spread.low.value,
        "high": spread.high.value,
    }


def _pair(bounds: dict[str, Any]) -> list[float] | None:
    return None if bounds["low"] is None or bounds["high"] is None else [bounds["low"], bounds["high"]]


def _strategies(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each run's strategy compared with `uniform`, over supernet seeds."""
    from supernet_cli.reports.statistics.intervals import welch_against
    from supernet_cli.reports.statistics.quantity import document

    baseline = next((entry for entry in entries if entry["sampler"] == "uniform"), None)
    if baseline is None:
        return []
    others = {entry["run"]: entry["kendall_tau"]["per_seed"] for entry in entries if entry is not baseline}
    plain, notes = document(welch_against(baseline["kendall_tau"]["per_seed"], others))
    return [
        {
            "run": entry["run"],
            "sampler": entry["sampler"],
            "against": baseline["run"],
            **plain[entry["run"]],
            "notes": _below(notes, entry["run"]) | _unequal(entry, baseline),
        }
        for entry in entries
        if entry is not baseline
    ]


def _unequal(entry: dict[str, Any], baseline: dict[str, Any]) -> dict[str, str]:
    """Return a remark if two supernets were trained with different budgets."""
    if entry["forward_images"] == baseline["forward_images"]:
        return {}
    return {"budget": f"{entry['forward_images']:,.0f} forward images; uniform had {baseline['forward_images']:,.0f}."}


def _below(notes: dict[str, str], prefix: str) -> dict[str, str]:
    return {key.removeprefix(f"{prefix}."): note for key, note in notes.items() if key.startswith(f"{prefix}.")}
