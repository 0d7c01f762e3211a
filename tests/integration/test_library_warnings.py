"""Warnings of torch and other libraries: in the job's log, never on the screen."""

from __future__ import annotations

from pathlib import Path

from helpers import PATIENCE, only_run, program, start


def test_torch_does_not_comment_on_an_error_that_the_program_reports(tiny_file: Path, tmp_path: Path) -> None:
    process = program("train", "--preset", tiny_file, "--set", "train.loss=MSELoss", cwd=tmp_path)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert 'train.loss = "MSELoss"' in err
    assert "Warning" not in err
    assert err.count("\n") <= 4


def test_a_warning_while_a_job_runs_is_in_its_log(tiny_file: Path, tmp_path: Path) -> None:
    noisy = (
        "import sys, warnings; from supernet_cli.training.driver import Training; report = Training._report\n"
        "def noisy(self): warnings.warn('this API will be deprecated'); report(self)\n"
        "Training._report = noisy; from supernet_cli.cli.app import main; main(sys.argv[1:])"
    )
    process = start("-c", noisy, "train", "--preset", tiny_file, cwd=tmp_path)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert "deprecated" not in out + err
    log = (only_run(tmp_path) / "supernet" / "seed-0" / "log.txt").read_text()
    assert "UserWarning: this API will be deprecated" in log
