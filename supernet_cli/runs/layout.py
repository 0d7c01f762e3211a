"""Where a run's jobs are in its folder, and what that says about them."""

from __future__ import annotations

from enum import StrEnum


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

    def __new__(cls, value: str, folder: str, init: str, words: str) -> Way:  # noqa: D102 - described above
        way = str.__new__(cls, value)
        way._value_ = value
        way.folder, way.init, way.words = folder, init, words
        return way

    @classmethod
    def of_init(cls, word: str) -> Way:
        """Return the way that `retrain --init` or selections.json calls by a word.

        Raises:
            ValueError: It is another word.
        """
        known = {way.init: way for way in cls if way.init}
        if word not in known:
            raise ValueError(f"should be one of {', '.join(known)}")
        return known[word]
