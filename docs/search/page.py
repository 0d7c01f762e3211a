"""The tables of docs/search.md, from the stored results beside this file."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from stored import COUNTS, EDGES, Result, load

PAGE = Path(__file__).parents[1] / "search.md"

_OURS = "posterior"

_PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
"""Where the page has a table: its name."""

Results = dict[str, dict[str, Result]]
"""By setting and policy."""


def results(folder: Path) -> Results:
    """Return all stored results, settings and policies in order."""
    found: Results = {}
    for file in sorted(folder.glob("*/*.json"), key=lambda file: (_rank(file.parent.name), file.stem != _OURS, file)):
        found.setdefault(file.parent.name, {})[file.stem] = load(file)
    return found


def _rank(setting: str) -> tuple[int, str]:
    return (("worlds", "lab", "iso", "nas").index(setting.split("-")[0]), setting)


def title(setting: str) -> str:
    """Return what the page calls a setting."""
    if setting.startswith("nas-bench-201-"):
        return "NAS-Bench-201, " + setting.removeprefix("nas-bench-201-")
    name, *more = setting.split("-")
    words = {"half": "at most the median MACs", "scored": "with a one-shot score"}
    return ", ".join(["simulated worlds" if name == "worlds" else f"`{name}`", *(words[word] for word in more)])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def regret(found: Results) -> str:
    """Return mean regrets of every policy after some trainings; the smallest of each column in bold."""
    blocks = []
    for setting, policies in found.items():
        best = {count: min(round(result.mean(count), 2) for result in policies.values()) for count in COUNTS}
        rows = []
        for name, result in policies.items():
            cells = []
            for count in COUNTS:
                mean = round(result.mean(count), 2)
                text = f"**{mean:.2f}**" if mean <= best[count] else f"{mean:.2f}"
                cells.append(f"{text} ± {result.error(count):.2f}" if count <= len(result.regret) else "–")
            rows.append([f"`{name}`", *cells, str(result.repeats)])
        head = [title(setting), *map(str, COUNTS), "repetitions"]
        blocks.append(_table(head, rows))
    return "\n\n".join(blocks)


def defeats(found: Results) -> str:
    """Return where a rival's mean regret is smaller by more than the standard error of the difference."""
    lines = []
    for setting, policies in found.items():
        if _OURS not in policies:
            continue
        ours = policies[_OURS]
        for count in COUNTS:
            beaten = [
                f"`{name}` {rival.mean(count):.2f}"
                for name, rival in policies.items()
                if count <= len(rival.regret)
                and ours.mean(count) - rival.mean(count) > np.hypot(ours.error(count), rival.error(count))
            ]
            if beaten:
                lines.append([title(setting), str(count), f"{ours.mean(count):.2f}", ", ".join(beaten)])
    return _table(["", "trainings", "`posterior`", "better"], lines) if lines else "Nowhere."


def reach(found: Results) -> str:
    """Return how many trainings policies need for the regret that the best rival but `largest` has after 20."""
    names = list(dict.fromkeys(name for policies in found.values() for name in policies))
    rows = []
    for setting, policies in found.items():
        rivals = {name: result.mean(20) for name, result in policies.items() if name not in (_OURS, "largest")}
        if not rivals:
            continue
        best = min(rivals, key=lambda name: rivals[name])
        needed = [policies[name].first_within(rivals[best]) if name in policies else None for name in names]
        more = f"> {max(len(result.regret) for result in policies.values())}"
        cells = [str(count or more) if name in policies else "" for count, name in zip(needed, names, strict=True)]
        rows.append([title(setting), f"{rivals[best]:.2f} (`{best}`)", *cells])
    return _table(["", "regret", *(f"`{name}`" for name in names)], rows)


def _claims(found: Results, cell: Callable[[Result, str], str]) -> str:
    rows = [
        [title(setting), *(cell(policies[_OURS], str(count)) for count in COUNTS)]
        for setting, policies in found.items()
        if _OURS in policies
    ]
    return _table(["", *map(str, COUNTS)], rows)


def coverage(found: Results) -> str:
    """Return the share of paths in 90 % intervals."""

    def cell(result: Result, count: str) -> str:
        claims = result.claims.get(count)
        return f"{claims.coverage / claims.repeats:.2f}" if claims else "–"

    return _claims(found, cell)


def expected(found: Results) -> str:
    """Return the mean expected regret over the mean realised one."""

    def cell(result: Result, count: str) -> str:
        claims = result.claims.get(count)
        if not claims:
            return "–"
        stated, realised = claims.expected / claims.repeats, claims.realised / claims.repeats
        ratio = f" = {stated / realised:.1f}" if realised > 0.005 else ""
        return f"{stated:.2f} / {round(realised, 2) + 0.0:.2f}{ratio}"  # no "-0.00"

    return _claims(found, cell)


def reliability(found: Results) -> str:
    """Return how often the pick was the best path, by the probability that was stated."""
    groups = {"simulated worlds": ["worlds"], "tables": [name for name in found if name != "worlds"]}
    sums = {
        group: sum(np.array(found[name][_OURS].reliability) for name in names if _OURS in found.get(name, {}))
        for group, names in groups.items()
    }
    sums = {group: rows for group, rows in sums.items() if isinstance(rows, np.ndarray)}
    lines = []
    for place, (low, high) in enumerate(zip(EDGES, EDGES[1:], strict=False)):
        cells: list[str] = []
        for rows in sums.values():
            cases, stated, true = rows[place]
            cells += [f"{stated / cases:.2f}", f"{true / cases:.2f}", f"{int(cases)}"] if cases else ["–", "–", "0"]
        lines.append([f"{100 * low:.0f} to {100 * high:.0f} %", *cells])
    head = [word for group in sums for word in (f"{group}: stated", "true", "cases")]
    return _table(["stated", *head], lines)


TABLES: dict[str, Callable[[Results], str]] = {
    make.__name__: make for make in (regret, defeats, reach, coverage, expected, reliability)
}


def written(text: str, found: Results) -> str:
    """Return a page with every table computed from results.

    Args:
        text: The page, with places such as `<!-- table: regret -->`.
        found: The results.
    """
    return _PLACE.sub(lambda place: f"{place[1]}{TABLES[place[2]](found)}\n{place[3]}", text)


def write(folder: Path, check: bool) -> str | None:
    """Write the page from the results in a folder, or check it: return what is wrong, or None."""
    before = PAGE.read_text(encoding="utf-8")
    after = written(before, results(folder))
    if check:
        return None if after == before else "The tables in search.md do not match the stored results."
    PAGE.write_text(after, encoding="utf-8")
    return None
