from __future__ import annotations

import datetime as dt
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers import space_of

from supernet_cli.config.load import load_preset
from supernet_cli.config.schema import Preset
from supernet_cli.errors import DiskError, RunError
from supernet_cli.space import SearchSpace
from supernet_cli.store import files
from supernet_cli.store.fingerprints import fingerprints, fingerprints_with_root
from supernet_cli.store.job import JobFolder, JobWriter, create_job
from supernet_cli.store.layout import Way
from supernet_cli.store.network import NetworkSpec, Normalisation, Signature
from supernet_cli.store.records import JobEnded, StepsTrained
from supernet_cli.store.run import DeviceLog, Run
from supernet_cli.store.runs import (
    check_writable,
    create_run,
    find_run,
    list_damaged_runs,
    list_runs,
    name_for,
    read_run,
    remove_run,
)

NOON = dt.datetime(2026, 1, 2, 12, 0, 0).astimezone()


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def run(runs: Path, tiny: Callable[..., Preset]) -> Run:
    return create_run(runs, "tiny", tiny(train={"seeds": [0, 1]}), NOON)


@pytest.fixture
def job(run: Run) -> JobFolder:
    return run.supernet_job(0)


def steps(step: int) -> StepsTrained:
    return StepsTrained(
        step=step, epoch=1, objective=1.0, loss=1.0, learning_rate=0.1, forward_images=step, seconds=step / 4
    )


def test_a_run_has_its_id_its_preset_and_a_folder_for_each_job(run: Run, tiny: Callable[..., Preset]) -> None:
    assert run.id == "20260102-120000-tiny"
    assert run.preset() == tiny(train={"seeds": [0, 1]})
    assert [str(job.key) for job in run.supernet_jobs()] == ["supernet/seed-0", "supernet/seed-1"]
    assert run.state() == "created"
    assert set(run.manifest.fingerprints) == {"space", "split", "retrain"}
    assert run.manifest.versions["torch"]


def signature(*classes: str, numbers: Sequence[float] = (0.1307,)) -> Signature:
    """Return what networks for 28×28 images of some classes take and give."""
    deviations = tuple(number + 1 for number in numbers)
    normalisation = Normalisation(mean=tuple(numbers), std=deviations)
    return Signature.of((len(numbers), 28, 28), classes, normalisation)


def test_a_run_keeps_what_its_networks_are_built_from_to_the_last_bit(runs: Path, tiny: Callable[..., Preset]) -> None:
    numbers = tuple(np.random.default_rng(0).random(200, dtype=np.float32).tolist())
    kept = signature("zero", "[b]naïve[/b]", "雪", numbers=numbers)
    create_run(runs, "tiny", tiny(), NOON, network=kept)
    spec = find_run(runs, "latest").network_spec()
    assert spec is not None
    assert spec == NetworkSpec(space=tiny().space, **dict(kept))
    assert spec.normalisation.mean == numbers


def test_a_run_of_an_earlier_version_says_that_it_does_not_know(run: Run) -> None:
    assert "network" not in json.loads((run.folder / "run.json").read_text())
    assert find_run(run.folder.parent, "latest").network_spec() is None


def test_more_names_of_classes_than_a_manifest_holds_are_counted(runs: Path, tiny: Callable[..., Preset]) -> None:
    few, many = signature(*map(str, range(10_000))), signature(*("雪" * 50 for _ in range(10_000)))
    for network in (few, many):
        create_run(runs, "tiny", tiny(), NOON, network=network)
        found = find_run(runs, "latest")
        assert found.manifest.network == network
        assert (found.folder / "run.json").stat().st_size < 600_000
    assert len(few.classes) == few.num_classes == many.num_classes == 10_000
    assert 1_000 < len(many.classes) < 10_000


def test_runs_of_the_same_second_get_names_of_their_own(runs: Path, run: Run, tiny: Callable[..., Preset]) -> None:
    others = [create_run(runs, "tiny", tiny(), NOON).id for _ in range(2)]
    assert others == ["20260102-120000-tiny-2", "20260102-120000-tiny-3"]


