"""Where subscriptions come from (port Feed): `poll` asks a source (`http`: billing's API, `file`: a file that billing replaces, `local`: nothing to ask), reads
its `answers`, whose records may be `signed`, weighs them (`decide.feed_answer`) and hands them to the ledger. `import_file` reads an operator's files.

May: turn an answer into records, all of it or nothing; speak HTTP. May not: write the ledger by itself, conclude anything from silence, put an account
reference into an error, a log or a repr.
"""
