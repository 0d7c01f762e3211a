"""The report in HTML: needs nothing, hides nothing, breaks on nothing."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from searches import names, record_search, searched

from supernet_cli.config.load import validate
from supernet_cli.errors import UsageError
from supernet_cli.reports.compare import compare
from supernet_cli.reports.comparison import Comparison, read_comparison
from supernet_cli.reports.page import canvas, learning
from supernet_cli.reports.page import search as search_page
from supernet_cli.reports.page.curves import Curve, Training, trainings
from supernet_cli.reports.page.html import as_html
from supernet_cli.reports.page.pareto import front
from supernet_cli.reports.search.document import Pick
from supernet_cli.reports.search.points import points
from supernet_cli.reports.sheets import PATH_COLUMNS, overview, sheets, strategies
from supernet_cli.space import SearchSpace
from supernet_cli.store.layout import Way
from supernet_cli.store.records import JobEnded, JobStarted, PathScore, PathsEvaluated, Record, StepsTrained, encode
from supernet_cli.store.results import PathProfile, Profiles, ScoreRow, keep_profiles, keep_scores
from supernet_cli.store.run import Run
from supernet_cli.store.runs import create_run

BATCH = 50
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """What a page is made of; it must be well formed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]


def made(root: Path, name: str = "made", sampler: str = "uniform", candidates: int = 2, seeds: int = 2) -> Run:
    """Return a run with invented facts: candidates^2 paths, as many supernet as stand-alone seeds."""
    block = {"channels": 4, "pool": 2, "candidates": ["conv1x1", "conv3x3", "conv5x5", "conv7x7"][:candidates]}
    preset = validate(
        {
            "data": {"dataset": "mnist", "validation": 100},
            "space": {"hidden": 16, "blocks": [block, block]},
            "train": {
                "epochs": 2,
                "batch_size": BATCH,
                "seeds": list(range(seeds)),
                "optimizer": {"name": "SGD", "lr": 0.1},
                "sampler": {"name": sampler},
            },
        },
        Path("made.toml"),
    )
    run = create_run(root, name, preset)
    paths = list(SearchSpace.from_config(preset.space).enumerate())
    rng = np.random.default_rng(len(name))
    test, validation, answers = [], [], {}
    for seed in range(seeds):
        right = {str(path): rng.random(200) < 0.8 + 0.02 * sum(path.choices) for path in paths}
        answers[Way.ALONE, seed] = right
        for path in paths:
            alone, shared = float(right[str(path)].mean()), 0.7 + 0.03 * sum(path.choices) + 0.01 * rng.random()
            test += [row(str(path), Way.ALONE, seed, alone), row(str(path), Way.ONE_SHOT, seed, shared)]
            validation += [row(str(path), Way.ALONE, seed, alone), row(str(path), Way.ONE_SHOT, seed, shared)]
            write_metrics(run.alone_job(path, seed).path, [str(path)])
        write_metrics(run.supernet_job(seed).path, [str(path) for path in paths])
    keep_scores(run, "test", test, answers)
    keep_scores(run, "validation", validation, {})
    sizes = {
        str(path): PathProfile(
            parameters=1000 + sum(path.choices), macs=10**6, latency_seconds=None, latency_batch_seconds=None
        )
        for path in paths
    }
    keep_profiles(run, Profiles(paths=sizes))
    return run


def row(path: str, kind: Any, seed: int, accuracy: float) -> ScoreRow:
    return ScoreRow(
        path=path, kind=kind, seed=seed, accuracy=accuracy, loss=1 - accuracy, accuracy_unrecalibrated=accuracy
    )


