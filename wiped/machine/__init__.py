"""This machine, as the daemon needs it: `clock`, and small files that survive a crash whole (`durable_file`).

May not: know a phone, the ledger, libvirt or storage.
"""
