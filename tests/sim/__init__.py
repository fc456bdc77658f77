"""Simulated hosts: the real deciding rooms, conduct, SQLite ledger and salt file over a fake clock, libvirt, storage and feed, in which everything moves at
once. Deterministic from a seed.

Files: `books.py` (the oracle: what was promised to each customer, by its own simple rules, without `wiped/decide`), `host.py` (one host and what may happen to
it), `stories.py` (`python -m tests.sim.stories`: many seeds), `test_seeds.py` (those that `make test` runs, and the cases that found a fault).
"""
