"""The run picker: every run of the folder, with a filter; new runs appear by themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Input, Static
from textual.worker import get_current_worker

from supernet_cli.glyphs import ago
from supernet_cli.space.names import cut_names, short_names
from supernet_cli.store.lister import RunLister, RunRow
from supernet_cli.tui.draw import LOOKS, MUTED, Part, fit, heading, line, lines, state_words
from supernet_cli.tui.navigation import Navigator

_LIST_SECONDS = 2.0
_HINT = "Filter by name, preset or state (/)"


@dataclass(frozen=True)
class Choice:
    """What was picked.

    Args:
        folder: The run to show.
        overlaid: Runs to overlay on its loss chart.
    """

    folder: Path
    overlaid: tuple[Path, ...]


class RunsListed(Message):
    """The runs have been listed."""

    def __init__(self, rows: tuple[RunRow, ...]) -> None:
        super().__init__()
        self.rows = rows


class RunTable(Widget):
    """A list of runs with a cursor."""

    class Chosen(Message):
        """A run was clicked."""

    def __init__(self, now: Callable[[], float], *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.rows: tuple[RunRow, ...] = ()
        self.marked: set[Path] = set()
        self.cursor = 0
        self.words = ""  # shown while there are no rows
        self._now = now
        self._top = 0

    @property
    def current(self) -> RunRow | None:
        """The run under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def show(self, rows: tuple[RunRow, ...]) -> None:
        """Take the runs; the cursor stays on its run."""
        current = self.current
        self.rows = rows
        folders = [row.folder for row in rows]
        if current is not None and current.folder in folders:
            self.cursor = folders.index(current.folder)
        self.move(0)

    def move(self, by: int) -> None:
        """Move the cursor."""
        self.cursor = max(0, min(len(self.rows) - 1, self.cursor + by))
        self.refresh()

    def render(self) -> Content:
        """Return the rows that fit around the cursor."""
        width, height = self.size
        if not self.rows:
            return line((self.words, MUTED))
        room = max(1, height - 1)
        self._top = max(min(self._top, self.cursor), self.cursor - room + 1, 0)
        columns = Columns.fitting(self.rows, width)
        shown = self.rows[self._top : self._top + room]
        body = [
            columns.row(row, row.folder in self.marked, self._top + number == self.cursor, self._now())
            for number, row in enumerate(shown)
        ]
        return lines([columns.title(), *body])

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the clicked run; a second click opens it."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        place = self._top + offset.y - 1
        if not 0 <= place < len(self.rows):
            return
        again = place == self.cursor
        self.cursor = place
        self.refresh()
        if again:
            self.post_message(self.Chosen())

    def on_mouse_scroll_down(self) -> None:
        """Move down."""
        self.move(1)

    def on_mouse_scroll_up(self) -> None:
        """Move up."""
        self.move(-1)


