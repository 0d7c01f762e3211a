"""Paths trained for use: as long as is asked for, maybe with a teacher, and kept apart from every ranking."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import only_run
from torch import Tensor, nn
from torch.nn import functional

from supernet_cli.store.alone import AloneJob
from supernet_cli.store.job import JobWriter, create_job
from supernet_cli.store.layout import Way
from supernet_cli.store.results import selections
from supernet_cli.store.runs import find_run
from supernet_cli.store.state import Wish
from supernet_cli.training.distillation import Distillation
from supernet_cli.training.prepare import prepare
from supernet_cli.training.retrain import AloneTraining
from supernet_cli.training.stored import network_spec
from supernet_cli.workflows.final import Final, teacher
from supernet_cli.workflows.session import Session

Invoke = Callable[..., tuple[int, str, str]]
FIRST, LAST = "conv3x3_conv3x3", "conv5x5_conv5x5"


@pytest.fixture
def ranked(supernet: Invoke, tiny_file: Path, tmp_path: Path) -> Path:
    """Return the folder of a run whose paths are all trained from scratch and evaluated."""
    assert supernet("experiment", "--preset", tiny_file, "--workers", "1", "--quiet")[0] == 0
    return only_run(tmp_path)


def test_a_final_training_is_as_long_as_asked_for_and_changes_no_comparison(supernet: Invoke, ranked: Path) -> None:
    before = json.loads(supernet("compare", "--json")[1])
    code, out, err = supernet("retrain", FIRST, "--epochs", "3", "--seeds", "0", "--workers", "1", "--json")
    assert code == 0, err
    (job,) = json.loads(out)["jobs"]
    assert (job["status"], job["init"]) == ("finished", "final")
    records = (ranked / "final" / FIRST / "seed-0" / "metrics-0.jsonl").read_text()
    assert max(json.loads(line).get("epoch", 0) for line in records.splitlines()) == 3
    assert supernet("evaluate", "--json")[0] == 0
    scores = json.loads((ranked / "results" / "evaluation.json").read_text())["splits"]["test"]
    assert [row["path"] for row in scores if row["kind"] == "final"] == [FIRST]
    assert json.loads(supernet("compare", "--json")[1]) == before


def test_one_path_has_one_final_recipe(supernet: Invoke, ranked: Path) -> None:
    assert supernet("retrain", FIRST, "--epochs", "1", "--seeds", "0", "--workers", "1", "--quiet")[0] == 0
    assert supernet("retrain", FIRST, "--epochs", "1", "--seeds", "1", "--workers", "1", "--quiet")[0] == 0
    code, _, err = supernet("retrain", FIRST, "--epochs", "2", "--seeds", "0", "--workers", "1")
    assert code == 2
    assert "has a final training of this run already: 1 epoch" in err
    folder = ranked / "final" / FIRST
    assert f"Delete {folder.relative_to(Path.cwd())}" in " ".join(err.split())
    for file in sorted(folder.rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    assert supernet("retrain", FIRST, "--epochs", "2", "--seeds", "0", "--workers", "1", "--quiet")[0] == 0


def test_the_preview_knows_the_length(supernet: Invoke, ranked: Path) -> None:
    code, out, _ = supernet("retrain", FIRST, "--epochs", "7", "--dry-run")
    assert code == 0
    assert "7 epochs" in out
    assert not (ranked / "final").exists()


def test_a_teacher_changes_what_is_learned_and_stays_the_same_training(
    supernet: Invoke, ranked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught = ("retrain", FIRST, "--teacher", LAST, "--workers", "1", "--json")
    assert supernet(*taught, "--seeds", "0")[0] == 0
    run = find_run(ranked.parent, "latest")
    (final,) = (known.final for known in selections(run) if known.final is not None)
    assert (final.teacher, final.temperature, final.epochs) == (LAST, 4.0, run.preset().standalone_recipe().epochs)
    job = run.folder / final.teacher_job
    assert (job / "weights.safetensors").is_file()
    monkeypatch.setattr("supernet_cli.workflows.final.best_by_validation", lambda jobs: pytest.fail("chosen again"))
    assert supernet(*taught, "--seeds", "1")[0] == 0
    assert {known.final.teacher_job for known in selections(run) if known.final} == {final.teacher_job}
    alone = (ranked / "standalone" / FIRST / "seed-0" / "weights.safetensors").read_bytes()
    assert (ranked / "final" / FIRST / "seed-0" / "weights.safetensors").read_bytes() != alone


def test_an_interrupted_final_training_ends_as_one_that_was_not(supernet: Invoke, ranked: Path) -> None:
    run = find_run(ranked.parent, "latest")
    path = Session(run).space.parse(FIRST)
    job = run.alone_jobs()[-1]
    final = Final(epochs=2, teacher=LAST, teacher_job=f"standalone/{LAST}/seed-{job.seed}", temperature=2.0)
    work = AloneTraining.of(prepare(run.preset()), None, final, teacher(Session(run), final))
    work.set_up()
    weights = []
    for seed, wishes in ((0, []), (1, [None, None, None, Wish.STOP])):
        folder = run.alone_job(path, seed, Way.FINAL)
        create_job(folder)
        again = AloneJob(folder, path, 0)  # the same numbers in both folders
        if wishes:
            with JobWriter(folder) as writer:
                assert work.run(again, writer, iter(wishes).__next__).state == "stopped"
        with JobWriter(folder) as writer:
            assert work.run(again, writer, lambda: None).state == "finished"
        weights.append(folder.weights.read_bytes())
    assert weights[0] == weights[1]


def test_the_objective_is_that_of_hinton_and_others() -> None:
    torch.manual_seed(0)
    student_BK, teacher_BK = torch.randn(5, 3, requires_grad=True), torch.randn(5, 3)
    labels_B, temperature = torch.tensor([0, 1, 2, 0, 1]), 3.0
    hard = functional.cross_entropy(student_BK, labels_B)
    found = Distillation(nn.Identity(), temperature).objective(hard, student_BK, teacher_BK)
    soft_BK, target_BK = (student_BK / temperature).softmax(1), (teacher_BK / temperature).softmax(1)
    divergence = (target_BK * (target_BK / soft_BK).log()).sum(1).mean()
    torch.testing.assert_close(found, 0.1 * hard + 0.9 * 9 * divergence)
    (gradient,) = torch.autograd.grad(found - 0.1 * hard, student_BK)
    torch.testing.assert_close(gradient, 0.9 * temperature * (soft_BK - target_BK) / 5)


class Brightness(nn.Module):
    """Takes pixels, and makes logits of their mean."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.register_buffer("slopes", torch.arange(float(classes)))

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Return logits, (B, K)."""
        return pixels_BCHW.float().mean((1, 2, 3))[:, None] * self.get_buffer("slopes")


def exported(network: nn.Module, ranked: Path) -> Path:
    """Return a file with a network for the pixels of a run."""
    batch, file = torch.export.Dim("batch"), ranked.parent / "teacher.pt2"
    shape = network_spec(find_run(ranked.parent, "latest"), None).image_shape
    pixels = torch.zeros(2, *shape, dtype=torch.uint8)
    torch.export.save(torch.export.export(network, (pixels,), dynamic_shapes=({0: batch},)), file)
    return file


def test_an_exported_network_teaches_and_sees_the_pixels(supernet: Invoke, ranked: Path) -> None:
    file = exported(Brightness(), ranked)
    code, _, err = supernet("retrain", FIRST, "--teacher", file, "--seeds", "0", "--workers", "1")
    assert code == 0, err
    run = find_run(ranked.parent, "latest")
    found = teacher(Session(run), Final(epochs=1, teacher=str(file), temperature=4.0))
    assert found is not None
    spec = network_spec(run, None)
    pixels = torch.randint(0, 256, (3, *spec.image_shape), dtype=torch.uint8)
    mean, std = (torch.tensor(values)[:, None, None] for values in (spec.normalisation.mean, spec.normalisation.std))
    torch.testing.assert_close(found((pixels / 255 - mean) / std), Brightness()(pixels))
    code, _, err = supernet("retrain", LAST, "--teacher", exported(Brightness(7), ranked), "--workers", "1")
    assert (code, "gives 7 numbers for an image, not one per class (10)" in " ".join(err.split())) == (2, True), err


def test_what_was_trained_for_use_is_exported_and_can_teach(supernet: Invoke, ranked: Path, tmp_path: Path) -> None:
    assert supernet("retrain", FIRST, "--epochs", "3", "--seeds", "0", "--workers", "1", "--quiet")[0] == 0
    code, out, err = supernet("export", FIRST, "--format", "safetensors,pt2", "--json")
    assert code == 0, err
    model = json.loads(out)
    assert (model["weights"], model["recipe"]["epochs"]) == ("final", 3)
    weights = ranked / "final" / FIRST / "seed-0" / "weights.safetensors"
    assert (tmp_path / "model" / "model.safetensors").stat().st_size == pytest.approx(weights.stat().st_size, rel=0.2)
    assert "trained from scratch for use, seed 0" in (tmp_path / "model" / "README.md").read_text()
    scratch = supernet("export", FIRST, "--weights", "scratch", "--format", "safetensors", "-o", "other", "--json")
    assert json.loads(scratch[1])["weights"] == "scratch"
    code, _, err = supernet("export", LAST, "--weights", "final", "-o", "none")
    assert (code, f"retrain {LAST} --epochs" in " ".join(err.split())) == (5, True), err
    assert supernet("retrain", LAST, "--teacher", "model", "--seeds", "0", "--workers", "1", "--quiet")[0] == 0


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--temperature", "2"], 2, "--teacher PATH"),
        (["--teacher", LAST, "--temperature", "0"], 2, "softens nothing"),
        (["--epochs", "2", "--short"], 2, "cannot be combined with --short"),
        (["--teacher", LAST, "--init", "inherit"], 2, "cannot be combined with --init inherit"),
        (["--teacher", "conv7x7_conv3x3"], 2, "conv7x7"),
        (["--teacher", "nothing.pt2"], 2, "no file nothing.pt2"),
        (["--teacher", LAST], 5, "no weights of its own to teach with"),
        (["--teacher", "tiny.toml"], 2, "is no file of torch.export"),
    ],
)
def test_wrong_wishes_are_explained(
    options: list[str], code: int, words: str, supernet: Invoke, tiny_file: Path, tmp_path: Path
) -> None:
    assert supernet("train", "--preset", tiny_file, "--quiet")[0] == 0
    found, _, err = supernet("retrain", FIRST, *options, "--workers", "1")
    assert found == code, err
    assert words in " ".join(err.split())
    assert "Traceback" not in err
    assert not list(tmp_path.glob("runs/*/final"))


def test_python_trains_for_use(supernet: Invoke, ranked: Path, monkeypatch: Any) -> None:
    import supernet_cli

    monkeypatch.chdir(ranked.parent.parent)
    trained = supernet_cli.retrain("latest", [FIRST], seeds=[0], epochs=2, teacher=LAST, temperature=2.0, workers=1)
    assert [job.way for job in trained.jobs] == [Way.FINAL]
    with pytest.raises(supernet_cli.SupernetError, match="starts from scratch"):
        supernet_cli.retrain("latest", [FIRST], init="short", epochs=2)