def write_metrics(folder: Path, paths: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    records: list[Record] = [
        JobStarted(
            step=0, steps=40, epochs=2, paths=4, train_images=1000, validation_images=100, device="cpu", threads=1
        )
    ]
    for step in range(4, 41, 4):
        records.append(
            StepsTrained(
                step=step,
                epoch=1,
                objective=1.0,
                loss=2 / step,
                learning_rate=0.1,
                forward_images=2 * BATCH * step,
                seconds=1.0,
            )
        )
        if step % 20 == 0:
            scores = tuple(PathScore(path=path, accuracy=0.9 - 1 / step, loss=0.3) for path in paths)
            records.append(PathsEvaluated(step=step, epoch=1, scores=scores, seconds=1.0))
    records.append(JobEnded(step=40, state="finished"))
    (folder / "metrics-0.jsonl").write_text("".join(f"{encode(record)}\n" for record in records))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return made(tmp_path_factory.mktemp("runs"), seeds=1, candidates=3)


@pytest.fixture(scope="module")
def comparison(run: Run) -> Comparison:
    return compare([run])


@pytest.fixture(scope="module")
def document(comparison: Comparison) -> dict[str, Any]:
    return comparison.document()


@pytest.fixture(scope="module")
def report(comparison: Comparison, run: Run) -> str:
    return as_html(comparison, [run], None)


def read(document: dict[str, Any]) -> Comparison:
    found = read_comparison(document)
    assert found is not None
    return found


def changed(document: dict[str, Any], **fields: Any) -> Comparison:
    return read({"runs": [{**copy.deepcopy(document["runs"][0]), **fields}]})


def test_a_report_needs_nothing_but_itself(report: str) -> None:
    page = Page(report)
    assert not {"link", "img", "iframe", "object", "base", "image", "foreignobject"} & set(page.tags)
    (script,) = re.findall(r"<script>(.*?)</script>", report, re.DOTALL)
    assert f"script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in report
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "srcset", "action")]
    assert "http:" not in report
    assert "https:" not in report
    assert "@import" not in report
    assert all(found.startswith("#") for found in re.findall(r"url\(([^)]*)", report))
    assert "default-src 'none'" in report


def test_what_is_referred_to_is_there_once(report: str) -> None:
    page = Page(report)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {value.removeprefix("#") for value in page.values("href")} <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", report)) <= set(ids)


def test_the_verdict_all_tables_and_figures_and_the_run_are_there(
    report: str, comparison: Comparison, document: dict[str, Any]
) -> None:
    page, entry = Page(report), document["runs"][0]
    text = squeezed(page.text)
    assert page.tags.count("figure") == page.tags.count("svg") == 9
    assert all(page.values("aria-label"))
    answer = entry["answer"]
    for words in (answer["word"].capitalize(), answer["reason"], answer["next"]["purpose"], answer["next"]["command"]):
        assert squeezed(words) in text
    for sheet in sheets(comparison.runs[0])[1:]:
        assert squeezed(sheet.title) in text
        assert all(squeezed(cell) in text for cells in sheet.rows for cell in cells)
    for sentence in entry["verdict"].split(". "):
        assert squeezed(sentence) in text
    for reason in entry["notes"].values():
        assert squeezed(reason) in text
    assert squeezed(f"Run {entry['run']}, preset made, created") in text
    assert "torch" in text


def test_the_table_of_paths_holds_every_path_with_its_figures(report: str, document: dict[str, Any]) -> None:
    rows = sorted(document["runs"][0]["rows"], key=lambda row: -(row["expected_accuracy"] or 0.0))
    table = re.search(r'<div class="sheet paths">.*?</table>', report, re.DOTALL)
    assert table is not None
    body = table[0].partition("<tbody>")[2]
    assert re.findall(r'<th scope="row" class="words">([^<]*)</th>', body) == [row["path"] for row in rows]
    figures = re.findall(r'data-v="([^"]*)"', body)
    assert len(figures) == len(rows) * len(PATH_COLUMNS)
    assert float(figures[0]) == pytest.approx(rows[0]["expected_accuracy"], abs=1e-5)
    assert table[0].count('<th scope="col"') == len(PATH_COLUMNS) + 1
    assert re.findall(r'aria-sort="(\w+)">([^<]*)<', table[0]) == [("descending", "accuracy")]
    assert "<button" not in table[0], "without scripts there is nothing to press"


def test_the_front_holds_what_nothing_smaller_is_better_than() -> None:
    assert front([1.0, 0.5, 1.0, 2.0, 1.5]) == [True, False, False, True, False]
    assert front([]) == []


def squeezed(text: str) -> str:
    """Return a text without spaces, and without the backticks that mark commands in it."""
    return re.sub(r"[\s`]", "", text)


