"""Training: one training from its first step to its weights, alone or on several processes."""
