"""Networks: operations, the supernet built of them, what they cost, their normalisation, and how paths are scored."""
