"""A scale on which accuracies are closer to normal, and expectations of accuracies that are normal on it.

Good paths crowd below a limit and poor ones trail far behind, so the model works with the logarithm of the distance to
a limit above all accuracies, stretched so that a step at the reference is as long as one of accuracy:

    z = -room · log((limit - y) / room),  room = limit - reference

A distant limit leaves accuracies as they are. Everything here is for batches of scales: one row per draw.

Source: Snelson, Rasmussen and Ghahramani 2003, "Warped Gaussian Processes".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from supernet_cli.policies.problem import Floats


@dataclass(frozen=True)
class Scale:
    """K scales.

    Args:
        limit: (K, 1) above all accuracies that are put on the scale.
        reference: The accuracy that is 0 on each.
    """

    limit: Floats
    reference: float

    @property
    def room(self) -> Floats:
        """Distance between reference and limit, (K, 1)."""
        return self.limit - self.reference

    def row(self, place: int) -> Scale:
        """Return one of the scales."""
        return Scale(self.limit[[place]], self.reference)

    def forward(self, accuracies: Floats) -> Floats:
        """Return accuracies (n,) on each scale, (K, n)."""
        return -self.room * np.log((self.limit - accuracies) / self.room)

    def slope(self, accuracies: Floats) -> Floats:
        """Return the derivative of `forward`, (K, n)."""
        return self.room / (self.limit - accuracies)

    def back(self, values: Floats) -> Floats:
        """Return the accuracies of values (K, m), at least 0."""
        return np.maximum(0.0, self.limit - self.room * np.exp(np.minimum(-values / self.room, 50)))

    def excess(self, mean: Floats, deviation: Floats, threshold: Floats | float) -> Floats:
        """Return the expected excess of accuracies over thresholds, E max(0, y - threshold).

        With threshold 0 that is the expected accuracy, since no accuracy is negative.

        Args:
            mean: (K, m) of the normal values on the scales.
            deviation: (K, m), positive.
            threshold: One number, or (K, 1).
        """
        from scipy.special import log_ndtr, ndtr

        centre, spread = -mean / self.room, deviation / self.room
        height = np.maximum(self.limit - threshold, 1e-12)
        place = (np.log(height / self.room) - centre) / spread
        lost = self.room * np.exp(centre + spread**2 / 2 + log_ndtr(place - spread))
        return np.asarray(np.maximum(0.0, height * ndtr(place) - lost))