def test_a_run_repeated_from_another_ones_preset_is_named_after_the_first(runs: Path, run: Run, tmp_path: Path) -> None:
    assert name_for(load_preset(str(run.folder / "preset.toml"))) == "tiny"
    shutil.copy(run.folder / "preset.toml", run.folder / "mine.toml")
    assert name_for(load_preset(str(run.folder / "mine.toml"))) == "mine"
    shutil.copy(run.folder / "preset.toml", tmp_path)
    assert name_for(load_preset(str(tmp_path / "preset.toml"))) == "preset"
    (run.folder / "run.json").write_text("{")
    assert name_for(load_preset(str(run.folder / "preset.toml"))) == "preset"


def test_a_presets_name_cannot_leave_the_runs_folder(runs: Path, tiny: Callable[..., Preset]) -> None:
    run = create_run(runs, "../../[red]\x1b[31mevil", tiny(), NOON)
    assert run.folder.parent == runs
    assert run.id == "20260102-120000-..-..-red-31mevil"


@pytest.mark.parametrize("reference", ["20260102-120000-tiny", "2026", "latest"])
def test_a_run_is_found_by_id_prefix_or_latest(runs: Path, run: Run, reference: str) -> None:
    assert find_run(runs, reference) == run


def test_a_run_is_found_by_its_folder(runs: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_run(runs, str(run.folder)).id == run.id
    monkeypatch.chdir(run.folder)
    assert find_run(runs, ".").id == run.id


@pytest.mark.parametrize("reference", ["", "nothing", "../runs", "/", "a\x00b", "..", "[bold]", "latest2", "x" * 5000])
def test_what_is_no_run_is_not_found(runs: Path, run: Run, reference: str) -> None:
    with pytest.raises(RunError):
        find_run(runs, reference)


def test_a_prefix_of_several_runs_is_told(runs: Path, run: Run, tiny: Callable[..., Preset]) -> None:
    create_run(runs, "other", tiny(), NOON)
    with pytest.raises(RunError, match="matches 2 runs"):
        find_run(runs, "2026")


def test_a_mistyped_run_names_the_nearest(runs: Path, run: Run) -> None:
    with pytest.raises(RunError) as caught:
        find_run(runs, "20260102-120000-tniy")
    assert run.id in caught.value.hint


def test_newest_runs_come_first_and_other_folders_are_passed_over(
    runs: Path, run: Run, tiny: Callable[..., Preset]
) -> None:
    later = create_run(runs, "a", tiny(), NOON + dt.timedelta(days=1))
    (runs / "mine").mkdir()
    (runs / "broken").mkdir()
    (runs / "broken" / "run.json").write_text("{")
    (runs / "foreign").mkdir()
    (runs / "foreign" / "run.json").write_text('{"id": "foreign"}')
    assert [found.id for found in list_runs(runs)] == [later.id, run.id]


def test_a_copied_run_is_a_run_of_its_own(runs: Path, run: Run) -> None:
    shutil.copytree(run.folder, runs / "copy")
    assert {found.id for found in list_runs(runs)} == {run.id, "copy"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is not what supernet wrote"),
        ("{", "is not what supernet wrote"),
        ('{"product": "supernet"}', "is not what supernet wrote"),
        (" " * 1_000_001, "is larger than supernet writes it"),
    ],
    ids=["empty", "cut off", "incomplete", "huge"],
)
def test_a_run_with_a_damaged_manifest_is_told_as_damaged_and_never_used_or_removed(
    runs: Path, run: Run, tiny: Callable[..., Preset], content: str, reason: str
) -> None:
    whole = create_run(runs, "whole", tiny(), NOON)
    (run.folder / "run.json").write_text(content)
    assert (list_runs(runs), find_run(runs, "latest")) == ([whole], whole)
    assert [(lost.id, lost.reason) for lost in list_damaged_runs(runs)] == [(run.id, reason)]
    for reference in (run.id, run.id[:-1], str(run.folder)):
        with pytest.raises(RunError, match="is damaged: its run.json") as caught:
            find_run(runs, reference)
        assert f"rm -r {run.folder}" in caught.value.hint
    with pytest.raises(RunError, match="nothing was removed"):
        remove_run(runs, run)
    with pytest.raises(RunError, match="matches 2 runs"):
        find_run(runs, "2026")
    remove_run(runs, whole)
    with pytest.raises(RunError, match="Every run in .* is damaged"):
        find_run(runs, "latest")


