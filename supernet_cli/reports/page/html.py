"""A comparison as one self-contained HTML page of figures, tables and text, for screen and paper.

The page loads nothing and runs nothing but the script that sorts and filters its table, and tells the browser so
(Content-Security-Policy). Everything from a run is escaped. The same document and metrics give the same bytes.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from typing import Any

from supernet_cli.errors import RunError
from supernet_cli.glyphs import counted, number
from supernet_cli.reports.labels import LABELS, unknowns
from supernet_cli.reports.page import canvas, curves, learning, plots, scatter
from supernet_cli.reports.page.canvas import Drawing
from supernet_cli.reports.page.pareto import SIZES, pareto
from supernet_cli.reports.scores import scores
from supernet_cli.reports.sheets import (
    ABSENT,
    PATH_COLUMNS,
    PathColumn,
    Sheet,
    baseline_name,
    baselines,
    candidates,
    cost,
    disagreement,
    measures,
    overview,
    probability,
    regrets,
    strategies,
)
from supernet_cli.reports.summary import MARKS, summary
from supernet_cli.reports.verdict import Word, judge
from supernet_cli.runs.layout import Way
from supernet_cli.runs.results import evaluation
from supernet_cli.runs.store import Run

_MOST_ROWS = 200
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def as_html(document: dict[str, Any], runs: Sequence[Run], truth: Run | None) -> str:
    """Return the report of a comparison.

    Args:
        document: Of `supernet compare`.
        runs: The runs of its entries, in the same order.
        truth: The run whose stand-alone results were used (default: each run's own).

    Raises:
        UsageError: matplotlib is not installed.
    """
    entries = document["runs"]
    several = len(entries) > 1
    with canvas.style():
        parts = [_overview(document)] if several else []
        for number, (entry, run) in enumerate(zip(entries, runs, strict=True), 1):
            parts.append(_run(entry, run, truth or run, f"run-{number}", 2 if several else 1))
    title = f"{len(entries)} runs compared" if several else f"{entries[0]['run']}: one-shot against stand-alone"
    return _page(title, "\n".join(parts))


def _page(title: str, body: str) -> str:
    files = resources.files("supernet_cli.reports.page")
    css, script = (files.joinpath(name).read_text(encoding="utf-8") for name in ("html.css", "table.js"))
    script = f"\n{script}"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY.format(digest=digest)}">
<meta name="color-scheme" content="light dark">
<title>{_text(title)}</title>
<style>
{css}</style>
</head>
<body>
{body}
<script>{script}</script>
</body>
</html>
"""


def _overview(document: dict[str, Any]) -> str:
    """Return the overview of several runs, with a link to each."""
    entries = document["runs"]
    reasons = "".join(_reason(entry, f"run-{number}") for number, entry in enumerate(entries, 1))
    more = _table(strategies(document), 2) if document.get("strategies") else ""
    return f"""<header>
<p class="over">supernet · comparison</p>
<h1 class="title">{len(entries)} runs: whose ranking can be trusted?</h1>
</header>
<div class="runs">{_table(overview(document), 2)}</div>
<nav aria-label="Runs"><ul class="facts">{reasons}</ul></nav>
{_figures([plots.runs(document, "runs")], 2)}
{more}"""


def _reason(entry: dict[str, Any], key: str) -> str:
    """Return a link to a run's article, its word and its reason."""
    found = judge(entry)
    link = f'<a href="#{key}">{_text(entry["run"])}</a>'
    word = f'<strong class="{_kind_of(found.word)}">{_marked(found.word)}</strong>'
    return f"<li>{link} {word}<br>{_prose(found.reason)}</li>"


def _marked(word: Word) -> str:
    """Return a word with its mark: colour alone says nothing."""
    return f"{MARKS[word]} {_text(word.capitalize())}"


def _kind_of(word: Word) -> str:
    return word.replace(" ", "-")


def _run(entry: dict[str, Any], run: Run, source: Run, key: str, level: int) -> str:
    """Return the article on one run: the answer, the paths to choose from, and all figures to unfold.

    Args:
        entry: Its entry in the document.
        run: The run.
        source: The run whose stand-alone results were used.
        key: Prefix of identifiers.
        level: Level of its heading.
    """
    ranked = _figures(
        [
            scatter.scatter(entry, losses := _losses(entry, run), f"{key}-scatter"),
            scatter.best_scatter(entry, losses, f"{key}-best"),
            plots.ranking(entry, f"{key}-ranking"),
            plots.against_baselines(entry, f"{key}-baselines"),
        ],
        level + 2,
    )
    sources = _figures([plots.disagreement(entry, f"{key}-audit"), plots.rated(entry, f"{key}-bias")], level + 2)
    choice = _figures([pareto(entry, size, f"{key}-{size}") for size in SIZES], level + 2)
    table = f"{_paths(entry)}{_left_out(entry, run)}"
    sections = {
        "Ranking": [
            ranked,
            _table(measures(entry), level + 2),
            _table(baselines(entry), level + 2),
            _table(regrets(entry), level + 2),
        ],
        "Where scores and truth differ": [
            sources,
            _table(disagreement(entry), level + 2),
            _table(candidates(entry), level + 2),
        ],
        "Training and cost": [_learning(entry, run, source, key, level + 2), _table(cost(entry), level + 2)],
        "What is unknown, or known only in part": [_unknowns(entry)],
    }
    body = "".join(_section(title, level + 1, parts) for title, parts in sections.items())
    shown = {"Paths to choose from": [choice, table], "What is missing": [_missing(entry)]}
    return f"""<article id="{key}">
{_head(entry, run, level)}{"".join(_section(title, level + 1, parts) for title, parts in shown.items())}
<details>
<summary>All figures: agreement, baselines, sources of disagreement, cost</summary>
<p class="verdict">{_prose(entry["verdict"])}</p>
{_numbers(entry)}{body}
</details>
{_foot(entry, run)}
</article>"""


def _learning(entry: dict[str, Any], run: Run, source: Run, key: str, level: int) -> str:
    """Return the figures on training, if its metrics still exist."""
    supernets, _ = curves.trainings(run.supernet_jobs(), entry["supernet_seeds"])
    alone, of = curves.trainings(source.alone_jobs(), entry["stand_alone_seeds"])
    trained = [row for row in entry["rows"] if row["stand_alone_test_accuracy"] is not None]
    best = sorted(trained, key=lambda row: -row["stand_alone_test_accuracy"])
    drawings = [
        learning.losses(supernets, alone, of, f"{key}-loss"),
        learning.accuracies(supernets, [row["path"] for row in best], f"{key}-accuracy"),
    ]
    gone = '<p class="note">The metrics of these trainings are gone, so there are no curves to show.</p>'
    return _figures(drawings, level) or gone


def _head(entry: dict[str, Any], run: Run, level: int) -> str:
    count, size = entry["n"], entry["space_size"]
    facts = [
        f"preset {run.manifest.preset}",
        f"sampler {entry['sampler']}",
        f"{count:,} of {size:,} paths" if count != size else f"all {count:,} paths",
        counted(len(entry["supernet_seeds"]), "supernet"),
        counted(len(entry["stand_alone_seeds"]), "stand-alone seed"),
    ]
    if entry["truth"]["run"] != entry["run"]:
        facts.append(f"stand-alone results from {entry['truth']['run']}")
    return f"""<header>
<p class="over">{_text(entry["run"])} · can its ranking be trusted?</p>
{_answer(entry, level)}
<p class="over">{_text(" · ".join(facts))}</p>
</header>"""


def _answer(entry: dict[str, Any], level: int) -> str:
    """Return the word, the reason, the decision, and what to do next."""
    found = summary(entry)
    if found is None:  # of an earlier version
        return f'<h{level} class="title">{_text(entry["run"])}</h{level}>'
    command = f"<br><code>{_text(found.command)}</code>" if found.command else ""
    lines = [(line.label, _prose(line.text)) for line in found.lines]
    lines.append(("next", f"{_prose(found.purpose)}{command}"))
    lines += [("its weights", f"<code>{_text(found.weights)}</code>")] if found.weights else []
    rows = "".join(f"<div><dt>{_text(label)}</dt><dd>{text}</dd></div>" for label, text in lines)
    return f"""<h{level} class="title {_kind_of(found.word)}">{_marked(found.word)}</h{level}>
<p class="lead">{_prose(found.reason)}</p>
<dl class="answer">{rows}</dl>"""


def _paths(entry: dict[str, Any]) -> str:
    """Return the table of paths, which a script sorts and filters."""
    rows = sorted(entry["rows"], key=lambda row: -(row.get("expected_accuracy") or 0.0))[:_MOST_ROWS]
    head = "".join(f'<th scope="col"{_marks(column)}>{_text(column.heading)}</th>' for column in PATH_COLUMNS)
    cells = "\n".join(f"<tr>{''.join(_path_cell(column, row) for column in PATH_COLUMNS)}</tr>" for row in rows)
    return f"""<div class="sheet paths">
<p class="filter" hidden><label>Filter by path or candidate: <input type="search" autocomplete="off"></label>
<output></output></p>
<div class="scroll" tabindex="0" role="region" aria-label="Paths">
<table aria-label="Paths">
<thead><tr>{head}</tr></thead>
<tbody>
{cells}
</tbody>
</table>
</div>
</div>
"""


def _marks(column: PathColumn) -> str:
    """Return the attributes of a heading; the first order is by expected accuracy."""
    return {"path": ' class="words"', "expected_accuracy": ' aria-sort="descending"'}.get(column.field, "")


def _path_cell(column: PathColumn, row: dict[str, Any]) -> str:
    shown = _text(column.form(row.get(column.field)))
    if column.field == "path":
        return f'<th scope="row" class="words">{shown}</th>'
    value = row.get(column.field)
    return f'<td data-v="{"" if value is None else f"{value:.9g}"}">{shown}</td>'


def _numbers(entry: dict[str, Any]) -> str:
    """Return the key numbers behind the verdict."""
    tau, ceiling, p = entry["kendall_tau"], entry["tau_ceiling"], entry["relabel_p"]
    seeds = len(entry["supernet_seeds"])
    ranged = f"{_number(tau['low'])} to {_number(tau['high'])} over {seeds} supernets"
    known = [(b["kendall_tau"], b["name"]) for b in entry["baselines"] if b["kendall_tau"] is not None]
    best = max(reversed(known), key=lambda pair: pair[0], default=(None, "unknown"))
    share, pairs, regret = entry["resolved_share"], entry["pairs"], entry["regret_at_1"]
    lost = ABSENT if regret is None else number(100 * regret, "z.3f")
    figures = [
        (LABELS["kendall_tau"], _number(tau["mean"]), ranged if seeds > 1 else "one supernet"),
        (
            LABELS["tau_ceiling"],
            _number(ceiling),
            "unknown" if ceiling is None else "what a perfect ranking would reach",
        ),
        ("best baseline", _number(best[0]), baseline_name(best[1])),
        (LABELS["relabel_p"], probability(p), "unknown" if p is None else "share of relabellings that do as well"),
        (
            LABELS["resolved_share"],
            ABSENT if share is None else f"{100 * share:.0f} %",
            "unknown" if share is None else f"{entry['resolved_pairs']:,.0f} of {pairs:,} differ by more than noise",
        ),
        (LABELS["regret_at_1"], lost, "unknown" if regret is None else "accuracy points lost"),
    ]
    cells = (
        f'<div><dt>{_text(name)}</dt><dd class="value">{_prose(value)}</dd><dd>{_prose(remark)}</dd></div>'
        for name, value, remark in figures
    )
    return f'<dl class="numbers">{"".join(cells)}</dl>'


def _section(title: str, level: int, parts: Sequence[str]) -> str:
    body = "\n".join(filter(None, parts))
    heading = f'<h{level} class="section">{_text(title)}</h{level}>'
    return f"\n<section>\n{heading}\n{body}\n</section>" if body else ""


def _figures(drawings: Iterable[Drawing | None], level: int) -> str:
    there = [_figure(drawing, level) for drawing in drawings if drawing is not None]
    return f'<div class="figures">\n{"".join(there)}</div>' if there else ""


def _figure(drawing: Drawing, level: int) -> str:
    return f"""<figure id="{drawing.name}">
<h{level} class="name">{_text(drawing.title)}</h{level}>
{drawing.svg}
<figcaption>{_prose(drawing.caption)}</figcaption>
</figure>
"""


def _table(sheet: Sheet, level: int | None = None) -> str:
    """Return a table that scrolls in its own frame if it is too wide.

    Args:
        sheet: The table.
        level: Level of its heading; None if its title is above it already.
    """
    if "" in sheet.headings and not any(row[sheet.headings.index("")] for row in sheet.rows):
        sheet = sheet.without(("",))
    kinds = [_kind(heading, sheet) for heading in sheet.headings]
    head = "".join(
        f'<th scope="col"{kind}>{_text(heading) or _REMARK}</th>'
        for heading, kind in zip(sheet.headings, kinds, strict=True)
    )
    rows = "\n".join(
        "<tr>"
        + "".join(
            f'<th scope="row"{kind}>{_text(cell)}</th>' if index == 0 else f"<td{kind}>{_prose(cell)}</td>"
            for index, (cell, kind) in enumerate(zip(row, kinds, strict=True))
        )
        + "</tr>"
        for row in sheet.rows
    )
    size = "sheet short" if len(sheet.rows) <= 20 else "sheet"
    title = f'<h{level} class="name">{_text(sheet.title)}</h{level}>\n' if level else ""
    return f"""<div class="{size}">
{title}<div class="scroll" tabindex="0" role="region" aria-label="{_text(sheet.title)}">
<table aria-label="{_text(sheet.title)}">
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
</div>
"""


_REMARK = '<span class="hidden">remark</span>'


def _kind(heading: str, sheet: Sheet) -> str:
    if not heading:
        return ' class="remark"'
    return ' class="words"' if heading in sheet.words else ""


def _left_out(entry: dict[str, Any], run: Run) -> str:
    left = len(entry["rows"]) - _MOST_ROWS
    if left <= 0:
        return ""
    command = run.command("compare", "--format", "csv")
    return f'<p class="note">{counted(left, "path")} not shown; <code>{_text(command)}</code> lists them all.</p>'


def _missing_item(what: str, command: str) -> str:
    return f"<li>{_text(what)}" + (f"<br><code>{_text(command)}</code>" if command else "") + "</li>"


def _missing(entry: dict[str, Any]) -> str:
    items = (_missing_item(item["what"], item["command"]) for item in entry["missing"])
    body = "".join(items)
    return f'<ul class="facts">{body}</ul>' if body else ""


def _unknowns(entry: dict[str, Any]) -> str:
    items = (f"<div><dt>{_text(', '.join(names))}</dt><dd>{_prose(why)}</dd></div>" for why, names in unknowns(entry))
    body = "".join(items)
    return f'<dl class="facts">{body}</dl>' if body else ""


def _foot(entry: dict[str, Any], run: Run) -> str:
    manifest = run.manifest
    created = dt.datetime.fromtimestamp(manifest.created, dt.UTC)
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    return f"""<footer>
<p>Run {_text(entry["run"])}, preset {_text(manifest.preset)}, created {created:%Y-%m-%d %H:%M} UTC</p>
<p>{_text(versions)}</p>
</footer>"""


def _losses(entry: dict[str, Any], run: Run) -> dict[str, list[float]]:
    """Return each path's loss for every supernet seed; empty if the scores no longer exist."""
    try:
        by_seed = scores(run, evaluation(run), "validation", Way.ONE_SHOT)
    except RunError:
        return {}
    found: dict[str, list[float]] = {}
    for seed in entry["supernet_seeds"]:
        for name, row in by_seed.get(seed, {}).items():
            if row.loss is not None:
                found.setdefault(name, []).append(row.loss)
    return found


def _number(value: float | None) -> str:
    return ABSENT if value is None else number(value)


def _text(text: str) -> str:
    return escape(canvas.printable(text))


def _prose(text: str) -> str:
    """Return a text as HTML: commands in backticks as code, and no line break before or after `=`, `%` and the like."""
    text = _text(re.sub(r" (?=[=%≥<])|(?<=[=≥<]) ", "\N{NO-BREAK SPACE}", text))
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
