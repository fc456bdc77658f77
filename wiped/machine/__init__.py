"""This machine, as the daemon needs it: its clocks (`clock`), random secrets and identifiers (`randomness`), the directory of the daemon's state, locked
for one daemon (`state_dir`), small files that survive a crash whole (`durable_file`), what systemd is told (`systemd`), and limits of the process (`limits`).

May not: know a phone, the ledger, libvirt or storage.
"""
