"""Proofs: pure bytes. Certificates (in-toto statements: `certificate`), their envelopes (DSSE, Ed25519: `signing`) and the hash chain of the audit log
(`audit_chain`).

What it is: functions from values to bytes and back, that say no with `VerificationError` or `InvariantError`. An auditor who has this room, or only
jq, base64 and openssl, needs nothing else of ours.

It may not: do I/O, read a clock, log, await, know the ledger or a key's place on disk. Keys, instants and identifiers are handed in.
"""
