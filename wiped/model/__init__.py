"""Nouns: frozen values without I/O, time or randomness. May import only `wiped.errors` and the standard library's pure parts.

May not: read a clock, a file or the network; decide anything (that is `decide/`).
"""
