"""Knowledge distillation: a network also learns from what a trained one, its teacher, makes of the same images.

    objective = 0.1 · loss on labels + 0.9 · T² · KL(teacher ‖ student), both softened by the temperature T

T² keeps the size of the second part's gradient when T changes. Teacher and student see the same augmented images.

Sources: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531, for the
objective; Tian, Krishnan and Isola 2020, "Contrastive Representation Distillation", arXiv 1910.10699, for the weights
and T = 4; Beyer et al. 2022, "Knowledge distillation: A good teacher is patient and consistent", arXiv 2106.05237, for
the same augmented images.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_BY_TEACHER = 0.9
"""Weight of what the teacher says; the rest is that of the labels."""


@dataclass(frozen=True)
class Distillation:
    """Learning from a teacher, which does not learn.

    Args:
        teacher: Maps normalised images (B, C, H, W) to logits (B, K), in evaluation mode.
        temperature: What logits are divided by before the softmax; above 1, small probabilities count for more.
    """

    teacher: nn.Module
    temperature: float

    def to(self, place: torch.device) -> Distillation:
        """Return it with the teacher on a device."""
        return Distillation(self.teacher.to(place).requires_grad_(False).eval(), self.temperature)

    @torch.no_grad()
    def logits(self, images_BCHW: Tensor) -> Tensor:
        """Return what the teacher makes of images, (B, K)."""
        logits_BK: Tensor = self.teacher(images_BCHW)
        return logits_BK

    def objective(self, by_labels: Tensor, logits_BK: Tensor, teacher_BK: Tensor) -> Tensor:
        """Return the objective.

        Args:
            by_labels: The loss on the labels, a number.
            logits_BK: Of the student.
            teacher_BK: Of the teacher, for the same images.
        """
        soft_BK = functional.log_softmax(logits_BK.float() / self.temperature, 1)
        target_BK = functional.log_softmax(teacher_BK.float() / self.temperature, 1)
        by_teacher = functional.kl_div(soft_BK, target_BK, reduction="batchmean", log_target=True)
        return (1 - _BY_TEACHER) * by_labels + _BY_TEACHER * self.temperature**2 * by_teacher
