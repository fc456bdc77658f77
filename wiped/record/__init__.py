"""Memory: the SQLite ledger, the hash-chained audit log in its transactions, and the salt file that turns account references into pseudonyms.

What it is: the port `Ledger` (`ledger`) and the port `Pseudonyms` (`salts`). Everything that a call records, with its audit entries, is one transaction,
synced when the call returns; or nothing of it is. There is one serial writer; readers never wait for it.

It may not: decide (the pure decision is handed in and called), know libvirt, open an image or a phone's storage, or keep an account reference, a
reason or a customer's name in clear anywhere. Audit entries hold codes, ids, pseudonyms and digests, never references, reasons or names.
"""
