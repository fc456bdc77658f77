"""The two programs: `wiped` (`daemon.py`) and `wipectl` (`main.py`). Faces only: they ask the daemon, or verify offline, and show the answer.

Under `main.py`, which lists them in one table, each noun has one file with its commands, their options and its tables: `status.py`, `phones.py`, `plans.py`,
`subscriptions.py`, `wipes.py`, `images.py`, `quarantine.py`, `requests.py`, `holds.py`, `approvals.py`, `drains.py`, `reports.py`, `breaker.py`, `clock.py`,
`certificates.py`, `audit.py`. A new command touches the file of its noun alone.

What the nouns share: `options.py` (parameters), `context.py` (the global options, and files read and written), `client.py` (HTTP over the daemon's socket),
`render.py` (tables, JSON, YAML), `progress.py` (a wipe followed to its end).

May not: touch storage, libvirt or the ledger, decide anything, show a secret or a control character that came from a name.
"""
