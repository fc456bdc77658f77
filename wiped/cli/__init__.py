"""The commands: `wiped` (daemon.py) and `wipectl` (main.py). Faces only: they ask the daemon, or verify offline, and show the answer.

May not: touch storage, libvirt or the ledger, decide anything, show a secret or a control character that came from a name.
"""
