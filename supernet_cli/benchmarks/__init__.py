"""Benchmarks: what every path of a space is worth when trained from scratch, recorded, and what supernets made of it.

A benchmark is a table in this folder and the preset that it names. Nothing here trains.
"""
