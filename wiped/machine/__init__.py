"""This machine, as the daemon needs it: `clock`.

May not: know a phone, the ledger, libvirt or storage.
"""
