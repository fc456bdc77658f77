"""SQLite under the ledger: `database` (one serial writer, readers beside it), `schema`, `rows` (rows into model records), `migrate`.

May not: know a rule.
"""
