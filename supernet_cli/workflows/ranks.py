"""Training under torchrun: the first rank acts like a single process, the others help it silently."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from pydantic import BaseModel

from supernet_cli.config.schema import Preset
from supernet_cli.config.torchrun import Place
from supernet_cli.errors import RankError
from supernet_cli.store.state import Wish
from supernet_cli.workflows.interruption import Interruption


class Orders(BaseModel):
    """What the first rank sends to the others before they start.

    Args:
        preset: The preset.
        images: Fingerprint of the images.
        threads: CPU threads of each rank.
        seeds: Supernets to train, one after another.
    """

    preset: Preset
    images: str
    threads: int
    seeds: tuple[int, ...]


def help_to_train(place: Place, data_root: Path | None = None) -> int:
    """Train together with the first rank, as another rank.

    Args:
        place: Place of this process.
        data_root: Folder of the images, if not where the preset says.

    Returns:
        The exit code of the process: that of an error only where torchrun asked it to end.
    """
    from supernet_cli.store.job import JobFolder
    from supernet_cli.store.layout import JobKey
    from supernet_cli.store.records import Fanout
    from supernet_cli.training.prepare import prepare
    from supernet_cli.training.ranks import Ranks
    from supernet_cli.training.train import train_supernet

    logging.getLogger("supernet_cli").addHandler(logging.NullHandler())  # the first rank logs and warns for all
    interruption = Interruption()
    try:
        with Ranks(place) as ranks:
            orders = Orders.model_validate_json(ranks.hear())
            prepared = prepare(orders.preset, orders.threads, place=place, data_root=data_root)
            prepared.images.check(orders.images)
            ranks.join(prepared.networks.device)
            with interruption:
                for seed in orders.seeds:
                    nowhere = JobFolder(Path(os.devnull), JobKey.supernet(seed))
                    outcome = train_supernet(prepared, nowhere, seed, Fanout(), lambda: interruption.wish, ranks)
                    if ranks.agree(Wish.STOP if outcome.state.is_by_request else interruption.wish):
                        break
    except RankError as error:
        if not interruption.requested:  # else torchrun knows, and has asked this rank to end
            raise
        return error.exit_code
    return 0
