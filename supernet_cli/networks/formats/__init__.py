"""What a network is exported as, one format per file.

Each file has `write`, which returns the files of the format by name; `read`, which loads them again; `CHECK`, how
closely they must reproduce the network; and `NEEDS`, the packages that must be installed. `read` runs in a fresh
process in which this package cannot be imported (`_fresh.py`), so these files import nothing of it but for types.
"""
