"""The API on the Unix socket, and the metrics: who is asking, may they, what did the service answer, in the JSON of docs/contract.md.

May not: reach libvirt, storage, the ledger or a helper (it knows the service's port and nothing below), decide anything, keep an account reference
longer than it takes to wrap it, or repeat a caller's input in an error.
"""
