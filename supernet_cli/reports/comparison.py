"""What `supernet compare` finds, as typed objects: the JSON document, its schema and every screen come out of them.

In memory, a figure carries its number, the reason why there is none or what qualifies it, and its label. In the
document, figures are plain numbers, and the reasons stand beside them in `notes`, by the field that they concern. This
module is the one place where the two forms meet: `document` writes, `read_comparison` reads.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError, computed_field, model_validator

from supernet_cli.errors import UsageError
from supernet_cli.reports.figures import (
    BestSpread,
    Bounds,
    Figure,
    Label,
    Measure,
    Number,
    Pair,
    Part,
    Range,
    Sparse,
    Spread,
    Whole,
)
from supernet_cli.reports.parts import (
    Answer,
    Audit,
    Baseline,
    Corrected,
    Costs,
    Coverage,
    Decision,
    Divergence,
    EqualMacs,
    GroundTruth,
    Lost,
    McNemar,
    Missing,
    Relabelling,
    Trainings,
)

if TYPE_CHECKING:
    import pandas as pd

_MOST_REPAIRS = 20


class PathRow(Part):
    """What is known of one path: accuracies are fractions, losses nats per image, times seconds.

    Args:
        losses: One-shot validation loss of each supernet seed that has one; not part of the document.
    """

    path: str
    one_shot_validation_loss: float | None = None
    one_shot_validation_accuracy: float | None = None
    one_shot_test_accuracy: float | None = None
    one_shot_test_sd: float | None = None
    stand_alone_test_accuracy: float | None = None
    stand_alone_sd: float | None = None
    stand_alone_test_loss: float | None = None
    stand_alone_validation_accuracy: float | None = None
    stand_alone_seeds: Whole = 0
    expected_accuracy: float | None = None
    expected_error: float | None = None
    expected_low: float | None = None
    expected_high: float | None = None
    difference: float | None = None
    parameters: Whole | None = None
    macs: Whole | None = None
    latency_seconds: float | None = None
    synflow: float | None = None
    naswot: float | None = None
    gradient_norm: float | None = None
    seconds: float | None = None
    losses: tuple[float, ...] = Field((), exclude=True)


class RunComparison(Part):
    """The comparison of one run's one-shot scores with training from scratch.

    Args:
        caution: What the choice of paths does to τ as observed, part of its note; not part of the document.
    """

    run: str = ""
    sampler: str = ""
    n: Whole = 0
    space_size: Whole = 0
    coverage: Coverage = "all"
    supernet_seeds: tuple[Whole, ...] = ()
    stand_alone_seeds: tuple[Whole, ...] = ()
    score: str = ""
    truth: GroundTruth | None = None
    forward_images: Number | None = None
    divergence: Annotated[Divergence, Label("τ of Bender's diagnostic")] = Divergence()
    rows: tuple[PathRow, ...] = ()
    kendall_tau: Annotated[Spread, Label("τ as observed")] = Spread()
    kendall_tau_expected: Annotated[Bounds, Label("τ")] = Bounds()
    spearman_rho: Annotated[Spread, Label("Spearman ρ")] = Spread()
    kendall_tau_top_quarter: Annotated[BestSpread, Label("τ in the best quarter")] = BestSpread()
    spearman_rho_top_quarter: Annotated[Spread, Label("ρ in the best quarter")] = Spread()
    seed_agreement: Annotated[Measure, Label("agreement of seeds")] = Measure()
    seed_agreement_top_quarter: Annotated[Measure, Label("agreement of seeds in the best quarter")] = Measure()
    supernet_agreement: Annotated[Measure, Label("agreement of supernets")] = Measure()
    tau_ceiling: Annotated[Measure, Label("ceiling of τ")] = Measure()
    sparse_tau: Annotated[Measure, Label("τ at 0.1 % accuracy")] = Measure()
    tau_interval: Annotated[Range, Label("95 % interval of τ")] = Range()
    tau_corrected: Corrected = Corrected()
    relabel_p: Annotated[Measure, Label("p by relabelling")] = Measure()
    relabelling: Relabelling = Relabelling()
    tau_bootstrap: Annotated[Range, Label("95 % interval, resampling paths")] = Range()
    resolved_share: Annotated[Measure, Label("resolved pairs")] = Measure()
    resolved_gamma: Annotated[Measure, Label("γ of resolved pairs")] = Measure()
    resolved_pairs: Annotated[Measure, Label("resolved pairs")] = Measure()
    seed_sd: Annotated[Measure, Label("noise of stand-alone seeds")] = Measure()
    mcnemar: McNemar = McNemar()
    pairs: Whole = 0
    unresolved: tuple[tuple[str, str], ...] | None = None
    regret_at_1: Annotated[Measure, Label("regret@1")] = Measure()
    regret_at_1_interval: Pair | None = None
    regret_at_1_cost: Trainings = Trainings()
    regret_at_1_baselines: dict[str, float | None] = {}
    regret_at_1_baseline_intervals: dict[str, Pair | None] = {}
    regret_at_1_baseline_costs: dict[str, Trainings] = {}
    regret_at_3: Annotated[Measure, Label("regret@3")] = Measure()
    regret_at_3_interval: Pair | None = None
    regret_at_3_cost: Trainings = Trainings()
    regret_at_3_baselines: dict[str, float | None] = {}
    regret_at_3_baseline_intervals: dict[str, Pair | None] = {}
    regret_at_3_baseline_costs: dict[str, Trainings] = {}
    decision: Decision | None = None
    baselines: tuple[Baseline, ...] = ()
    at_equal_macs: Annotated[EqualMacs, Label("correlation at equal MACs")] = EqualMacs()
    audit: Audit = Audit()
    cost: Costs = Costs()
    missing: tuple[Missing, ...] = ()
    answer: Answer | None = None
    verdict: str = ""
    caution: str = Field("", exclude=True)

    @computed_field(repr=False)  # type: ignore[prop-decorator]
    @property
    def notes(self) -> dict[str, str]:
        """Why figures are unknown, or what limits them, by field."""
        noted = [(key, figure.note) for key, figure in _figures(self) if figure.note]
        return dict(sorted(noted, key=lambda pair: self._place(pair[0].partition(".")[0])))

    def _place(self, name: str) -> int:
        if name == "kendall_tau" and not self.caution:
            name = "kendall_tau_expected"
        return _NOTED.index(name) if name in _NOTED else len(_NOTED)

    @property
    def unknowns(self) -> list[tuple[str, list[str]]]:
        """Each reason why something is unknown or limited, and the labels of what it concerns."""
        labels, found = dict(_figures(self)), dict[str, list[str]]()
        for key, why in self.notes.items():
            names = found.setdefault(why, [])
            if labels[key].label not in names:
                names.append(labels[key].label)
        return list(found.items())

    @property
    def trained(self) -> list[PathRow]:
        """The rows of the paths trained from scratch."""
        return [row for row in self.rows if row.stand_alone_test_accuracy is not None]

    def lost(self, order: str = "") -> tuple[Lost, Lost]:
        """Return what training the first path only loses, and the first three.

        Args:
            order: A baseline's name in `regret_at_1_baselines`; that of the supernets if empty.
        """
        if not order:
            return (
                Lost(self.regret_at_1.value, self.regret_at_1_interval, self.regret_at_1_cost),
                Lost(self.regret_at_3.value, self.regret_at_3_interval, self.regret_at_3_cost),
            )
        one, three = (
            Lost(values.get(order), bounds.get(order), costs.get(order, Trainings()))
            for values, bounds, costs in (
                (self.regret_at_1_baselines, self.regret_at_1_baseline_intervals, self.regret_at_1_baseline_costs),
                (self.regret_at_3_baselines, self.regret_at_3_baseline_intervals, self.regret_at_3_baseline_costs),
            )
        )
        return one, three

    @model_validator(mode="before")
    @classmethod
    def _lifted(cls, data: Any) -> Any:
        """Move the document's notes to the figures that they concern."""
        return _with_notes(data)


