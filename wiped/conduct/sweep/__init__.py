"""The sweep: looks at every domain and every phone whose time has come, decides, and starts what is due.

Files: `sweep` (one look at everything, and what follows from it), `queue` (which work on phones comes next), `timer` (when a sweep happens), `breaker` and
`clock` (what holds everything back), `sightings` (what phones are remembered to have), `orphans` (images that no domain reaches), `fences` (those that are
missing), `approvals` (what waits for a second person, as time goes by), `notices` (their delivery), `retention` (what was kept long enough).

May not: erase or stop anything by itself (`wipe/` does).
"""