@dataclass(frozen=True)
class Columns:
    """Widths of the columns; 0 for one that is dropped."""

    id: int
    preset: int
    share: int
    age: int
    path: int
    names: Mapping[str, str]

    @classmethod
    def fitting(cls, rows: Sequence[RunRow], width: int) -> Columns:
        """Return the widths that fit; the best path is dropped first, then the preset, the age, the share."""
        ids = cut_names([row.id for row in rows], max(16, width // 3))
        id_columns = max(map(cell_len, ids.values()))
        presets = max(6, *(len(row.preset) for row in rows))
        paths = max(9, *(len(row.best_path) for row in rows))
        fixed = 4 + id_columns + 15 + 8  # mark, id, state, accuracy
        share = 6 if width - fixed >= 6 else 0
        fixed += share
        age = 12 if width - fixed >= 12 else 0
        fixed += age
        preset = min(presets, 16) if width - fixed - 4 >= min(presets, 16) else 0
        path = min(paths, width - fixed - (preset + 2 if preset else 0) - 2)
        names = short_names(sorted({row.best_path for row in rows if row.best_path}), path) if path >= 9 else {}
        longest = max((len(name) for name in names.values()), default=path)
        return cls(id_columns, preset, share, age, max(9, longest) if 9 <= path >= longest else 0, ids | names)

    def title(self) -> Content:
        """Return the column heads."""
        parts = ["    ", fit("run", self.id), "  "]
        if self.preset:
            parts += [fit("preset", self.preset), "  "]
        parts += [fit("state", 15), fit("done", self.share), fit("started", self.age)]
        if self.path:
            parts += [fit("best path", self.path), "  "]
        return line(("".join(parts) + "val acc", MUTED))

    def row(self, row: RunRow, marked: bool, current: bool, now: float) -> Content:
        """Return a run's row."""
        state = state_words(row.state) if not row.is_damaged else Content.styled("! damaged", "bold $error")
        parts: list[Part] = [("▶ " if current else "  ", "$primary"), ("+ " if marked else "  ", "bold $warning")]
        parts += [(fit(self.names[row.id], self.id), "bold" if current else ""), "  "]
        if self.preset:
            parts += [fit(row.preset, self.preset), "  "]
        parts += [state, " " * (15 - state.cell_length), f"{100 * row.share:3.0f} % "[: self.share]]
        parts += [(fit(ago(row.created, now), self.age), MUTED)]
        if self.path:
            parts += [fit(self.names.get(row.best_path, "–"), self.path), "  "]
        best = f"{100 * row.best_accuracy:7.2f}" if row.best_accuracy is not None else "      –"
        return line(*parts, (best, "bold"))


def _searched(row: RunRow) -> str:
    """Return the text that the filter looks through: what a row shows, and its state as other commands print it."""
    return f"{row.id} {row.preset} {row.state} {LOOKS[row.state].word} {'damaged' if row.is_damaged else ''}".casefold()


class RunsScreen(Screen[Choice | None]):
    """Picks a run.

    Args:
        runs_dir: Where runs live.
        now: The current time, for ages.
        current: The run that is shown now.
        overlaid: The runs that are overlaid on it now.
    """

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", key_display="enter", priority=True),
        Binding("slash", "filter", "Filter", key_display="/", tooltip="Filter by name, preset or state; Esc leaves it"),
        Binding("tab", "mark", "Overlay", priority=True, tooltip="Overlay the run on the loss chart of the opened one"),
        Binding("up", "move(-1)", "Up", priority=True, show=False),
        Binding("down", "move(1)", "Down", priority=True, show=False),
        Binding("pageup", "move(-10)", "Page up", priority=True, show=False),
        Binding("pagedown", "move(10)", "Page down", priority=True, show=False),
        Binding("n,ctrl+n", "new", "New", key_display="n", tooltip="Start a training from a preset"),
        Binding("escape", "back", "Back", priority=True),
    ]

    def __init__(
        self,
        runs_dir: Path,
        now: Callable[[], float] = time.time,
        current: Path | None = None,
        overlaid: tuple[Path, ...] = (),
    ) -> None:
        super().__init__()
        self.runs_dir = runs_dir
        self._now = now
        self._current = current
        self._marked = overlaid
        self._rows: tuple[RunRow, ...] = ()
        self._listed = False

    def compose(self) -> ComposeResult:
        """Yield the filter and the list."""
        yield Static(id="runs-heading")
        yield Input(placeholder=_HINT, id="runs-filter", compact=True)
        yield RunTable(self._now, id="runs-table")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Start listing; letters are keys until the filter is opened."""
        self.query_one(Input).cursor_blink = False
        table = self.query_one(RunTable)
        table.marked = set(self._marked)
        table.words = "reading …"
        self._list()

    def on_resize(self) -> None:
        """Draw the heading for the new width."""
        self._show_heading()

    @work(thread=True, exclusive=True, group="lister")
    def _list(self) -> None:
        worker, lister = get_current_worker(), RunLister(self.runs_dir)
        before: tuple[RunRow, ...] | None = None
        while not worker.is_cancelled:
            rows = lister.rows()
            if rows != before:
                before = rows
                self.post_message(RunsListed(rows))
            for _ in range(int(_LIST_SECONDS / 0.1)):
                if worker.is_cancelled:
                    return
                time.sleep(0.1)

    @on(RunsListed)
    def take(self, message: RunsListed) -> None:
        """Show the listed runs; the cursor starts on the run that was open."""
        self._rows = message.rows
        table = self.query_one(RunTable)
        self._filter()
        if not self._listed:
            self._listed = True
            place = next((i for i, row in enumerate(table.rows) if row.folder == self._current), 0)
            table.cursor = place
            table.move(0)

    @on(Input.Changed)
    def _filter(self) -> None:
        words = self.query_one(Input).value.casefold().split()
        found = tuple(row for row in self._rows if all(word in _searched(row) for word in words))
        table = self.query_one(RunTable)
        table.words = (
            "No matching runs." if self._rows else f"There are no runs in {self.runs_dir}. Press n to start one."
        )
        table.show(found)
        self._show_heading()

    def _show_heading(self) -> None:
        table = self.query_one(RunTable)
        count = (
            f"{len(table.rows):,} of {len(self._rows):,}"
            if len(table.rows) != len(self._rows)
            else f"{len(table.rows):,}"
        )
        info: list[Part] = [(f"{self.runs_dir}  ", MUTED), count]
        if table.marked:
            info.insert(0, (f"{len(table.marked)} overlaid  ", "$warning"))
        self.query_one("#runs-heading", Static).update(heading("Runs", max(20, self.size.width - 2), *info))

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self.query_one(RunTable).move(by)

    def action_mark(self) -> None:
        """Overlay the run on the chart, or remove it again."""
        table = self.query_one(RunTable)
        if table.current is not None:
            table.marked ^= {table.current.folder}
            table.refresh()
            self._show_heading()

    @on(RunTable.Chosen)
    def action_open(self) -> None:
        """Open the run under the cursor."""
        table = self.query_one(RunTable)
        if table.current is not None:
            chosen = table.current.folder
            self.dismiss(Choice(chosen, tuple(sorted(table.marked - {chosen}))))

    def action_back(self) -> None:
        """Leave the filter, then clear it, then go back."""
        box = self.query_one(Input)
        if box.has_focus:
            self.set_focus(None)
        elif box.value:
            box.value = ""
        else:
            self.dismiss(None)

    def action_filter(self) -> None:
        """Open the filter: letters are text in it, until Esc."""
        self.query_one(Input).focus()

    @property
    def is_filtering(self) -> bool:
        """Whether letters are text of the filter."""
        return self.query_one(Input).has_focus

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether an action is available: in the filter, letters are text."""
        if action in ("filter", "new"):
            return not self.is_filtering
        return True

    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    def _show_keys(self) -> None:
        """Show the keys that work now."""
        self.refresh_bindings()

    def action_new(self) -> None:
        """Start a training."""
        if isinstance(self.app, Navigator):
            self.app.start_training()
