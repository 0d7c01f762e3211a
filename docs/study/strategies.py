"""Tables about strategies: how well their supernets rank, which is better, and what longer training does."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
from cells import interval, number, probability, signed, spread, table
from scipy import stats
from study import CHOOSE, CONFIRM, WORDS, Study, label

from supernet_cli.reports.statistics.audit import audit
from supernet_cli.reports.statistics.ceiling import corrected_tau
from supernet_cli.reports.statistics.intervals import holm, welch_against
from supernet_cli.reports.statistics.ranking import agreement, seed_agreement, supernet_agreement


def strategies(study: Study) -> str:
    """Return how well the supernets of each strategy rank, by length."""
    rows = []
    for name in study.names(study.words(3), fewest_seeds=3):
        each = study.supernets[name]
        fewer = f" ({len(each['seeds'])} supernets)" if len(each["seeds"]) < 5 else ""
        cells = [name + fewer, f"{each['steps']:,}", f"{study.cost(name):.1f}"]
        for epochs in study.truths:
            taus = study.taus(name, epochs)
            cells.append(f"**{number(statistics.fmean(taus))}** {interval(taus)}")
        for test in study.truths.values():
            cells.append(spread(agreement(study.score(name), test).best_tau.per_seed))
        cells.append(number(supernet_agreement(study.score(name)).value))
        rows.append(tuple(cells))
    head = (
        "strategy, epochs",
        "steps",
        "cost",
        *study.each_truth("τ, {} (95 %)"),
        *study.each_truth("best quarter, {}"),
        "between supernets",
    )
    return table(head, rows)


def corrected(study: Study) -> str:
    """Return τ as observed, and without the noise of trainings and of supernets."""
    rows = []
    for name in study.names(study.several()):
        between = supernet_agreement(study.score(name)).value
        cells = [name]
        for epochs, test in study.truths.items():
            mean = statistics.fmean(study.taus(name, epochs))
            found = corrected_tau(mean, seed_agreement(test).value, test.shape[1], len(test), between)
            cells += [number(mean), number(found.stand_alone.value), number(found.both.value)]
        rows.append(tuple(cells))
    head = ("strategy, epochs", *study.each_truth("τ, {}", "no truth noise, {}", "no noise, {}"))
    return table(head, rows)


def chosen(study: Study) -> str:
    """Return strategies compared with uniform: on the seeds used to choose, and on those used to confirm."""
    rows, p_values = [], []
    for epochs in study.truths:
        for length in study.lengths("uniform"):
            others = [word for word in study.words() if word != "uniform" and length in study.lengths(word)]
            ours = {word: study.taus(label(word, length), epochs, CONFIRM) for word in others}
            uniform = label("uniform", length)
            found = welch_against(study.taus(uniform, epochs, CONFIRM), ours)
            base = statistics.fmean(study.taus(uniform, epochs, CHOOSE))
            for word in others:
                first = statistics.fmean(study.taus(label(word, length), epochs, CHOOSE)) - base
                assert found[word].p.value is not None
                p_values.append(found[word].p.value)
                what = (WORDS[epochs], str(length), word)
                rows.append((*what, signed(first), signed(found[word].difference.value)))
    adjusted = map(probability, holm(p_values))
    head = ("ground truth", "epochs", "strategy", "vs. uniform, seeds 0–1", "vs. uniform, seeds 2–4", "p (Holm)")
    return table(head, [(*row, p) for row, p in zip(rows, adjusted, strict=True)])


def pooled(study: Study) -> str:
    """Return the planned comparisons, over all lengths together, on the seeds used to confirm."""
    rows, p_values = [], []
    for epochs in study.truths:
        for word in study.several()[1:]:
            lengths = [length for length in study.lengths(word) if length in study.lengths("uniform")]
            differences, errors, freedoms = [], [], []
            for length in lengths:
                ours, base = (
                    np.arctanh(study.taus(label(each, length), epochs, CONFIRM)) for each in (word, "uniform")
                )
                differences.append(ours.mean() - base.mean())
                errors += [side.var(ddof=1) / len(side) for side in (ours, base)]
                freedoms += [len(side) - 1 for side in (ours, base)]
            of_mean = np.array(errors) / len(lengths) ** 2
            freedom = of_mean.sum() ** 2 / (of_mean**2 / freedoms).sum()  # Satterthwaite's
            mean = float(np.mean(differences))
            p_values.append(float(2 * stats.t.sf(abs(mean) / of_mean.sum() ** 0.5, freedom)))
            taus = [
                statistics.fmean(study.taus(label(word, length), epochs, CONFIRM))
                - statistics.fmean(study.taus(label("uniform", length), epochs, CONFIRM))
                for length in lengths
            ]
            shown = ", ".join(map(str, lengths))
            rows.append((WORDS[epochs], word, shown, signed(statistics.fmean(taus)), probability(p_values[-1])))
    adjusted = map(probability, holm(p_values))
    head = ("ground truth", "strategy", "epochs", "vs. uniform, seeds 2–4", "p", "p (Holm)")
    return table(head, [(*row, p) for row, p in zip(rows, adjusted, strict=True)])


def longer(study: Study) -> str:
    """Return what the longest training of each strategy gains over the shortest, on all seeds."""
    rows, p_values = [], []
    for epochs in study.truths:
        for word in study.several():
            lengths = study.lengths(word)
            first, last = (study.taus(label(word, length), epochs) for length in (lengths[0], lengths[-1]))
            found = welch_against(first, {word: last})[word]
            assert found.p.value is not None
            p_values.append(found.p.value)
            cells = [number(statistics.fmean(taus)) for taus in (first, last)]
            rows.append((WORDS[epochs], word, f"{lengths[0]} and {lengths[-1]}", *cells, probability(p_values[-1])))
    adjusted = map(probability, holm(p_values))
    head = ("ground truth", "strategy", "epochs", "τ, shorter", "τ, longer", "p", "p (Holm)")
    return table(head, [(*row, p) for row, p in zip(rows, adjusted, strict=True)])


def averages(study: Study) -> str:
    """Return the average of several short supernets compared with a long one of the same total length."""
    rows = []
    for total in (4, 8, 16):
        for word in study.several():
            for length in reversed(study.lengths(word)):
                count, name = total // length, label(word, length)
                if total % length or count > len(study.supernets[name]["seeds"]):
                    continue
                scores = study.score(name)
                subsets = list(itertools.combinations(range(len(scores)), count))
                cells = [str(total), word, f"{count} × {length} epochs", f"{count * study.cost(name):.1f}"]
                averaged = np.array([scores[list(subset)].mean(axis=0) for subset in subsets])
                for test in study.truths.values():
                    found = agreement(averaged, test)
                    cells += [spread(found.tau.per_seed), spread(found.best_tau.per_seed)]
                rows.append(tuple(cells))
    head = ("total epochs", "strategy", "supernets", "cost", *study.each_truth("τ, {}", "its best quarter"))
    return table(head, rows)


def audits(study: Study) -> str:
    """Return the sources of disagreement with the longest ground truth."""
    rows = []
    truth = study.longest
    for name in study.names(study.several()):
        score = study.score(name, what="accuracy")
        found = audit(score, study.truths[truth], study.correct[truth], study.choices, study.data["blocks"])
        assert found.total.value is not None
        misrated = sorted(found.candidates, key=lambda each: -abs(each.bias.value or 0))[:2]
        ratings = ", ".join(
            f"{c.label} in block {c.block + 1} {signed(c.bias.value)} ± {c.error.value:.2f}" for c in misrated
        )
        parts = ("stand_alone", "supernet", "images", "sharing")
        shares = [f"{100 * (found.shares[part].value or 0):.0f} %" for part in parts]
        rows.append((name, f"{found.total.value**0.5:.2f}", *shares, ratings))
    head = (
        "strategy, epochs",
        "sd, points",
        "stand-alone seeds",
        "supernet seeds",
        "images",
        "weight sharing, at most",
        "most misrated, points (+ over-rated)",
    )
    return table(head, rows)


def scoring(study: Study) -> str:
    """Return how the choice of score changes τ with the longest ground truth."""
    scores = {
        "loss": "loss",
        "accuracy": "accuracy",
        "accuracy_unrecalibrated": "accuracy, not recalibrated",
        "divergence": "Bender's diagnostic",
    }
    names = study.names(study.several())
    known = [score for score in scores if any(score in study.supernets[name] for name in names)]
    rows = []
    for name in names:
        each = study.supernets[name]
        cells = [spread(study.taus(name, study.longest, what=what)) if what in each else "–" for what in known]
        rows.append((name, *cells))
    return table(("strategy, epochs", *(scores[score] for score in known)), rows)


def variants(study: Study) -> str:
    """Return variants of path-dropout, and the best accuracy with shared weights."""
    rows = []
    words = ["uniform", "path-dropout (gentle)", "path-dropout (sum)", "path-dropout"]
    for name in (label(word, 4) for word in words):
        each = study.supernets[name]
        parameters = ", ".join(f"{key} {value}" for key, value in each["parameters"].items()) or "–"
        cells = [each["sampler"], parameters, str(len(each["seeds"])), f"{study.cost(name):.1f}"]
        cells += [spread(study.taus(name, epochs)) for epochs in study.truths]
        rows.append((*cells, f"{100 * study.score(name, what='accuracy').max():.1f} %"))
    head = ("strategy, 4 epochs", "parameters", "supernets", "cost", *study.each_truth("τ, {}"))
    return table((*head, "best one-shot accuracy"), rows)