def test_what_a_search_found_is_a_section_with_the_front(tmp_path: Path) -> None:
    run = made(tmp_path, seeds=1)
    comparison = compare([run])
    before = Page(as_html(comparison, [run], None))
    assert "The front of the search" not in before.text
    found = searched(most=4e6).model_copy(update={"finished": False})
    record_search(run.folder, found, names(6))
    text = as_html(comparison, [run], None)
    page = Page(text)
    assert page.tags.count("figure") == page.tags.count("svg") == before.tags.count("figure") + 1
    words = squeezed(page.text)
    for part in (
        found.verdict,
        "what evidence is worth",
        "of what it leaves open",
        "random paths 89.50",
        found.command,
    ):
        assert squeezed(part) in words
    alt = f"{len(points(found))} paths; {len(found.front)} are on the front, the pick is {found.pick.path}."
    assert any(label.endswith(alt) for label in page.values("aria-label"))
    for shape in ("Discs: trained", "hollow diamonds", "crosses", "square: the pick"):
        assert squeezed(shape) in words
    table = text[text.index('<table aria-label="Leading paths"') :]
    assert table[: table.index("</table>")].count("<tr>") == 1 + min(20, len(found.paths))
    assert as_html(comparison, [run], None) == text


@pytest.mark.parametrize("trained", [[2], range(64)])
def test_the_front_of_a_search_is_drawn_for_any_number_of_trainings(trained: list[int]) -> None:
    found = searched(trained, blocks=1 if len(trained) == 1 else 3, against="latency")
    with canvas.style():
        drawing = search_page.front(found, "front")
    assert drawing is not None
    assert ("hollow diamonds" in drawing.caption) == (len(trained) == 1)
    nothing = found.model_copy(
        update={"against": "latency", "pick": _without_latency(found.pick), "paths": (), "front": ()}
    )
    with canvas.style():
        assert search_page.front(nothing, "front") is None


def _without_latency(pick: Pick) -> Pick:
    return pick.model_copy(update={"latency_seconds": None})


def test_commands_in_remarks_are_code(report: str) -> None:
    assert "<code>supernet evaluate" in report
    assert "`" not in report


def test_the_same_comparison_gives_the_same_bytes(report: str, comparison: Comparison, run: Run) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "text.usetex": True}):
        assert as_html(comparison, [run], run) == report


def test_colours_are_the_page_s_own(report: str) -> None:
    figures = "".join(re.findall(r"<svg.*?</svg>", report, re.DOTALL))
    assert set(re.findall(r"#[0-9a-f]{6}\b", figures)) == set()
    names = set(re.findall(r"var\(--(\w+)\)", report))
    defined = re.findall(r"--(\w+):", report)
    assert all(defined.count(name) == 3 for name in names), "light, dark and print define every colour"


def test_hostile_names_stay_words(document: dict[str, Any], run: Run) -> None:
    evil = "<script>alert('$x_1$')</script>\"&\x00\x1b]--> 路 \ud800"
    hostile = json.loads(json.dumps(document).replace("conv3x3", "EVIL").replace("made", "EVIL"))
    hostile = replaced(hostile, "EVIL", evil)
    hostile["runs"][0] |= {"verdict": f"{evil}. {evil}", "notes": {evil: evil, "tau_ceiling": evil}}
    hostile["runs"][0]["missing"] = [{"what": evil, "command": evil}]
    text = as_html(read(hostile), [run], None)
    page = Page(text)
    assert page.tags.count("script") == 1  # its own
    assert "\x00" not in text
    assert "\x1b" not in text
    text.encode()
    assert "<script>alert('$x_1$')</script>\"&" in page.text


def replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key.replace(old, new): replaced(part, old, new) for key, part in value.items()}
    if isinstance(value, list):
        return [replaced(part, old, new) for part in value]
    return value.replace(old, new) if isinstance(value, str) else value


_KNOWN = {"run", "n", "space_size", "coverage", "sampler", "score", "path", "name", "split", "block", "label", "paths"}


def nothing(value: Any, key: str = "") -> Any:
    """Return a document with everything unknown that can be."""
    if isinstance(value, dict):
        return {name: nothing(part, name) for name, part in value.items()}
    if isinstance(value, list) and key != "range":
        return [nothing(part) for part in value]
    return value if key in _KNOWN or isinstance(value, str) else None


def test_unknown_fields_everywhere_break_nothing(document: dict[str, Any], run: Run) -> None:
    entry = document["runs"][0]
    kept = {name: entry[name] for name in ("supernet_seeds", "stand_alone_seeds", "relabelling", "pairs", "notes")}
    empty = nothing(entry) | kept | {"unresolved": None, "tau_corrected": None, "tau_interval": None, "decision": None}
    text = Page(as_html(read({"runs": [empty]}), [run], None)).text
    assert "Training loss" in text
    assert "nan" not in text.lower()
    assert "None" not in text


