"""Hands: the only code of this program that destroys anything, and the guards that stand directly before it.

`eraser.py` is a process of its own (root) that speaks `wire/` with the daemon and trusts nothing in a plan: which file is whose it finds out from
libvirt's own files (`ownership.py`; read by `documents.py`, what is this phone's in `own.py`, `named.py` and `templated.py`, what is others' in `others.py`,
where volumes stand in `pools.py`, the verdict in `claims.py`, the directories that may be opened beneath in `bounds.py`), opens what is left for writing
(`opening.py`) under locks (`locking.py`), overwrites mapped ranges (`overwrite.py`) and removes what was proven (`remove.py`).
`client.py` is the daemon's side: the port Eraser.

May: open, lock, overwrite, rename, truncate and unlink exactly the artefacts of one plan, each after its own checks (I2, I3, I5).
May not: reach libvirt, the ledger, the signing key or the network; choose what is to be wiped; look for other files; judge its own work (the observer
reads back); read configuration or environment (rules and directories are handed in); erase because an image's header says so.
"""