_NOTED = (
    *("regret_at_1", "regret_at_3", "divergence", "kendall_tau", "seed_agreement", "seed_agreement_top_quarter"),
    *("supernet_agreement", "tau_ceiling", "sparse_tau", "tau_interval", "tau_corrected", "kendall_tau_top_quarter"),
    *("kendall_tau_expected", "spearman_rho", "spearman_rho_top_quarter", "relabel_p", "tau_bootstrap"),
    *("resolved_share", "resolved_gamma", "resolved_pairs", "seed_sd", "mcnemar", "baselines", "at_equal_macs"),
    *("audit", "cost"),
)
"""The order of the notes."""


class Strategy(Part):
    """A run's strategy compared with `uniform`, over supernet seeds.

    Args:
        budget: A remark if the two were trained with different budgets; among the document's notes.
    """

    run: str
    sampler: str
    against: str
    difference: Measure = Measure()
    p: Measure = Measure()
    adjusted: Measure = Measure()
    budget: str = Field("", exclude=True)

    @computed_field(repr=False)  # type: ignore[prop-decorator]
    @property
    def notes(self) -> dict[str, str]:
        """Why figures are unknown, by field; and `budget`."""
        noted = {key: figure.note for key, figure in _figures(self) if figure.note}
        return noted | ({"budget": self.budget} if self.budget else {})

    @model_validator(mode="before")
    @classmethod
    def _lifted(cls, data: Any) -> Any:
        """Move the document's notes to the figures that they concern."""
        data = _with_notes(data)
        budget = data["notes"].get("budget") if isinstance(data, dict) and isinstance(data.get("notes"), dict) else None
        return data if budget is None else {**data, "budget": budget}


