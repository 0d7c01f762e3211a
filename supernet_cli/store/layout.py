"""Where a run's jobs are in its folder, and what that says about them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from enum import StrEnum

_LONGEST_FOLDER = 200  # characters; file systems take 255
_KEY = re.compile(r"(?P<way>[^/]+)/(?:(?P<path>[^/]+)/)?seed-(?P<seed>0|[1-9][0-9]{0,9})")
_HASHED = re.compile(r"path-[0-9a-f]{32}")


class Way(StrEnum):
    """How a network got its weights; a way's value is its word in the documents of results.

    Args:
        value: See above.
        folder: Folder of its jobs in a run.
        init: Its word for `retrain --init` and in selections.json; empty for supernets, which are not selected.
        words: What it is, on screens.
    """

    folder: str
    init: str
    words: str

    ONE_SHOT = "one-shot", "supernet", "", "one-shot: weights inherited from a supernet"
    ALONE = "stand-alone", "standalone", "scratch", "alone: trained from scratch"
    INHERITED = "inherited", "inherited", "inherit", "fine-tuned: trained from a supernet's weights"
    SHORT = "short", "short", "short", "trained from scratch, briefly"
    FINAL = "final", "final", "final", "final: trained for use, kept apart from every ranking"

    def __new__(cls, value: str, folder: str, init: str, words: str) -> Way:  # noqa: D102 - described above
        way = str.__new__(cls, value)
        way._value_ = value
        way.folder, way.init, way.words = folder, init, words
        return way

    @classmethod
    def of_init(cls, word: str) -> Way:
        """Return the way that `retrain --init` or selections.json calls by a word.

        Raises:
            ValueError: The word is unknown.
        """
        known = {way.init: way for way in cls if way.init}
        if word not in known:
            raise ValueError(f"should be one of {', '.join(known)}")
        return known[word]


def path_folder(path: str) -> str:
    """Return the name of a path's folder: the path's name, or a hash where that is too long for a file system."""
    if len(path) <= _LONGEST_FOLDER:
        return path
    return f"path-{hashlib.sha256(path.encode()).hexdigest()[:32]}"


@dataclass(frozen=True)
class JobKey:
    """Which job of a run; prints as the place of its folder, such as `standalone/conv3x3_conv5x5/seed-0`.

    Args:
        way: How it trains.
        path: The path that it trains alone, or the name of the path's folder where only that is known; empty for a
            supernet.
        seed: Its seed.

    Attributes:
        folder: Name of the path's folder, which identifies the path; empty for a supernet.
    """

    way: Way
    path: str = field(compare=False)
    seed: int
    folder: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", path_folder(self.path))

    def __str__(self) -> str:
        return "/".join(part for part in (self.way.folder, self.folder, f"seed-{self.seed}") if part)

    @classmethod
    def supernet(cls, seed: int) -> JobKey:
        """Return the key of the job that trains a supernet."""
        return cls(Way.ONE_SHOT, "", seed)

    @classmethod
    def parse(cls, text: str) -> JobKey:
        """Return the key that prints as a text.

        Raises:
            ValueError: The text names no job.
        """
        found = _KEY.fullmatch(text)
        ways = {way.folder: way for way in Way}
        if found is None or (way := ways.get(found["way"])) is None or (way is Way.ONE_SHOT) != (found["path"] is None):
            raise ValueError(f"there is no job {text!r}")
        return cls(way, found["path"] or "", int(found["seed"]))

    @property
    def is_nameless(self) -> bool:
        """Whether the path's name is not known, only its folder's, which is a hash."""
        return _HASHED.fullmatch(self.path) is not None

    def named(self, path: str) -> JobKey:
        """Return the key with the path's name, if a name belongs to its folder; otherwise as it is."""
        return replace(self, path=path) if path_folder(path) == self.folder else self
