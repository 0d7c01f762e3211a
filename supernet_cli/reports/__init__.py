"""Judgement from stored facts: plain rows out. Free of torch and of rich."""
