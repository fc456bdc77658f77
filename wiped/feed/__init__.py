"""Where subscriptions come from (port Feed): the local feed and the parser of import files; billing's feeds over the network come later.

May: turn an answer into records, all of it or nothing. May not: write the ledger by itself, conclude anything from silence, put an account
reference into an error, a log or a repr.
"""
