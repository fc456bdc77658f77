"""What is destroyed by overwriting a slot: `salts` (pseudonyms, and the sealing of words under them) in a file of fixed `slots`, each of which is overwritten
in place and read back (`inplace`).

May not: keep an account reference, a reason or a name in clear; know the ledger.
"""