def test_a_single_row_is_a_report_without_scatter(document: dict[str, Any], run: Run) -> None:
    one = changed(document, rows=document["runs"][0]["rows"][:1])
    text = as_html(one, [run], None)
    assert "Scores against ground truth" not in text
    assert "Agreement" in text


def test_a_run_whose_metrics_and_scores_are_gone_still_gives_a_report(tmp_path: Path) -> None:
    run = made(tmp_path)
    document = compare([run])
    for path in run.folder.rglob("metrics-*.jsonl"):
        path.unlink()
    (run.folder / "results" / "evaluation.json").write_text("{")
    text = Page(as_html(document, [run], None)).text
    assert "Training loss" not in text
    assert "The metrics of these trainings are gone" in text
    assert "Scores against ground truth" in text


def test_several_runs_begin_with_all_of_them(tmp_path: Path) -> None:
    runs = [made(tmp_path, "one"), made(tmp_path, "two", sampler="epoch")]
    document = compare(runs, runs[0])
    page = Page(as_html(document, runs, runs[0]))
    assert page.values("href")[:2] == ["#run-1", "#run-2"]
    assert {"run-1", "run-2"} <= set(page.values("id"))
    assert len(page.values("id")) == len(set(page.values("id")))
    assert page.tags.count("h1") == 1
    for sheet in (overview(document), strategies(document)):
        assert sheet.title in page.text
    assert f"stand-alone results from {runs[0].id}" in page.text


def test_a_large_space_stays_a_reasonable_file(document: dict[str, Any], run: Run) -> None:
    rng, template = np.random.default_rng(0), document["runs"][0]["rows"][0]
    rows = [
        {
            **template,
            "path": f"path{index}",
            "one_shot_validation_loss": float(rng.random()),
            "stand_alone_test_accuracy": float(rng.random()),
        }
        for index in range(4096)
    ]
    text = as_html(changed(document, rows=rows, n=4096, space_size=4096, unresolved=None), [run], None)
    assert len(text) < 600_000
    assert "path199<" in text
    assert "path200<" not in text
    assert "3,896 paths not shown" in text
    assert "--format csv" in text


def test_few_unresolved_pairs_are_joined_and_many_leave_paths_hollow(document: dict[str, Any], run: Run) -> None:
    entry = document["runs"][0]
    names = [line["path"] for line in sorted(entry["rows"], key=lambda line: line["stand_alone_test_accuracy"])]
    few = as_html(
        changed(document, unresolved=[names[:2]], pairs=36, resolved_share=35 / 36, resolved_pairs=35), [run], None
    )
    assert "Dotted lines: noise hides the order of 1 of 36 pairs." in Page(few).text.replace("\xa0", " ")
    everything = [[one, other] for index, one in enumerate(names) for other in names[index + 1 :]]
    many = as_html(
        changed(document, unresolved=everything, pairs=36, resolved_share=0.0, resolved_pairs=0), [run], None
    )
    assert "Hollow: too close to a neighbour" in Page(many).text
    assert many.count("fill:var(--paper)") > few.count("fill:var(--paper)")


def test_without_matplotlib_a_sentence_says_how_to_install_it(
    supernet: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(tmp_path / "runs")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match="matplotlib"):
        as_html(compare([run]), [run], None)
    code, _, errors = supernet("compare", "--format", "html")
    assert code == 2
    assert 'pip install "supernet-cli[report]"' in " ".join(errors.split())


def test_a_report_does_not_change_how_others_draw(report: str) -> None:
    import matplotlib as mpl

    assert mpl.rcParams["svg.hashsalt"] is None


def test_curves_run_over_images_and_not_over_steps(run: Run) -> None:
    found, count = trainings(run.supernet_jobs(), [0])
    assert count == 1
    assert found[0].loss.images == tuple(2.0 * BATCH * step for step in range(4, 41, 4))
    assert found[0].loss.values == tuple(2 / step for step in range(4, 41, 4))
    (curve, *_) = found[0].accuracies.values()
    assert curve.images == (2000.0, 4000.0)
    assert curve.values == (0.9 - 1 / 20, 0.9 - 1 / 40)
    assert trainings(run.supernet_jobs(), [7]) == ([], 0)


