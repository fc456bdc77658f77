"""Nouns: frozen values without I/O, time or randomness. May import only `wiped.errors` and the standard library's pure parts.

Files: `subscription` (terms, holds, requests, and what is decided about a phone), `policy` (the rules that an operator sets), `inventory` (what stands on
the host), `plan` (what a wipe will do, and the refusal codes), `outcome` (results, evidence, reasons, residuals), `records` (what the ledger keeps of
phones and wipes), `approvals` (what waits for another person), `breaker` and `clock` (the guards against mass mistakes), `images` (classified, or reached
by no domain), `sightings` (files seen as a phone's own), `notices` (what the provider's systems are told), `status` (what faces show), `canonical` (one
byte form of a value, and its digest), `strict_json` (JSON that others wrote), `instants` (instants as text), `identifiers` (what billing
cannot have given).

May not: read a clock, a file or the network; decide anything (that is `decide/`).
"""
