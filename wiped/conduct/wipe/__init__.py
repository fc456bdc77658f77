"""One wipe, from its trigger to its end, in the order of docs/design.md.

May not: choose what is wiped (`decide/`), or take a step before its invariant was checked in the same function.
"""