@pytest.mark.parametrize("loss", [0.0, 1.0, 1e-12])
def test_curves_without_extent_are_drawn(loss: float) -> None:
    found = [Training(0, Curve((1.0, 2.0), (loss, loss)), {"a": Curve((1.0, 2.0), (loss, loss))})]
    with canvas.style():
        assert learning.losses(found, found * 20, 20, "loss") is not None
        assert learning.accuracies(found, [], "accuracy") is not None
        assert learning.losses([], [], 0, "loss") is None
        assert learning.accuracies([], [], "accuracy") is None


def test_paths_that_are_all_alike_are_drawn(document: dict[str, Any], run: Run) -> None:
    alike = {"stand_alone_test_accuracy": 0.5, "one_shot_validation_loss": 1e30, "stand_alone_sd": 0.0}
    rows = [{**line, **alike} for line in document["runs"][0]["rows"]]
    assert "Scores against ground truth" in as_html(changed(document, rows=rows), [run], None)


def test_reasons_are_told_once_with_the_names_of_what_they_are_about(document: dict[str, Any]) -> None:
    notes = {"tau_ceiling": "Few.", "tau_corrected.both": "Few.", "audit.candidates.0.error": "One.", "odd.key": "?"}
    assert changed(document, notes=notes).runs[0].unknowns == [
        ("Few.", ["ceiling of τ", "τ without any noise"]),
        ("One.", ["standard error of that rating"]),
    ]


def test_labels_at_line_ends_keep_apart_and_inside() -> None:
    placed = canvas.apart([5.0, 5.0, 4.0, 100.0], 10.0, 0.0, 50.0)
    order = sorted(placed)
    assert all(high - low >= 10 for low, high in zip(order[:-1], order[1:], strict=True))
    assert order[0] >= 0
    assert order[-1] <= 50
    assert placed[2] == order[0]


def test_labels_of_points_cover_neither_points_nor_each_other() -> None:
    with canvas.style():
        figure, axes = canvas.axes(300)
        x, y = [100.0, 100.5, 101.0, 105.0, 102.0], [10.0, 10.5, 10.0, 15.0, 12.0]
        axes.plot(x, y, "o")
        count = canvas.label_points(axes, x, y, ["first", "second", "third", "fourth", ""])
        figure.canvas.draw()
        boxes = [text.get_window_extent() for text in axes.texts]
        points = axes.transData.transform(list(zip(x, y, strict=True)))
    assert count == len(boxes) >= 3
    assert not any(one.overlaps(other) for index, one in enumerate(boxes) for other in boxes[:index])
    assert not any(box.contains(*point) for box in boxes for point in points)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_browser_shows_it_without_complaint(report: str, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(report, encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    done = subprocess.run(
        [*command, f"file://{tmp_path}/report.html"], capture_output=True, text=True, timeout=120, check=True
    )
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count("<figure") == 9


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_browser_sorts_numbers_as_numbers_and_filters(document: dict[str, Any], run: Run, tmp_path: Path) -> None:
    paths = document["runs"][0]["rows"]
    sizes = {line["path"]: size for line, size in zip(paths, (900, 10_000, None, 80, 7, 200, 30, 4, 5), strict=True)}
    rows = [{**line, "parameters": sizes[line["path"]]} for line in paths]
    script = """<script>
addEventListener("load", () => {
  const of = (name) => [...document.querySelectorAll(".paths thead th")].find((head) => head.textContent === name);
  const column = of("parameters").cellIndex, field = document.querySelector(".paths input");
  const shown = (index) => [...document.querySelectorAll(".paths tbody tr")].filter((row) => !row.hidden)
    .map((row) => row.cells[index].dataset.v ?? row.cells[index].textContent).join();
  const found = [];
  for (let click = 0; click < 2; click++) {
    of("parameters").querySelector("button").click();
    found.push(of("parameters").getAttribute("aria-sort"), shown(column));
  }
  field.value = "CONV3 5x5";
  field.dispatchEvent(new Event("input"));
  found.push(document.querySelectorAll("[aria-sort]").length, shown(0));
  document.title = found.join(" | ");
});
</script></body>"""
    page = as_html(changed(document, rows=rows), [run], None).replace("</body>", script)
    page = page.replace("script-src ", "script-src 'unsafe-inline' ").replace("'sha256-", "'none-")
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--dump-dom",
        f"file://{tmp_path}/report.html",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None
    assert title[1] == (
        "descending | 10000,900,200,80,30,7,5,4, | ascending | 4,5,7,30,80,200,900,10000, | 1 | "
        + ",".join(sorted((p for p in sizes if "conv3" in p and "5x5" in p), key=lambda p: sizes[p] or 10**9))
    )
