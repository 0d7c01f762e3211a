"""Work on a run: the run itself, where the work is done, and who sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from supernet_cli.space import SearchSpace
from supernet_cli.store.run import Run
from supernet_cli.workflows.observer import Observer
from supernet_cli.workflows.workplace import Workplace

if TYPE_CHECKING:
    from supernet_cli.data import Progress
    from supernet_cli.training.prepare import Prepared


@dataclass(frozen=True)
class Session:
    """What all work on an existing run needs.

    Args:
        run: The run.
        workplace: Where its networks are trained and evaluated.
        observer: Sees what happens.
        data_root: Folder of its images, if not where its preset says.
    """

    run: Run
    workplace: Workplace = field(default_factory=Workplace)
    observer: Observer = field(default_factory=Observer)
    data_root: Path | None = None

    @cached_property
    def space(self) -> SearchSpace:
        """The run's search space.

        Raises:
            RunError: The run is damaged.
        """
        return SearchSpace.from_config(self.run.preset().space)

    def prepare(self, progress: Progress, threads: int | None = None) -> Prepared:
        """Load the run's images, and check everything that its preset asks for.

        Args:
            progress: Called while the data are loaded.
            threads: CPU threads, if not as many as the preset says.

        Raises:
            RunError: The images are others than those that the run was started with.
            DataError: The images are missing or damaged.
            PresetError: Something that the preset asks for is impossible here.
        """
        from supernet_cli.training.prepare import prepare_run

        return prepare_run(self.run, threads, progress, data_root=self.data_root)
