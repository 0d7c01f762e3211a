"""The comparison of one-shot scores with stand-alone training: facts in, the result of `supernet compare` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from supernet_cli.errors import UsageError
from supernet_cli.reports.advice import TRUSTED, advice
from supernet_cli.reports.baselines import baselines
from supernet_cli.reports.beliefs import Beliefs
from supernet_cli.reports.comparison import Comparison, RunComparison
from supernet_cli.reports.decision import cost, decision
from supernet_cli.reports.facts import Facts, gather
from supernet_cli.reports.figures import BestSpread, Bounds, Measure, Range
from supernet_cli.reports.measured import bounds, interval, measure, pair, spread
from supernet_cli.reports.parts import (
    Answer,
    Audit,
    Candidate,
    Corrected,
    Costs,
    Divergence,
    EqualMacs,
    GroundTruth,
    McNemar,
    Relabelling,
    Shares,
    Spent,
)
from supernet_cli.reports.rows import rows
from supernet_cli.reports.strategies import strategies
from supernet_cli.reports.verdict import judge, verdict
from supernet_cli.store.run import Run

if TYPE_CHECKING:
    import numpy as np

    from supernet_cli.reports.statistics.pairs import ResolvedPairs
    from supernet_cli.reports.statistics.ranking import Agreement
    from supernet_cli.reports.statistics.regret import Regret

_MOST_PAIRS = 5000  # listed by name
_CHANCE_SEED = 0
"""Seeds every random draw of a comparison: the same facts give the same document."""


def compare(runs: Sequence[Run], truth: Run | None = None) -> Comparison:
    """Compare runs with their stand-alone results, or with those of another run.

    Args:
        runs: Runs of the same search space.
        truth: The run whose stand-alone results to use (default: each run's own).

    Raises:
        RunError: Facts are missing or damaged.
        UsageError: The runs' spaces differ, or the ground truth belongs to another experiment.
    """
    _check_one_space(runs)
    gathered = [gather(run, truth if truth is not None and truth.folder != run.folder else None) for run in runs]
    entries = tuple(_Evidence(facts).comparison() for facts in gathered)
    if len(entries) == 1:
        return Comparison(runs=entries)
    why_not = _differing_truths([truth or run for run in runs])
    return Comparison(
        runs=entries,
        strategies=() if why_not else strategies(entries),
        notes={"strategies": why_not} if why_not else {},
    )


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
class _Evidence:
    """What one run's facts show, question by question."""

    facts: Facts

    @cached_property
    def names(self) -> list[str]:
        """The paths trained from scratch."""
        return [str(path) for path in self.facts.truth.paths]

    @cached_property
    def scores(self) -> np.ndarray:
        """Their one-shot scores, (R, n)."""
        return self.facts.scores(self.names)

    @cached_property
    def choices(self) -> np.ndarray:
        """The candidate that each takes in each block, (n, b)."""
        import numpy as np

        return np.array([path.choices for path in self.facts.truth.paths])

    @cached_property
    def beliefs(self) -> Beliefs:
        """What is known of the expected accuracy of every path."""
        return Beliefs(self.facts, _CHANCE_SEED)

    def comparison(self) -> RunComparison:
        """Return all of it, with what it means and what to do next."""
        found = self._figures()
        judgement = judge(found)
        step = advice(self.facts, judgement, found)
        answer = Answer(word=judgement.word, reason=judgement.reason, next=step)
        return found.model_copy(update={"answer": answer, "verdict": verdict(found)})

    def _figures(self) -> RunComparison:
        from supernet_cli.reports.statistics.intervals import tau_interval
        from supernet_cli.reports.statistics.ranking import agreement, seed_agreement_of_best, sparse_tau

        facts, truth = self.facts, self.facts.truth
        agreed, pairs, (relabelling, p, bootstrap) = agreement(self.scores, truth.test), self._pairs(), self._chance()
        regrets = {k: self._regret(k) for k in {1, TRUSTED, min(TRUSTED, len(self.names))}}
        ceiling, corrected, seeds, supernets = self._ceiling(agreed)
        return RunComparison(
            run=facts.run.id,
            sampler=facts.sampler,
            n=len(self.names),
            space_size=facts.space.size,
            coverage=truth.coverage,
            caution=truth.caution,
            supernet_seeds=facts.seeds,
            stand_alone_seeds=truth.seeds,
            score="validation_loss",
            truth=GroundTruth(run=truth.run, split="test"),
            forward_images=facts.forward_images,
            divergence=self._divergence(),
            rows=rows(facts, self.beliefs),
            kendall_tau=spread(agreed.tau, truth.caution),
            kendall_tau_expected=self._expected_tau(),
            spearman_rho=spread(agreed.rho),
            kendall_tau_top_quarter=BestSpread(**dict(spread(agreed.best_tau)), paths=agreed.best_paths),
            spearman_rho_top_quarter=spread(agreed.best_rho),
            seed_agreement=seeds,
            seed_agreement_top_quarter=measure(seed_agreement_of_best(truth.test)),
            supernet_agreement=supernets,
            tau_ceiling=ceiling,
            sparse_tau=measure(sparse_tau(self.scores, truth.test).mean),
            tau_interval=interval(tau_interval(agreed.tau.per_seed)),
            tau_corrected=corrected,
            relabel_p=p,
            relabelling=relabelling,
            tau_bootstrap=bootstrap,
            resolved_share=measure(pairs.share),
            resolved_gamma=measure(pairs.gamma),
            resolved_pairs=measure(pairs.resolved),
            seed_sd=measure(pairs.seed_sd),
            mcnemar=self._mcnemar(),
            pairs=pairs.pairs,
            unresolved=self._unresolved(pairs),
            **self._lost("regret_at_1", regrets[1]),
            **self._lost("regret_at_3", regrets[TRUSTED]),
            decision=decision(self.beliefs, regrets[min(TRUSTED, len(self.names))], self.names),
            baselines=baselines(facts, self.beliefs, _CHANCE_SEED),
            at_equal_macs=self._at_equal_macs(),
            audit=self._audit(),
            cost=self._costs(),
            missing=facts.missing,
        )

    def _costs(self) -> Costs:
        return Costs(
            training=Spent.model_validate(self.facts.training),
            evaluation=Spent.model_validate(self.facts.evaluation),
            stand_alone=Spent.model_validate(self.facts.truth.cost),
            short_training=Spent.model_validate(self.facts.short_cost),
        )

    def _lost(self, key: str, found: Regret) -> dict[str, Any]:
        """Return what is lost by training the first paths only, under the names of fields that begin with a key."""
        facts, supernet, others = self.facts, found.supernet, found.others
        return {
            key: measure(supernet.mean),
            f"{key}_interval": pair(supernet.interval),
            f"{key}_cost": cost(facts, supernet),
            f"{key}_baselines": {name: loss.mean.value for name, loss in others.items()},
            f"{key}_baseline_intervals": {name: pair(loss.interval) for name, loss in others.items()},
            f"{key}_baseline_costs": {name: cost(facts, loss) for name, loss in others.items()},
        }

    def _expected_tau(self) -> Bounds:
        """Return τ with the expected accuracies of all paths, trained or not."""
        from supernet_cli.reports.statistics.choice import Bounds as Drawn

        tau = self.beliefs.tau
        if tau is None:
            return Bounds(note="Needs at least 3 paths whose scores and accuracies differ.")
        return bounds(Drawn.of(tau))

    def _ceiling(self, agreed: Agreement) -> tuple[Measure, Corrected, Measure, Measure]:
        """Return the ceiling of τ, τ without noise, and the agreement among seeds of either kind."""
        from supernet_cli.reports.statistics.ceiling import corrected_tau, tau_ceiling
        from supernet_cli.reports.statistics.ranking import seed_agreement, supernet_agreement
        from supernet_cli.reports.statistics.seeds import largest_block, mean_seeds

        truth = self.facts.truth.test
        seeds, count = mean_seeds(truth), len(largest_block(truth).paths)
        alone, supernets = seed_agreement(truth), supernet_agreement(self.scores)
        corrected = corrected_tau(agreed.tau.mean.value, alone.value, seeds, count, supernets.value)
        return (
            measure(tau_ceiling(alone.value, seeds, count)),
            Corrected(stand_alone=measure(corrected.stand_alone), both=measure(corrected.both)),
            measure(alone),
            measure(supernets),
        )

    def _chance(self) -> tuple[Relabelling, Measure, Range]:
        """Return what chance would reach and, for a sample of paths, a bootstrap interval."""
        import numpy as np

        from supernet_cli.reports.statistics.chance import relabel_p
        from supernet_cli.reports.statistics.intervals import bootstrap_interval

        facts, truth, rng = self.facts, self.facts.truth, np.random.default_rng(_CHANCE_SEED)
        first, *others = (facts.one_shot[seed] for seed in facts.seeds)
        scored = [name for name in first if all(name in rows for rows in others)]
        place = {name: index for index, name in enumerate(scored)}
        tested = relabel_p(
            choices=np.array([facts.space.parse(name).choices for name in scored]),
            scores=facts.scores(scored),
            truth=truth.test,
            rows=np.array([place[name] for name in self.names]),
            sizes=[len(block.candidates) for block in facts.space.blocks],
            rng=rng,
        )
        relabelling = Relabelling(
            smallest_p=tested.smallest.value, relabellings=tested.relabellings, exhaustive=tested.exhaustive
        )
        if truth.coverage != "sample":
            return relabelling, measure(tested.p), Range(low=None, high=None)
        return relabelling, measure(tested.p), interval(bootstrap_interval(self.scores, truth.test, rng))

    def _pairs(self) -> ResolvedPairs:
        """Return which pairs of paths differ by more than noise."""
        from supernet_cli.reports.statistics.pairs import resolved_pairs

        return resolved_pairs(self.facts.truth.test, self.facts.truth.correct, self.scores)

    def _unresolved(self, found: ResolvedPairs) -> tuple[tuple[str, str], ...] | None:
        """Return the pairs that do not, by name; None if they are unknown or too many."""
        import numpy as np

        if found.mask is None:
            return None
        one, other = np.nonzero(np.triu(~found.mask, 1))
        named = ((self.names[a], self.names[b]) for a, b in zip(one, other, strict=True))
        return tuple(named) if len(one) <= _MOST_PAIRS else None

    def _mcnemar(self) -> McNemar:
        from supernet_cli.reports.statistics.pairs import mcnemar_pairs

        bits = self.facts.truth.correct_first
        if bits is None:
            return McNemar(differing=Measure(note="Which test images each network got right was not stored."))
        found = mcnemar_pairs(bits)
        return McNemar(pairs=found.pairs, differing=measure(found.differing))

    def _regret(self, k: int) -> Regret:
        """Return the accuracy lost by training only k paths from scratch."""
        from supernet_cli.reports.statistics.regret import regret

        macs, parameters = (self.facts.profiled(self.names, what) for what in ("macs", "parameters"))
        costs = None if macs is None or not macs.sum() else macs / macs.mean()
        orders = {"largest": parameters, "macs": macs}
        return regret(self.scores, self.beliefs.trained, self.facts.truth.validation, k, orders, costs)

    def _divergence(self) -> Divergence:
        """Return how well closeness to the network with nothing dropped ranks paths; unknown if none trains it."""
        from supernet_cli.reports.statistics.ranking import agreement

        nearness = self.facts.nearness(self.names)
        if nearness is None:
            return Divergence()
        tau = spread(agreement(nearness, self.facts.truth.test).tau)
        return Divergence(nats=-float(nearness.mean()), kendall_tau=tau, note=tau.note)

    def _at_equal_macs(self) -> EqualMacs:
        """Return what the supernets know beyond size."""
        import numpy as np

        from supernet_cli.reports.statistics.partial import beyond_size

        rng = np.random.default_rng(_CHANCE_SEED)
        macs = self.facts.profiled(self.names, "macs")
        found = beyond_size(self.scores, self.facts.truth.test, macs, self.choices, rng)
        if found.p.value is None:
            return EqualMacs(note=found.p.note)
        correlation = spread(found.correlation)
        return EqualMacs(correlation=correlation, null=pair(found.null), p=measure(found.p), note=correlation.note)

    def _audit(self) -> Audit:
        """Return the sources of disagreement, and which operations the supernet over- or under-rates."""
        import numpy as np

        from supernet_cli.reports.statistics.audit import audit

        facts, truth = self.facts, self.facts.truth
        accuracies = np.array([[facts.one_shot[seed][name].accuracy for name in self.names] for seed in facts.seeds])
        labels = [block.labels for block in facts.space.blocks]
        found = audit(accuracies, truth.test, truth.correct, self.choices, labels)
        return Audit(
            total=measure(found.total),
            stand_alone=measure(found.stand_alone),
            supernet=measure(found.supernet),
            images=measure(found.images),
            sharing=measure(found.sharing),
            shares=Shares(**{name: share.value for name, share in found.shares.items()}),
            differences=dict(zip(self.names, found.differences, strict=True)) if found.differences else None,
            candidates=tuple(
                Candidate(
                    block=each.block,
                    label=each.label,
                    paths=each.paths,
                    bias=measure(each.bias),
                    error=measure(each.error),
                )
                for each in found.candidates
            ),
        )
