"""Every way we know of getting it wrong: what is typed, the exact exit code, and words the message must hold.

Each is tried for a person and for a script: one clear message or one document, never a traceback, nothing made.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from supernet_cli.config.schema import Preset
from supernet_cli.store.runs import create_run

Invoke = Callable[..., tuple[int, str, str]]

CANDIDATES = "space.blocks.0.candidates"

# What is given to --set; each a preset error, exit code 2, that names what was typed.
SETTINGS = [
    ("train.epoch=3", "unknown key 'train.epoch'. Did you mean 'train.epochs'?"),
    ("trian.epochs=3", "unknown key 'trian'. Did you mean 'train'?"),
    ("epochs=3", "Did you mean 'train.epochs'?"),
    ("space.blocks.0.chanels=3", "Did you mean 'space.blocks[0].channels'?"),
    ("train.epochs=0", "train.epochs = 0: must be at least 1"),
    ("train.epochs=100000000000000000000", "must be at most 1000000"),
    ("train.batch_size=1000001", "train.batch_size = 1000001: must be at most 1000000"),
    ("train.log_every=1000001", "must be at most 1000000"),
    ("train.evaluate_every=1000001", "must be at most 1000000"),
    ("retrain.epochs=1000001", "retrain.epochs = 1000001: must be at most 1000000"),
    ("retrain.checkpoint_every=1000001", "must be at most 1000000"),
    ("train.epochs=2.0", "train.epochs = 2.0: must be a whole number"),
    ("train.epochs=true", "train.epochs = true: must be a whole number"),
    ("train.epochs=many", 'train.epochs = "many": must be a whole number'),
    ("train.epochs", "expected key=value"),
    ("=3", "expected key=value"),
    ("train..epochs=3", "expected key=value"),
    ("train.epochs.x=3", "lies inside a value that is not a table"),
    ("train.renew_optimizer=1", "must be true or false"),
    ("train.renew_optimizer=true", "use one or the other"),
    ("train.seeds=[]", "train.seeds"),
    ("train.seeds=[1,1]", "the same seed twice"),
    ("train.seeds=[-1]", "train.seeds[0] = -1"),
    ("train.seeds=0", "train.seeds = 0: must be a list"),
    ("train.sampler=unifrom", "no sampler named 'unifrom'. Did you mean 'uniform'?"),
    ('train.sampler={name="uniform", rate=0.1}', "parameter 'rate' is unknown. It takes none."),
    ("train.optimizer.lr=1979-05-27", "1979-05-27 is a date or a time, but no parameter is one"),
    ("train.optimizer={lr=0.1}", "'train.optimizer.name' is missing"),
    ("data.dataset=mnsit", "no dataset named 'mnsit'. Did you mean 'mnist'?"),
    ("data.validation=0", "data.validation = 0"),
    ("data.shift=17", "data.shift = 17"),
    ("data.split_seed=-1", "data.split_seed = -1"),
    ("runtime.device=cdua", "Did you mean 'cuda'?"),
    ("runtime.device=cuda:x", "no such device"),
    ("runtime.precision=float16", "'auto', 'float32' or 'bfloat16'"),
    ("runtime.threads=-1", "runtime.threads = -1"),
    ("space.hidden=0", "space.hidden = 0"),
    ("space.blocks=[]", "must not be empty"),
    ("space.blocks=3", "space.blocks = 3"),
    ("space.blocks.2.pool=1", "not a position in a list of 2 (0 to 1)"),
    ("space.blocks.0.pool=0", "space.blocks[0].pool = 0"),
    (f"{CANDIDATES}=[]", "must not be empty"),
    (f'{CANDIDATES}=["conv3x4"]', "no operation 'conv3x4'. Did you mean 'conv3x3'?"),
    (f'{CANDIDATES}=["cnov3x3"]', "no operation 'cnov3x3'. Did you mean 'conv3x3'?"),
    (f'{CANDIDATES}=["conv"]', "parameter 'kernel' is missing"),
    (f'{CANDIDATES}=["identity3x3"]', "parameter 'kernel' is unknown. It takes: "),
    (f'{CANDIDATES}=["conv3x3","conv3x3"]', "the same label 'conv3x3'"),
    (f'{CANDIDATES}=[{{op="conv",kernel=4}}]', "must be an odd whole number"),
    (f'{CANDIDATES}=[{{op="conv",kernel="3"}}]', "must be an odd whole number"),
    (f'{CANDIDATES}=[{{op="conv",kernal=3}}]', "parameter 'kernal' is unknown. Did you mean 'kernel'?"),
    (f'{CANDIDATES}=[{{op="conv",kernel=3,repeat=0}}]', "repeat = 0"),
    (f'{CANDIDATES}=[{{op="conv",kernel=3,label="A_b"}}]', "only lower-case letters and digits"),
    (f"{CANDIDATES}=[{{kernel=3}}]", "op' is missing"),
    (f"{CANDIDATES}=[3]", CANDIDATES.replace(".0", "[0]")),
    ("retrain.threads=0", "retrain.threads = 0"),
    ("retrain.sampler=uniform", "unknown key 'retrain.sampler'"),
    ("data.size=28", "dataset 'mnist': parameter 'size' is unknown"),
    ("data.channels=2", "data.channels = 2"),
    ("data.test=0.0", "data.test = 0.0"),
    ("data.flip=2", "data.flip = 2"),
    ("data.root=3", "data.root = 3: must be a string"),
    ("train.loss={}", "'train.loss.name' is missing"),
    ("train.schedule=3", "train.schedule = 3"),
    ("train.batch_size=-5", "train.batch_size = -5"),
    ("train.log_every=0", "train.log_every = 0"),
    ("train.seeds=[nan]", "train.seeds[0]"),
    ("train.seeds=[4294967296]", "train.seeds[0] = 4294967296"),
    ("train=3", "train = 3: must be a table"),
    ("search=3", "search = 3: must be a table"),
    ("search.trainings=0", "search.trainings = 0: must be at least 1"),
    ("search.training=3", "Did you mean 'search.trainings'?"),
    ("search.seeds=[]", "search.seeds"),
    ("search.seeds=[2,2]", "the same seed twice"),
    ("search.policy=postrior", "no policy named 'postrior'. Did you mean 'posterior'?"),
    ('search.policy={name="random", sample=3}', "parameter 'sample' is unknown"),
    ("search.limits.mac=3", "Did you mean 'macs'?"),
    ("search.limits.macs=2Q", "unknown unit 'Q'"),
    ("search.limits.latency=0.3m", "unknown unit 'm'"),
    ("search.limits.weights=-1", "no positive number"),
    ("search.limits.weights=inf", "no positive number"),
    ("search.limits.weights=[1]", "search.limits.weights"),
    ("search.limits=3", "search.limits = 3"),
    ("search.against=mac", "search.against"),
    ("search.until=1.5", "search.until = 1.5"),
    ("search.until=0", "search.until = 0"),
    ("search.tolerance=0", "search.tolerance = 0"),
    (f'{CANDIDATES}=[{{op="conv",kernel=3,repeet=2}}]', "Did you mean 'repeat'?"),
]

SEARCH = ("search", "20260102-120000-whole", "--runs-dir", "world")

# What is typed after `supernet`; in a folder that holds only what WORLD puts there.
COMMANDS = [
    (["trian"], 2, "train"),
    (["train", "--prest", "quick"], 2, "--preset"),
    (["train", "--preset", "quikc"], 2, "'quick'"),
    (["train", "--preset", "none.toml"], 2, "none.toml"),
    (["train", "--set", "train.epoch=3"], 2, "'train.epochs'"),
    (["train", "--set", "train.epochs=x"], 2, "whole number"),
    (["train", "--set", "data.dataset=mnits"], 2, "'mnist'"),
    (["train", "--set", "data.root=/nowhere"], 2, "train-images-idx3-ubyte"),
    (["train", "--set", "train.optimizer.name=AdmaW"], 2, "'AdamW'"),
    (["train", "--set", "runtime.device=cuda:99"], 2, "Available: cpu"),
    (["train", "--set", "runtime.device=gpu"], 2, "Known: auto, cpu, cuda"),
    (["train", "--set", "data.validation=60000"], 2, "60,000 training images"),
    (["train", "--seeds", "0,x"], 2, "--seeds 0,1,2"),
    (["train", "--seeds", ""], 2, "--seeds 0,1,2"),
    (["train", "--seeds", "1,1"], 2, "same seed twice"),
    (["train", "--seeds", "-1"], 2, "--seeds"),
    (["train", "--seeds", "4294967296"], 2, "whole numbers from 0 to 4294967295"),
    (["train", "--resume", "latest", "--preset", "quick"], 2, "takes no PRESET or --seeds"),
    (["train", "--resume", "latest"], 5, "no runs"),
    (["train", "--output", "no/such/folder.json"], 2, "no folder"),
    (["train", "--output", "result.csv"], 2, "--output result.json"),
    (["runs", "ls", "--output", "list.txt"], 2, "JSON document"),
    (["evaluate"], 5, "supernet train default"),
    (["evaluate", "--split", "train"], 2, "--split train: not one of 'test', 'validation'."),
    (["evaluate", "--sample", "0"], 2, "--sample 0: must be at least 1."),
    (["retrain", "--workers", "two"], 2, "--workers two: must be a whole number."),
    (["train", "quick", "default"], 2, "Unexpected argument: default."),
    (["train", "quick", "default", "lab"], 2, "Unexpected arguments: default lab."),
    (["train", ""], 2, "no preset named ''"),
    (["runs", "ls", "--output", "empty.toml/x.json"], 2, "empty.toml is a file, not a folder"),
    (["runs", "ls", "--output", "world"], 2, "--output 'world': this is a folder, not a file."),
    (["preset", "copy", "default", "empty.toml/x.toml"], 2, "empty.toml is a file, not a folder"),
    (["preset", "copy", "default", "world"], 2, "FILE 'world': this is a folder, not a file."),
    (["evaluate", "--run", "", "--runs-dir", "world"], 5, "no run ''"),
    (["runs", "show", "", "--runs-dir", "world"], 5, "no run ''"),
    (["runs", "show", "./none", "--runs-dir", "world"], 5, "no folder none"),
    (["evaluate", "--run", "x"], 5, "no runs"),
    (["runs", "show"], 5, "no runs"),
    (["runs", "stop", "x"], 5, "no runs"),
    (["runs", "rm"], 2, "RUN"),
    (["train", "--dry-run", "--resume", "latest"], 2, "so it takes no --resume"),
    (["train", "--set", "train.loss=MSELoss"], 2, "train.loss"),
    (["train", "--set", "train.schedule=LambdaLR"], 2, "needs a function"),
    (["train", "--set", "train.optimizer.lr=-1"], 2, "rejects its parameters"),
    (["train", "--set", "train.optimizer.momentum=0.9"], 2, "no parameter 'momentum'"),
    (["train", "--set", "retrain.optimizer=Adm"], 2, "retrain.optimizer"),
    (["train", "--set", "space.blocks.0.pool=29"], 2, "space.blocks[0].pool = 29 shrinks"),
    (["train", "--set", "train.sampler=fair", "--set", f'{CANDIDATES}=["conv3x3"]'], 2, "block 1 has 1, block 2 has 2"),
    (
        ["train", "--set", f'{CANDIDATES}=[{{op="dil",kernel=3,dilation=0}}]'],
        2,
        "space.blocks[0].candidates[0] (dil3x3)",
    ),
    (["train", "--set", f'{CANDIDATES}=[{{op="mbconv",kernel=3,expansion=99999999}}]'], 2, "expansion"),
    (["experiment", "--preset", "deep"], 2, "15,625 paths, too many to train each from scratch"),
    (["retrain", "--all", "--short", "--init", "inherit"], 2, "--short starts from scratch"),
    (["train", "--set", "data.dataset=folder"], 2, "needs data.root"),
    (["train", "--set", "data.dataset=folder", "--set", "data.root=nowhere"], 2, "no such folder"),
    (["train", "--set", "data.dataset=folder", "--set", "data.root=one-class"], 2, "1 class folder"),
    (["train", "--set", "data.dataset=folder", "--set", "data.root=no-images"], 2, "data.skip_broken"),
    (["train", "--set", "data.dataset=cifar10", "--set", "data.root=one-class"], 2, "cifar-10-python.tar.gz"),
    (["train", "--preset", "syntax.toml"], 2, "not valid TOML"),
    (["train", "--preset", "binary.toml"], 2, "not UTF-8"),
    (["train", "--preset", "empty.toml"], 2, "'space' is missing"),
    (["train", "--resume", "latest", "--runs-dir", "a" * 300], 4, "cannot be used: File name too long"),
    (["train", "--preset", "[red]x\x1b[2Jy[/red]"], 2, "[red]x\\x1b[2Jy[/red]"),
    (["train", "--set", "[bold]=1"], 2, "[bold]"),
    (["train", "--runs-dir", "empty.toml"], 2, "--runs-dir 'empty.toml': this is a file, not a folder."),
    (["preset", "show", "defalt"], 2, "'default'"),
    (["preset", "copy", "default"], 2, "FILE"),
    (["preset", "copy", "default", "empty.toml"], 2, "already exists; left unchanged"),
    (["preset", "copy", "default", "mine.txt"], 2, "ends in .toml"),
    (["preset", "copy", "default", "no/folder/mine.toml"], 2, "there is no folder no/folder"),
    (["preset", "copy", "default", "x" * 300 + ".toml"], 4, "File name too long"),
    (["preset", "validate", "syntax.toml"], 2, "not valid TOML"),
    (["preset", "validate", "default", "--deep", "--set", "train.optimizer=Adm"], 2, "Did you mean"),
    (["preset", "vlaidate"], 2, "validate"),
    (["evaluate", "--runs-dir", "world", "--run", "1999"], 5, "no run '1999'"),
    (["evaluate", "--runs-dir", "world", "--run", "20260102"], 5, "matches 2 runs"),
    (["evaluate", "--runs-dir", "world", "--run", "20260102-120000-whole"], 5, "no trained network yet"),
    (["evaluate", "conv3x3_conv5x6", "--runs-dir", "world", "--run", "20260102-120000-whole"], 2, "'conv3x3_conv5x5'"),
    (["evaluate", "conv3x3", "--runs-dir", "world", "--run", "20260102-120000-whole"], 2, "each of the 2 blocks"),
    (["evaluate", "--runs-dir", "world", "--run", "20260102-120000-damaged"], 5, "is damaged"),
    (["train", "--resume", "20260102-120000-damaged", "--runs-dir", "world"], 5, "is damaged"),
    (
        ["runs", "show", "world/20260102-120000-nothing", "--runs-dir", "world"],
        5,
        "runs ls --runs-dir world`",
    ),
    (["runs", "stop", "20260102-120000-whole", "--runs-dir", "world"], 5, "not being trained"),
    (["runs", "rm", "20260102-120000-whole", "--runs-dir", "world"], 2, "--yes"),
    (["runs", "rm", "world", "--yes", "--runs-dir", "world"], 5, "no run 'world'"),
    (["runs", "rm", "world/20260102-120000-whole", "--yes"], 5, "nothing was removed"),
    (["search"], 5, "no runs"),
    (["search", "1999", "--runs-dir", "world"], 5, "no run '1999'"),
    ([*SEARCH], 5, "no finished supernet to search with"),
    ([*SEARCH, "--dry-run"], 5, "supernet train --resume 20260102-120000-whole --runs-dir world`"),
    (["search", "20260102-120000-damaged", "--runs-dir", "world"], 5, "is damaged"),
    ([*SEARCH, "--limit", "macs"], 2, "Write it like macs=2M."),
    ([*SEARCH, "--limit", "mac=2M"], 2, "Did you mean 'macs'?"),
    ([*SEARCH, "--limit", "macs=2Q"], 2, "Units: k, M, G, or no unit."),
    ([*SEARCH, "--limit", "macs=-2"], 2, "no positive number"),
    ([*SEARCH, "--limit", f"macs={'9' * 400}"], 2, "no positive number"),
    ([*SEARCH, "--limit", "latency=3"], 2, "the unit is missing"),
    ([*SEARCH, "--limit", "weights=5M"], 2, "unknown unit 'M'"),
    ([*SEARCH, "--limit", "macs=1", "--limit", "macs=2"], 2, "limited twice"),
    ([*SEARCH, "--trainings", "0"], 2, "--trainings 0: must be at least 1."),
    ([*SEARCH, "--trainings", "-3"], 2, "--trainings -3: must be at least 1."),
    ([*SEARCH, "--trainings", "1", "--seeds", "0,1"], 2, "1 training cannot train a path with 2 seeds."),
    ([*SEARCH, "--seeds", "0,0"], 2, "same seed twice"),
    ([*SEARCH, "--minutes", "0"], 2, "minutes = 0: give a positive number."),
    ([*SEARCH, "--minutes", "nan"], 2, "--minutes"),
    ([*SEARCH, "--supernets", "inf"], 2, "supernets = inf: give a positive number."),
    ([*SEARCH, "--tolerance", "0"], 2, "tolerance = 0: give a positive number."),
    ([*SEARCH, "--until", "1.5"], 2, "--until 1.5: must be at most 1"),
    ([*SEARCH, "--until", "1"], 2, "give a probability between 0 and 1"),
    ([*SEARCH, "--against", "mac"], 2, "--against mac: not one of"),
    ([*SEARCH, "--policy", "postrior"], 2, "Did you mean 'posterior'?"),
    ([*SEARCH, "--policy", "posterior", "--policy", "random"], 2, "A search has one policy."),
    ([*SEARCH, "--latency-table", "empty.toml"], 2, "Add --limit latency=…, or --against latency."),
    ([*SEARCH, "--set", "train.epochs=3"], 2, "--set needs --preset"),
    ([*SEARCH, "--preset", "quick"], 2, "Name one of them."),
    ([*SEARCH, "--repeats", "3"], 2, "there is nothing to look up with --repeats."),
    ([*SEARCH, "--table", "empty.toml"], 2, "so it takes no RUN, --runs-dir."),
    (["search", "--table", "empty.toml", "--until", "0.9"], 2, "so it takes no --until."),
    (["search", "--table", "empty.toml", "--dry-run"], 2, "so it takes no --dry-run."),
    (["search", "--table", "empty.toml"], 2, "empty.toml"),
    (["search", "--preset", "quikc"], 2, "'quick'"),
    (["search", "--preset", "quick", "--set", "search.until=2"], 2, "search.until = 2"),
    (["search", "--preset", "quick", "--dry-run"], 2, "supernet train quick`"),
    (["search", "--preset", "quick", "--limit", "parameters=9"], 2, "No path has parameters ≤ 9."),
    (
        ["search", "--preset", "quick", "--limit", "latency=1ms", "--latency-table", "none.json"],
        2,
        "The latency table none.json cannot be read",
    ),
]


@pytest.fixture
def world(tmp_path: Path, tiny: Callable[..., Preset]) -> Path:
    """Fill the folder in which commands run with what they may stumble over."""
    import datetime as dt

    (tmp_path / "syntax.toml").write_text("[train\nepochs = 3")
    (tmp_path / "binary.toml").write_bytes(b"x = \xff")
    (tmp_path / "empty.toml").write_text("")
    (tmp_path / "one-class" / "a").mkdir(parents=True)
    for name in ("a", "b"):
        (tmp_path / "no-images" / name).mkdir(parents=True)
        (tmp_path / "no-images" / name / "x.png").write_text("no image")
    noon = dt.datetime(2026, 1, 2, 12).astimezone()
    create_run(tmp_path / "world", "whole", tiny(), noon)
    damaged = create_run(tmp_path / "world", "damaged", tiny(), noon)
    (damaged.folder / "preset.toml").write_text("[train]\nepochs = 0\n")
    (tmp_path / "world" / "20260102-120000-nothing").mkdir()
    return tmp_path


def check(supernet: Invoke, arguments: list[str], code: int, words: str, as_json: bool) -> None:
    found, out, err = supernet(*arguments, *(["--json"] if as_json else []))
    assert found == code, out + err
    assert "Traceback" not in out + err
    if as_json:
        error = json.loads(out)["error"]
        assert set(error) == {"kind", "message", "hint", "exit_code"}
        assert error["exit_code"] == code
        text = error["message"] + error["hint"]
        assert words in text or words in text.replace("\x1b", "\\x1b")
        assert err == ""
    else:
        assert out == ""
        assert words in err
        assert "\x1b" not in err


@pytest.mark.parametrize(("setting", "words"), SETTINGS, ids=[setting for setting, _ in SETTINGS])
def test_a_wrong_setting(supernet: Invoke, setting: str, words: str) -> None:
    check(supernet, ["preset", "validate", "default", "--set", setting], 2, words, as_json=False)
    check(supernet, ["preset", "validate", "default", "--set", setting], 2, f"--set {setting}", as_json=True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"), COMMANDS, ids=[ascii(" ".join(arguments)) for arguments, _, _ in COMMANDS]
)
@pytest.mark.parametrize("as_json", [False, True], ids=["", "json"])
def test_a_wrong_command(
    supernet: Invoke, world: Path, arguments: list[str], code: int, words: str, as_json: bool
) -> None:
    before = sorted(world.rglob("*"))
    check(supernet, arguments, code, words, as_json)
    assert sorted(world.rglob("*")) == before


def test_the_table_is_long_enough() -> None:
    assert len(SETTINGS) + len(COMMANDS) >= 60
    assert len({setting for setting, _ in SETTINGS}) == len(SETTINGS)


def test_a_wrong_value_from_the_environment_is_reported_with_its_variable(
    supernet: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERNET_RETRAIN_WORKERS", "0")
    code, _, err = supernet("retrain", "--all")
    assert code == 2
    assert "--workers (from SUPERNET_RETRAIN_WORKERS) 0: must be at least 1." in err


def test_a_port_without_a_browser_is_refused(supernet: Invoke) -> None:
    code, _, err = supernet("tui", "--port", "80")
    assert code == 2
    assert "--port only applies to --web." in err


@pytest.mark.parametrize("arguments", ["compare --truth", "runs show latest --runs-dir"])
def test_an_option_without_its_value_points_to_the_help_of_its_command(supernet: Invoke, arguments: str) -> None:
    code, _, err = supernet(*arguments.split())
    assert code == 2
    assert f"See `supernet {arguments.partition(' latest')[0].partition(' --')[0]} --help`." in err
