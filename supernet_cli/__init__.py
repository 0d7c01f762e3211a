"""Train a supernet once, evaluate every path through it, and know whether the ranking can be trusted.

    import supernet_cli as supernet

    run = supernet.train("quick", {"train.epochs": 3})
    supernet.retrain(run, "all", seeds=[0, 1])
    supernet.evaluate(run)
    comparison = supernet.compare(run)

Everything here does what the command of the same name does, with the same defaults, results and errors. Nothing is
imported before it is used: torch, for instance, only by what trains, evaluates or loads a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supernet_cli.version import __version__ as __version__

if TYPE_CHECKING:
    from supernet_cli.api.exporting import export as export
    from supernet_cli.api.functions import bench as bench
    from supernet_cli.api.functions import compare as compare
    from supernet_cli.api.functions import evaluate as evaluate
    from supernet_cli.api.functions import experiment as experiment
    from supernet_cli.api.functions import load as load
    from supernet_cli.api.functions import retrain as retrain
    from supernet_cli.api.functions import run as run
    from supernet_cli.api.functions import runs as runs
    from supernet_cli.api.functions import sample as sample
    from supernet_cli.api.functions import top as top
    from supernet_cli.api.functions import train as train
    from supernet_cli.api.searching import search as search
    from supernet_cli.benchmarks.result import Standing as Standing
    from supernet_cli.errors import SupernetError as SupernetError
    from supernet_cli.networks.loaded import LoadedNetwork as LoadedNetwork
    from supernet_cli.reports.comparison import Comparison as Comparison
    from supernet_cli.reports.search.document import Searched as Searched
    from supernet_cli.store.run import Run as Run
    from supernet_cli.workflows.export import Exported as Exported
    from supernet_cli.workflows.observer import Observer as Observer
    from supernet_cli.workflows.workplace import Workplace as Workplace

_HOMES = {
    **dict.fromkeys(
        ["bench", "compare", "evaluate", "experiment", "load", "retrain", "run", "runs", "sample", "top", "train"],
        "api.functions",
    ),
    "export": "api.exporting",
    "search": "api.searching",
    "Comparison": "reports.comparison",
    "Exported": "workflows.export",
    "LoadedNetwork": "networks.loaded",
    "Run": "store.run",
    "Searched": "reports.search.document",
    "Standing": "benchmarks.result",
    "SupernetError": "errors",
    "Observer": "workflows.observer",
    "Workplace": "workflows.workplace",
}

__all__ = [
    "Comparison",
    "Exported",
    "LoadedNetwork",
    "Observer",
    "Run",
    "Searched",
    "Standing",
    "SupernetError",
    "Workplace",
    "bench",
    "compare",
    "evaluate",
    "experiment",
    "export",
    "load",
    "retrain",
    "run",
    "runs",
    "sample",
    "search",
    "top",
    "train",
]


if not TYPE_CHECKING:  # a type checker would take every misspelt name for one of these

    def __getattr__(name):
        """Import a public name when it is first used."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