def test_a_manifest_of_an_impossible_time_is_a_damaged_one(runs: Path, run: Run) -> None:
    table = json.loads((run.folder / "run.json").read_text())
    for moment in (1e300, -1e300, float("inf")):
        (run.folder / "run.json").write_text(json.dumps(table | {"created": moment}))
        assert [lost.id for lost in list_damaged_runs(runs)] == [run.id]


def test_folders_of_others_and_links_are_no_damaged_runs(runs: Path, run: Run, tmp_path: Path) -> None:
    shutil.move(run.folder, tmp_path / "outside")
    (tmp_path / "outside" / "run.json").write_text("{")
    (runs / "link").symlink_to(tmp_path / "outside")
    shutil.copytree(tmp_path / "outside", runs / "manifest")
    (runs / "manifest" / "run.json").unlink()
    (runs / "manifest" / "run.json").symlink_to(tmp_path / "outside" / "run.json")
    (runs / "theirs").mkdir()
    (runs / "theirs" / "run.json").write_text("{")
    assert list_damaged_runs(runs) == []
    for name in ("link", "manifest", "theirs"):
        with pytest.raises(RunError, match="There are no runs"):
            find_run(runs, name)


def test_removing_takes_the_run_and_nothing_else(runs: Path, run: Run, tiny: Callable[..., Preset]) -> None:
    other = create_run(runs, "other", tiny(), NOON)
    remove_run(runs, run)
    assert list(runs.iterdir()) == [other.folder]


