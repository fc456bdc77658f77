"""Memory: the SQLite ledger, the hash-chained audit log in its transactions, and the record files that the helpers read.

`ledger` opens, checks and closes the memory (port `Ledger`); each noun has a store in a file of its own: `phones`, `decisions` about them, `subscriptions`
(by the `subscription_rules`, written by `subscription_moves`) of `accounts`; `requests`, `holds`, `approvals`, `drains` and the sealed `words` that people
wrote with them; `wipes`, their `artefacts`, `free_space`, `verdicts`, `quarantine` and `certificates`; `images` and `sightings` of files; the `breaker` and
the `clock` check; `notices`; the `audit` log; `answers` and `conditions` of the host; `retention`; `proof` of all of it at each start. `helper_files` is
the port `Sheets`. Under them is the room `sql`.

Everything that a call records, with its audit entries, is one transaction, synced when the call returns; or nothing of it is recorded. Functions that run in
a transaction take its connection, so that several nouns change in one. There is one serial writer; readers never wait for it.

It may not: decide (the pure decision is handed in and called), know libvirt, open an image or a phone's storage, or keep an account reference, a
reason or a customer's name in clear anywhere. Audit entries hold codes, ids, pseudonyms and digests, never references, reasons or names.
"""
