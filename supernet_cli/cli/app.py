"""The application: its commands, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable
from typing import Annotated, get_type_hints

import typer

from supernet_cli.cli import (
    bench,
    compare,
    doctor,
    evaluate,
    experiment,
    export,
    predict,
    preset,
    retrain,
    runs,
    search,
    streams,
    train,
    tui,
)
from supernet_cli.cli.options import Group
from supernet_cli.config.torchrun import here
from supernet_cli.errors import INTERRUPTED, DiskError, OutOfMemoryError, SupernetError, UsageError
from supernet_cli.version import __version__

_FIRST_RANK_SECONDS = 10.0
"""How long another rank waits for the first to report what is wrong; once it has, torchrun ends all of them."""

app = typer.Typer(
    name="supernet",
    cls=Group,
    help="Train a supernet once, evaluate every path through it, and find out whether you can trust the ranking.",
    epilog="Example: supernet train quick\n\nMost options can also be set through environment variables: "
    "SUPERNET_TRAIN_SEEDS=0,1 has the effect of train --seeds 0,1.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_SINGLE = ("retrain", "evaluate", "experiment", "bench", "export", "predict")
"""Commands that are no ranks of torchrun."""

_STEPS, _LOOK, _SETUP = "Train and compare", "Watch and manage runs", "Presets and this machine"


def _add_step(command: Callable[..., None], example: str) -> None:
    """Add a command that works on a run; its options can be given in the environment."""
    prefix = f"SUPERNET_{command.__name__.upper()}"
    app.command(context_settings={"auto_envvar_prefix": prefix}, epilog=f"Example: {example}", rich_help_panel=_STEPS)(
        command
    )


_add_step(train.train, "supernet train quick --set train.epochs=4")
_add_step(evaluate.evaluate, "supernet evaluate latest")
_add_step(retrain.retrain, "supernet retrain latest --top 5 --workers 2")
_add_step(compare.compare, "supernet compare latest")
_add_step(experiment.experiment, "supernet experiment quick --seeds 0,1,2")
_add_step(bench.bench, "supernet bench fair --seeds 0,1")
_add_step(search.search, "supernet search --table table.json --policy posterior --policy random")
_add_step(export.export, "supernet export --pick --output model")
_add_step(predict.predict, "supernet predict photo.png --model model")
app.command(epilog="Example: supernet tui latest", rich_help_panel=_LOOK)(tui.tui)
app.add_typer(runs.app, name="runs", rich_help_panel=_LOOK)
app.add_typer(preset.app, name="preset", rich_help_panel=_SETUP)
app.command(epilog="Example: supernet doctor", rich_help_panel=_SETUP)(doctor.doctor)


def _evaluate_annotations(commands: typer.Typer) -> None:
    """Evaluate the annotations of all commands once; Typer does so six times if they are strings."""
    for command in commands.registered_commands:
        assert command.callback is not None
        command.callback.__annotations__ = get_type_hints(command.callback, include_extras=True)
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            _evaluate_annotations(group.typer_instance)


_evaluate_annotations(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"supernet {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit")
    ] = False,
) -> None:
    if here().size > 1 and context.invoked_subcommand in _SINGLE:
        raise UsageError(
            f"`supernet {context.invoked_subcommand}` runs as a single process; you started {here().size}.",
            "Only `supernet train` can be used under torchrun; start this command without it.",
        )


def main(arguments: list[str] | None = None) -> None:
    """Run the application and leave the process with the documented exit code."""
    # Searching every installed distribution for pydantic plugins costs a tenth of the time of `supernet --help`.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    streams.prepare()
    code = run(sys.argv[1:] if arguments is None else arguments)
    if here().size > 1:
        import signal

        # When one rank is gone, torchrun sends this to the others: this one is about to go, with a code of its own.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run the application.

    Args:
        arguments: What was typed after `supernet`.

    Returns:
        The exit code.
    """
    try:
        result = app(args=arguments, prog_name="supernet", standalone_mode=False)
        sys.stdout.flush()  # a full disk behind it is found here, not when the interpreter ends
    except SupernetError as error:
        return _fail(error, arguments)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):  # Rich turns the one into the other
        streams.abandon()  # the reader went away; nothing more can be said
        return 0
    except MemoryError:
        hint = "Free some memory, or do less at once."
        return _fail(OutOfMemoryError("This machine is out of memory.", hint), arguments)
    except OSError as error:
        return _fail_outside(error, arguments)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # its help is printed already, unless it is plain text
            print(error, end="\n" if str(error) else "")
            return UsageError.exit_code
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # how typer reports wrong usage
            from supernet_cli.cli.wrong_usage import usage_error

            return _fail(usage_error(error, arguments), arguments)
        return _fail_by_bug(error, arguments)
    return result if isinstance(result, int) else 0


def _fail_outside(error: OSError, arguments: list[str]) -> int:
    """Report a failure of a terminal, a stream or a file system; anything else is a bug of ours."""
    if error.errno == errno.EIO:  # the terminal was closed: nobody can read a message
        return INTERRUPTED
    if streams.is_full_stdout(error):
        streams.abandon()
        problem = f"The output cannot be written: {error.strerror}."
        # Without the arguments: a JSON document of the error would go to the stream that is full.
        return _fail(DiskError(problem, "Free some space, or send the output elsewhere."), [])
    if error.filename is None:
        return _fail_by_bug(error, arguments)
    problem = f"{error.filename} cannot be used: {error.strerror or error}."
    return _fail(DiskError(problem, "Check that it exists and that you can read and write it."), arguments)


def _fail(error: SupernetError, arguments: list[str]) -> int:
    from supernet_cli.cli.output import say_error

    if _debugging():
        import traceback

        traceback.print_exception(error)
    place = here()
    if not place.is_first:
        time.sleep(_FIRST_RANK_SECONDS)
        error.message = f"rank {place.rank}: {error.message}"
    try:
        say_error(error, place.is_first and _wants_json(arguments))
        sys.stdout.flush()
    except OSError:  # a document for a stdout that is full or gone
        streams.abandon()
        with contextlib.suppress(OSError):  # if stderr is full as well, the exit code has to do
            say_error(error, as_json=False)
    return error.exit_code


def _wants_json(arguments: list[str]) -> bool:
    """Whether --json was typed or is set in the environment; also where the command line cannot be parsed."""
    if "--json" in arguments:
        return True
    typed = next((word for word in arguments if not word.startswith("-")), "")
    for command in app.registered_commands:
        prefix = (command.context_settings or {}).get("auto_envvar_prefix")
        if prefix and typed == (command.name or getattr(command.callback, "__name__", "")):
            return os.environ.get(f"{prefix}_JSON", "").strip().lower() in ("1", "true", "t", "yes", "y", "on")
    return False


def _fail_by_bug(error: Exception, arguments: list[str]) -> int:
    """Report that this is our mistake, and keep the traceback in a file that can be sent."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="supernet-", suffix=".log", delete=False) as file:
        file.write("".join(traceback.format_exception(error)))
    report = SupernetError(
        f"This is a bug in supernet: {type(error).__name__}: {error}.",
        f"Please report it, with the traceback in {file.name}.",
    )
    report.kind = "bug"
    report.__cause__ = error
    return _fail(report, arguments)


def _debugging() -> bool:
    return os.environ.get("SUPERNET_DEBUG", "") not in ("", "0")
