"""The order of things: who is decided when, what happens to one phone in which order, and what the faces may ask. Through ports only.

Files: `world` (the ports in one bundle), `deciding` (facts + conditions -> a fresh decision), `invariants` (I1 to I8 as code), `execute` (one wipe from its
trigger to its end; `fencing`, `stopping`, `erasing`, `freeing` and `judging` are its parts), `reconcile` (the sweep), `massmistakes` and `guards` (breaker and
clock), `schedule` (when, how many at once), `announce` (news to faces), `service` (what the faces may ask).

May not: open a file, a socket or a database; import libvirt, an HTTP or SQL library, or another room than `ports` and the pure ones; read a clock that was
not handed in; choose policy (that is `decide/`). Every destructive call is preceded by its invariant's check in the same function.
"""
