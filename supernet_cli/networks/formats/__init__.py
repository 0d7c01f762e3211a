"""What a network is exported as, one format per file.

Each file has `write`, which returns the files of the format by name; `read`, which loads them again; `NEEDS`, the
packages that must be installed; `TAKES_PIXELS`, whether its input stays uint8 with `--raw`; `TOLERANCE`, by how much
logits may differ from the network's, relative to the largest one; and `FACTS`, what config.json says beside. `read`
runs in a fresh process in which this package cannot be imported (`_fresh.py`), so these files import nothing of it but
for types.
"""
