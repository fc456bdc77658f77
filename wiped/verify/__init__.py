"""The auditor's room: it verifies what a host gave away, far from that host, with nothing but the files and a public key.

`export.py`: a directory with an exported audit log, as it is written and as it is verified.

It is read by auditors, so it imports only `attest`, `model`, `errors` and the standard library. May not: import the daemon, the ledger or any other room, open
a socket, read a file that is not in the directory handed in, or take part in a decision about a phone.
"""
