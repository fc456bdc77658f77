"""SQLite under the ledger: `database` (one serial writer, readers beside it), `schema` (all tables under one name: `from wiped.record.sql import schema as
tables`, because a table has the name of its store), the tables themselves in `phone_tables`, `rule_tables`, `wipe_tables` and `host_tables`, the types of
their `columns`, `rows` (rows into model records), `row_digest` (a number over the rows of each
table), `migrate` and its `migrations`.

May not: know a rule.
"""
