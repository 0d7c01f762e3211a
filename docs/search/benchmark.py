"""Let search policies search tables many times, store what came of it, and write the tables of docs/search.md.

    python docs/search/benchmark.py --tables FOLDER              run what is missing of 100 repetitions, write the page
    python docs/search/benchmark.py --repeats 10 --settings lab  fewer repetitions of some settings
    python docs/search/benchmark.py --page                       only write the page, from stored results
    python docs/search/benchmark.py --check                      check that the page matches the stored results

FOLDER holds the published tables `nas-bench-201-*.json`; settings without a table are skipped. Interrupt it whenever
you like: the same command continues with the next repetition. Delete the results of a policy that has changed: they are
in docs/search/results. The rival TPE needs Optuna: `pip install optuna`.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import page
from settings import Setting, settings
from stored import COUNTS, RESULTS, load, save

from supernet_cli.policies import Policy, build_policy
from supernet_cli.policies.trial import search

POLICIES = ("posterior", "random", "largest", "one-shot", "evolution", "local", "tpe")


def run(setting: Setting, name: str, repeats: int, folder: Path) -> None:
    """Run what is missing of a policy's repetitions in a setting, storing each in a folder."""
    file = folder / setting.name / f"{name}.json"
    result = load(file)
    for repetition in range(result.repeats, repeats):
        lookup, before = setting.lookup(repetition), time.process_time()
        trial = search(lookup, _policy(name, repetition), COUNTS[-1], repetition, COUNTS)
        result.add(trial, time.process_time() - before, setting.exact)
        save(result, file)
        print(f"\r{setting.name}: {name} {repetition + 1}/{repeats}   ", end="", file=sys.stderr, flush=True)
    print(
        f"\r{setting.name}: {name}, {result.repeats} repetitions, {result.seconds / max(1, result.repeats):.2f} s each"
    )


def _policy(name: str, repetition: int) -> Policy:
    if name != "tpe":
        return build_policy(name)
    from tpe import Tpe

    return Tpe(repetition)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and write the page, or check it."""
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, metavar="FOLDER", help="folder of the published tables")
    parser.add_argument("--repeats", type=int, default=100, metavar="N", help="repetitions of each (default: 100)")
    parser.add_argument("--settings", nargs="+", metavar="NAME", help="settings (default: all)")
    parser.add_argument("--policies", nargs="+", metavar="NAME", choices=POLICIES, help="policies (default: all)")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="folder of the stored results")
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument("--check", action="store_true", help="only check the page")
    options = parser.parse_args(arguments)
    if not (options.page or options.check):
        _run_all(parser, options)
    if options.results == RESULTS:
        sys.exit(page.write(RESULTS, check=options.check))


def _run_all(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    known = settings(options.tables)
    for name in options.settings or ():
        if name not in known:
            parser.error(f"unknown setting {name}; known: {', '.join(known)}. Published tables need --tables FOLDER.")
    for name in options.settings or known:
        for policy in options.policies or POLICIES:
            if policy == "one-shot" and not known[name].scored:
                continue
            if policy == "tpe" and importlib.util.find_spec("optuna") is None:
                print("tpe is skipped: it needs Optuna (pip install optuna).", file=sys.stderr)
                continue
            run(known[name], policy, options.repeats, options.results)


if __name__ == "__main__":
    main()