class Comparison(Sparse):
    """The result of `supernet compare`.

    Args:
        runs: An entry for each run.
        strategies: Runs compared with that of `uniform`; None for one run.
        notes: Why there are no strategies; None for one run.
    """

    runs: tuple[RunComparison, ...]
    strategies: tuple[Strategy, ...] | None = None
    notes: dict[str, str] | None = None

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return self.model_dump(mode="json")

    def to_dataframe(self) -> pd.DataFrame:
        """Return a table with a row for each path of each run, and the fields of `PathRow` after the run's id.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise UsageError("A data frame needs pandas.", "Install it: pip install pandas") from error
        rows = ({"run": run.run, **row.model_dump(exclude={"losses"})} for run in self.runs for row in run.rows)
        return pd.DataFrame(rows)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the document."""
    return Comparison.model_json_schema(mode="serialization")


def read_comparison(document: object) -> Comparison | None:
    """Return a stored document as far as it can be understood; None if it holds no comparison.

    What an earlier version did not write is None; so is what is damaged.

    Args:
        document: What the JSON file holds.
    """
    for _ in range(_MOST_REPAIRS):
        try:
            return Comparison.model_validate(document)
        except ValidationError as error:
            document = copy.deepcopy(document)
            found = error.errors(include_url=False, include_context=False, include_input=False)
            places = {_deepest(document, each["loc"]) for each in found}
            for *above, last in sorted(filter(None, places), key=repr, reverse=True):
                holder: Any = document
                for name in above:
                    holder = holder[name]
                del holder[last]
            if () in places:
                return None
    return None


def _deepest(document: object, place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return the part of a place that exists in a document."""
    found: list[int | str] = []
    for name in place:
        is_there = name in document if isinstance(document, dict) else False
        if isinstance(document, list) and isinstance(name, int):
            is_there = name < len(document)
        if not is_there:
            break
        document = document[name]  # type: ignore[index]
        found.append(name)
    return tuple(found)


def _figures(part: Part, above: str = "") -> Iterator[tuple[str, Figure]]:
    """Yield the keys of all notes that a part can have, with the figures that carry them."""
    for name, value in part:
        yield from _figures_of(value, f"{above}{name}")


def _figures_of(value: object, key: str) -> Iterator[tuple[str, Figure]]:
    if isinstance(value, Part):
        yield from _figures(value, f"{key}.")
    if isinstance(value, Figure):
        yield from ((key + suffix, value) for suffix in value._suffixes)
    if isinstance(value, tuple) and value and not isinstance(value[0], PathRow):
        for place, each in enumerate(value):
            yield from _figures_of(each, f"{key}.{each.name if isinstance(each, Baseline) else place}")


def _with_notes(data: Any) -> Any:
    """Return a part of the document with its notes at the figures that they concern."""
    notes = data.get("notes") if isinstance(data, Mapping) else None
    if not isinstance(notes, Mapping):
        return data
    data = {name: part if name == "rows" else copy.deepcopy(part) for name, part in data.items()}
    for key, note in notes.items():
        place = [name for name in key.split(".") if name not in ("low", "high")]
        if place and place[0] != "rows":  # rows are large, and have no notes
            _lift(data, place, note)
    return data


def _lift(data: Any, place: list[str], note: object) -> None:
    """Write a note into the figure at a place; nothing happens if there is none."""
    *above, last = place
    for name in above:
        if isinstance(data, dict) and name in data:
            data[name] = {} if data[name] is None else data[name]
            data = data[name]
        else:
            data = _element(data, name)
    if isinstance(data, dict):
        value = data.get(last)
        data[last] = {**value, "note": note} if isinstance(value, dict) else {"value": value, "note": note}
    elif isinstance(baseline := _element(data, last), dict):
        baseline["note"] = note


def _element(data: Any, name: str) -> Any:
    """Return the element of a list with a name or at a place; None if there is none."""
    for place, each in enumerate(data if isinstance(data, list) else ()):
        if str(place) == name or (isinstance(each, dict) and each.get("name") == name):
            return each
    return None
