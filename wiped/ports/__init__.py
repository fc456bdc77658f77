"""Everything that the daemon needs from the world: `machine` (clock, randomness, milestones, news), `libvirt` (hypervisor, fences), `helpers` (eraser,
observer, the files left for them), `outside` (billing's feed, receivers of notices), `proofs` (signing, pseudonyms), `ledger` (the memory by noun), and
`service` (what the faces ask of the daemon). `conduct/` knows the world only through these.

Each port is a few narrow methods with stated idempotency and errors. Fakes live in `tests/fakes/` and pass the same contract suite as the real thing.
Instants are aware UTC datetimes; sizes bytes; durations seconds. May not: do anything.
"""