def test_a_run_elsewhere_is_not_removed(runs: Path, run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run inside"):
        remove_run(tmp_path / "elsewhere", run)
    with pytest.raises(RunError, match="not a run inside"):
        remove_run(tmp_path, run)
    assert run.folder.is_dir()


def test_a_link_to_a_run_is_not_followed(runs: Path, run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.move(run.folder, outside)
    (runs / "link").symlink_to(outside)
    with pytest.raises(RunError):
        remove_run(runs, find_run(runs, "link"))
    assert (outside / "run.json").is_file()


def test_the_runs_folder_itself_is_not_removed_even_with_a_manifest_in_it(runs: Path, run: Run) -> None:
    shutil.copy(run.folder / "run.json", runs)
    with pytest.raises(RunError, match="not a run inside"):
        remove_run(runs, find_run(runs, str(runs)))
    assert run.folder.is_dir()


def test_a_link_inside_a_run_is_removed_and_not_what_it_points_to(runs: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("keep")
    (run.folder / "link").symlink_to(tmp_path / "precious")
    remove_run(runs, run)
    assert (tmp_path / "precious" / "file").read_text() == "keep"


def test_a_run_that_trains_is_not_removed(runs: Path, run: Run, job: JobFolder) -> None:
    with JobWriter(job) as writer:
        with pytest.raises(RunError, match="is being trained"):
            remove_run(runs, run)
        writer.record(JobEnded(step=0, state="finished"))
    remove_run(runs, run)


def test_a_runs_folder_that_cannot_be_made_is_a_disk_error(tmp_path: Path, tiny: Callable[..., Preset]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError):
        create_run(tmp_path / "file" / "runs", "tiny", tiny(), NOON)


def test_a_log_of_devices_never_goes_on_in_that_of_an_earlier_process(run: Run) -> None:
    for number in (0, 1, 2):
        with DeviceLog(run):
            pass
        assert (run.folder / f"devices-{number}.jsonl").is_file()
        if number == 1:
            (run.folder / "devices-0.jsonl").unlink()


def test_two_writers_never_share_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "next_number", lambda folder, stem: 0)  # both look before either writes
    for number in (0, 1):
        path, file = files.new_numbered(tmp_path, "devices")
        file.close()
        assert path.name == f"devices-{number}.jsonl"


@pytest.mark.parametrize("content", ["", "[train", "[train]\nepochs = 0\n"])
def test_a_damaged_preset_of_a_run_is_told(run: Run, content: str) -> None:
    (run.folder / "preset.toml").write_text(content)
    with pytest.raises(RunError, match="damaged"):
        run.preset()


def test_a_run_folder_that_vanishes_is_an_error_and_does_not_come_back(run: Run, job: JobFolder) -> None:
    with JobWriter(job) as writer:
        shutil.rmtree(run.folder)
        with pytest.raises(DiskError, match=r"status\.json cannot be written"):
            writer.record(JobEnded(step=0, state="finished"))
    assert not run.folder.exists()


def test_a_run_whose_lock_is_held_is_not_removed_whatever_its_status_says(runs: Path, run: Run, job: JobFolder) -> None:
    with JobWriter(job) as writer:
        (job.path / "status.json").write_text("{")
        with pytest.raises(RunError, match="another process"):
            remove_run(runs, run)
        writer.record(JobEnded(step=0, state="finished"))
    assert run.folder.is_dir()


def test_paths_trained_alone_have_jobs_of_their_own_and_fine_tuned_ones_apart(run: Run) -> None:
    space = SearchSpace.from_config(run.preset().space)
    for seed, way in ((10, Way.ALONE), (2, Way.ALONE), (0, Way.INHERITED)):
        create_job(run.alone_job(space.at(1), seed, way))
    assert [str(job.key) for job in run.alone_jobs()] == [
        "standalone/conv3x3_conv5x5/seed-2",
        "standalone/conv3x3_conv5x5/seed-10",
    ]
    assert [str(job.key) for job in run.alone_jobs(Way.INHERITED)] == ["inherited/conv3x3_conv5x5/seed-0"]
    assert len(run.jobs()) == 5


def test_a_path_too_long_for_a_folder_gets_a_short_one_of_its_own(run: Run) -> None:
    space = space_of(*[["conv3x3", "conv5x5"]] * 40, pool=1)
    names = {run.alone_job(space.at(index), 0).path.parent.name for index in range(3)}
    assert len(names) == 3
    assert max(map(len, names)) < 100
    create_job(run.alone_job(space.at(0), 0))
    assert [job.key.path for job in run.alone_jobs()] == [str(space.at(0))]


def test_a_runs_folder_that_cannot_be_written_is_found_without_leaving_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_writable(tmp_path / "not" / "yet")
    check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("file", "file/runs", "dangling"):
        with pytest.raises(DiskError, match=f"{tmp_path / name} cannot be written"):
            check_writable(tmp_path / name)

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    with pytest.raises(DiskError, match="Read-only file system"):
        check_writable(tmp_path)


def test_where_images_lie_is_no_part_of_a_run_whatever_version_made_it(
    runs: Path, tiny: Callable[..., Preset], tmp_path: Path
) -> None:
    preset = tiny(data={"dataset": "folder", "root": str(tmp_path / "here")})
    run = create_run(runs, "folder", preset)
    path, manifest = run.folder / "preset.toml", run.folder / "run.json"
    moved = path.read_text().replace(str(tmp_path / "here"), str(tmp_path / "there"))
    path.write_text(moved)
    assert run.preset().data.root == str(tmp_path / "there")
    assert run.fingerprints() == fingerprints(preset)
    earlier = fingerprints_with_root(preset)
    assert earlier["split"] != fingerprints(preset)["split"]
    table = json.loads(manifest.read_text()) | {"fingerprints": earlier}
    manifest.write_text(json.dumps(table))
    path.write_text(moved.replace("there", "here"))
    old = read_run(run.folder)
    assert old is not None
    assert old.preset() == preset
    assert old.fingerprints() == fingerprints(preset)
    path.write_text(moved)
    with pytest.raises(RunError, match="was changed after the run started"):
        old.preset()


def test_suggested_commands_name_the_runs_directory_only_where_they_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Callable[..., Preset]
) -> None:
    monkeypatch.chdir(tmp_path)
    usual, other = create_run(Path("runs"), "a", tiny()), create_run(Path("my runs"), "b", tiny())
    assert (
        usual.command("evaluate", "--split", "validation") == f"supernet evaluate --split validation --run {usual.id}"
    )
    assert usual.command("compare") == f"supernet compare {usual.id}"
    assert other.command("train") == f"supernet train --resume {other.id} --runs-dir 'my runs'"
    monkeypatch.setenv("SUPERNET_RUNS_DIR", str(tmp_path / "my runs"))
    assert other.command("runs stop") == f"supernet runs stop {other.id}"
    assert usual.command("tui") == f"supernet tui {usual.id} --runs-dir runs"
