"""A comparison as one self-contained HTML page of figures, tables and text, for screen and paper.

The page loads nothing and runs nothing but the script that sorts and filters its table, and tells the browser so
(Content-Security-Policy). Everything from a run is escaped. The same comparison and metrics give the same bytes.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from supernet_cli.glyphs import counted
from supernet_cli.reports import sheets
from supernet_cli.reports.comparison import Comparison, RunComparison
from supernet_cli.reports.formats import ABSENT, coefficient, over_supernets, probability, regret
from supernet_cli.reports.page import canvas, curves, learning, plots, scatter
from supernet_cli.reports.page.canvas import Drawing
from supernet_cli.reports.page.pareto import SIZES, pareto
from supernet_cli.reports.page.search import search
from supernet_cli.reports.parts import Word
from supernet_cli.reports.search.document import stored_search
from supernet_cli.reports.summary import MARKS, summary
from supernet_cli.store.run import Run

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_MOST_ROWS = 200
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def as_html(comparison: Comparison, runs: Sequence[Run], truth: Run | None) -> str:
    """Return the report of a comparison.

    Args:
        comparison: Of the runs.
        runs: The runs, in the same order; their trainings' metrics are drawn where they still exist.
        truth: The run whose stand-alone results were used (default: each run's own).

    Raises:
        RunError: What a search of a run has stored is damaged.
        UsageError: matplotlib is not installed.
    """
    level = 1 if len(runs) == 1 else 2
    with canvas.style():
        overview = _there([plots.runs(comparison, "runs")]) if len(runs) > 1 else []
        articles = [
            _article(found, run, truth or run, f"run-{place}", level)
            for place, (found, run) in enumerate(zip(comparison.runs, runs, strict=True), 1)
        ]
    script = f"\n{_file('table.js')}"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    several = f"{len(runs)} runs compared"
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=several if len(runs) > 1 else f"{comparison.runs[0].run}: one-shot against stand-alone",
            policy=_POLICY.format(digest=digest),
            css=_file("html.css"),
            script=script,
            comparison=comparison,
            overview=overview,
            articles=articles,
        )
    )


def _article(found: RunComparison, run: Run, source: Run, key: str, level: int) -> dict[str, object]:
    """Return what the page says of one run, as the template names it.

    Args:
        found: Its comparison.
        run: The run.
        source: The run whose stand-alone results were taken.
        key: Prefix of identifiers.
        level: Level of its heading.

    Returns:
        `summary` is None if an earlier version made the comparison; `left_out` says how many paths are not in `rows`,
        and `all_paths` is the command that lists them; `numbers` are label, value and remark of the figures behind the
        verdict; `search` is what the latest search has found, None without one. The figures are in four groups:
        `choice` has accuracy against size, `ranking` scores against truth, `sources` what makes them differ, `learning`
        the trainings, if their metrics still exist.
    """
    manifest = run.manifest
    rows = sorted(found.rows, key=lambda row: -(row.expected_accuracy or 0.0))
    left = len(rows) - _MOST_ROWS
    return {
        "run": found,
        "key": key,
        "level": level,
        "summary": summary(found),
        "facts": _facts(found, manifest.preset),
        "rows": rows[:_MOST_ROWS],
        "left_out": counted(left, "path") if left > 0 else "",
        "all_paths": run.command("compare", "--format", "csv"),
        "numbers": _numbers(found),
        "search": None if (searched := stored_search(run)) is None else search(searched, f"{key}-search"),
        "choice": _there(pareto(found, size, f"{key}-{size.name}") for size in SIZES),
        "ranking": _there(
            [
                scatter.scatter(found, f"{key}-scatter"),
                scatter.best_scatter(found, f"{key}-best"),
                plots.ranking(found, f"{key}-ranking"),
                plots.against_baselines(found, f"{key}-baselines"),
            ]
        ),
        "sources": _there([plots.disagreement(found, f"{key}-audit"), plots.rated(found, f"{key}-bias")]),
        "learning": _learning(found, run, source, key),
        "preset": manifest.preset,
        "created": f"{dt.datetime.fromtimestamp(manifest.created, dt.UTC):%Y-%m-%d %H:%M}",
        "versions": ", ".join(f"{name} {version}" for name, version in manifest.versions.items()),
    }


def _facts(found: RunComparison, preset: str) -> list[str]:
    count, size = found.n, found.space_size
    facts = [
        f"preset {preset}",
        f"sampler {found.sampler}",
        f"{count:,} of {size:,} paths" if count != size else f"all {count:,} paths",
        counted(len(found.supernet_seeds), "supernet"),
        counted(len(found.stand_alone_seeds), "stand-alone seed"),
    ]
    if found.truth is not None and found.truth.run != found.run:
        facts.append(f"stand-alone results from {found.truth.run}")
    return facts


def _learning(found: RunComparison, run: Run, source: Run, key: str) -> list[Drawing]:
    """Return the figures on training, if its metrics still exist."""
    supernets, _ = curves.trainings(run.supernet_jobs(), found.supernet_seeds)
    alone, of = curves.trainings(source.alone_jobs(), found.stand_alone_seeds)
    best = sorted(found.trained, key=lambda row: -(row.stand_alone_test_accuracy or 0.0))
    return _there(
        [
            learning.losses(supernets, alone, of, f"{key}-loss"),
            learning.accuracies(supernets, [row.path for row in best], f"{key}-accuracy"),
        ]
    )


def _numbers(found: RunComparison) -> list[tuple[str, str, str]]:
    """Return the key numbers behind the verdict."""
    ceiling, p, share = found.tau_ceiling, found.relabel_p, found.resolved_share
    known = [(each.kendall_tau, each.order) for each in found.baselines if each.kendall_tau is not None]
    tau, best = max(reversed(known), key=lambda pair: pair[0], default=(None, "unknown"))
    resolved = f"{found.resolved_pairs.value or 0:,.0f} of {found.pairs:,} differ by more than noise"
    figures = [
        (ceiling, coefficient(ceiling.value), "what a perfect ranking would reach"),
        (p, probability(p.value), "share of relabellings that do as well"),
        (share, ABSENT if share.value is None else f"{100 * share.value:.0f} %", resolved),
        (found.regret_at_1, regret(found.regret_at_1.value), "accuracy points lost"),
    ]
    rows = [(figure.label, value, remark if figure.is_known else "unknown") for figure, value, remark in figures]
    spread = found.kendall_tau
    rows.insert(0, (spread.label, coefficient(spread.mean), over_supernets(spread, len(found.supernet_seeds))))
    rows.insert(2, ("best baseline", coefficient(tau), best))
    return rows


def _there(drawings: Iterable[Drawing | None]) -> list[Drawing]:
    return [drawing for drawing in drawings if drawing is not None]


def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_file),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_text,
    )
    environment.globals |= {"sheets": sheets, "columns": sheets.PATH_COLUMNS}
    environment.filters |= {"marked": _marked, "prose": _prose, "worded": _worded}
    return environment


def _file(name: str) -> str:
    return resources.files("supernet_cli.reports.page").joinpath(name).read_text(encoding="utf-8")


def _text(value: object) -> Markup:
    """Return what a template writes, escaped and without characters that are invalid in a page."""
    from markupsafe import Markup

    return value if isinstance(value, Markup) else Markup(escape(canvas.printable(str(value))))


def _prose(text: str) -> Markup:
    """Return a text as HTML: commands in backticks as code, and no line break before or after `=`, `%` and the like."""
    from markupsafe import Markup

    text = escape(canvas.printable(re.sub(r" (?=[=%≥<])|(?<=[=≥<]) ", "\N{NO-BREAK SPACE}", text)))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", text))


def _marked(word: Word) -> str:
    """Return a word with its mark: colour alone says nothing."""
    return f"{MARKS[word]} {word.capitalize()}"


def _worded(sheet: sheets.Sheet) -> sheets.Sheet:
    """Return a table without its column of remarks if there are none."""
    remarks = [row[sheet.headings.index("")] for row in sheet.rows] if "" in sheet.headings else [""]
    return sheet if any(remarks) else sheet.without(("",))
