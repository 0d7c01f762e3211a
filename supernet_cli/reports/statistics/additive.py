"""Figures of paths, split into one effect per candidate and a rest of each path; and the line between two such splits.

Shapes: n paths, b blocks, c candidates in all blocks. Candidates are numbered through all blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supernet_cli.reports.statistics.quantity import Floats, Integers, needs

_CLEAR = 2.0
"""Standard errors that the effects, and the slope of a line through them, must be away from zero."""


@dataclass(frozen=True)
class Line:
    """A line through the candidates' effects: scores over accuracies.

    Args:
        slope: Score per unit of accuracy, above 0.
        error: Standard error of the slope, relative to it.
        rest: Variance of a path's rest in score / slope minus accuracy.
    """

    slope: float
    error: float
    rest: float


@dataclass(frozen=True)
class Additive:
    """Least squares of figures of paths on the candidates that they take.

    Args:
        holds: (c, n) whether a path takes a candidate.
        blocks: (c,) the block of each candidate.
        basis: (n, q) orthonormal basis of what effects can add up to; the mean over paths is not part of it.
        weights: (c, n) a candidate's effect is this weighted sum of figures. Those of a block, weighted by the paths
            that take them, sum to zero, so that in a full space they are means over paths minus the mean over all.
        separable: Whether the paths tell the candidates' effects apart.
    """

    holds: NDArray[np.bool_]
    blocks: NDArray[np.int64]
    basis: NDArray[np.float64]
    weights: NDArray[np.float64]
    separable: bool

    @classmethod
    def of(cls, choices: Integers, sizes: Sequence[int]) -> Additive:
        """Return the split for some paths.

        Args:
            choices: (n, b) position of the candidate that each path takes in each block.
            sizes: (b,) candidates in each block.
        """
        blocks = np.repeat(np.arange(len(sizes)), sizes)
        positions = np.concatenate([np.arange(size) for size in sizes])
        holds = positions[:, None] == choices[:, blocks].T
        shares = holds.mean(axis=1) if holds.shape[1] else np.zeros(len(holds))
        centred = (holds - shares[:, None]).T
        left, lengths, right = np.linalg.svd(centred, full_matrices=False)
        some = lengths > 1e-9 * max(1.0, float(lengths.max(initial=0.0)))
        basis = left[:, some]
        weights = (right[some].T / lengths[some]) @ basis.T
        for block in range(len(sizes)):
            mine = blocks == block
            weights[mine] -= shares[mine] @ weights[mine]
        taken = holds.any(axis=1)
        wanted = sum(max(0, int(taken[blocks == block].sum()) - 1) for block in range(len(sizes)))
        return cls(holds, blocks, basis, weights, basis.shape[1] == wanted)

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the rests."""
        return int(len(self.basis) - 1 - self.basis.shape[1])

    def why_no_rest(self) -> str:
        """Return why rests cannot be told from effects; empty if they can."""
        return "" if self.freedom > 0 else needs(self.basis.shape[1] + 2, "paths", len(self.basis))

    def why_no_effect(self, candidate: int) -> str:
        """Return why a candidate has no effect; empty if it has one."""
        paths = self.paths(candidate)
        if not paths:
            return "No path contains it."
        if paths == self.holds.shape[1]:
            return "All paths contain it."
        return "" if self.separable else "Too few paths to tell the operations apart."

    def paths(self, candidate: int) -> int:
        """Return how many paths take a candidate."""
        return int(self.holds[candidate].sum())

    def block_of(self, candidate: int) -> NDArray[np.bool_]:
        """Return which candidates are in the same block and taken by some path, (c,)."""
        return np.asarray((self.blocks == self.blocks[candidate]) & self.holds.any(axis=1))

    def line(self, scores: Floats, accuracy: Floats, without: int | None = None) -> Line | None:
        """Return the line through the candidates' effects, on average as it would be if these were exact.

        Noise of the effects, of which the rests show how much there is, would make the line too flat.

        Args:
            scores: (n,) one figure.
            accuracy: (n,) the other.
            without: A candidate whose effect is left out.

        Returns:
            None if the effects are not clear of noise, or do not increase with each other.
        """
        if self.freedom < 1:
            return None
        figures = np.stack([scores, accuracy]).astype(np.float64)
        figures -= figures.mean(axis=1, keepdims=True)
        seen = figures @ self.basis
        rests = (figures @ figures.T - seen @ seen.T) / self.freedom
        explained, count = seen @ seen.T, self.basis.shape[1]
        if without is not None:
            direction = self.holds[without] - self.holds[without].mean()
            along = figures @ direction / math.sqrt(direction @ direction)
            explained, count = explained - np.outer(along, along), count - 1
        signal = explained - count * rests
        if count < 1 or explained[1, 1] <= _CLEAR**2 * count * rests[1, 1] or signal[0, 1] <= 0:
            return None
        slope = float(signal[0, 1] / signal[1, 1])
        difference = np.array([1 / slope, -1.0])
        rest = max(0.0, float(difference @ rests @ difference))
        misfit = float(difference @ explained @ difference) / max(1, count - 1)
        error = math.sqrt(max(rest, misfit) / signal[1, 1])
        return Line(slope, error, rest) if _CLEAR * error < 1 else None

    def common_noise(self, figures: Floats) -> NDArray[np.float64]:
        """Return the variance of the effects over several figures of the same paths, such as scores of supernets.

        Only the part that noise of single paths does not explain: what moves all paths of a candidate together.

        Args:
            figures: (n, m), m at least 2.

        Returns:
            (c,) variances of one figure's effects, at least 0.
        """
        centred = figures - figures.mean(axis=1, dtype=np.float64, keepdims=True)
        centred -= centred.mean(axis=0)
        seen = self.basis.T @ centred
        freedom = figures.shape[1] - 1
        rests = max(0.0, float(np.vdot(centred, centred) - np.vdot(seen, seen))) / (freedom * self.freedom)
        of_effects = ((self.weights @ self.basis @ seen) ** 2).sum(axis=1) / freedom
        return np.asarray(np.maximum(0.0, of_effects - (self.weights**2).sum(axis=1) * rests))
