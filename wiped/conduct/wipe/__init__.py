"""One wipe, from its trigger to its end, in the order of docs/design.md.

Files: `run` (the whole order), `prepare` (before the last word, and the way back), `vanished` (the same for a phone whose domain is gone), `intent` (plan,
seeds and targets, durable), `agreement` (the plan is the one that two people approved), `fence`, `stop`, `attempt` (under the locks: erase, read back,
remove), `trim` (free space), `verdict` (judged, and released), `refused` (a guard said no), `invariants` (I1 to I8 as code).

May not: choose what is wiped (`decide/`), or take a step before its invariant was checked in the same function.
"""
