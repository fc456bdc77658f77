"""Hands: the only code of this program that destroys anything, and the guards that stand directly before it.

`eraser.py` is a process of its own (root) that speaks `wire/` with the daemon and trusts nothing in a plan: which file is whose it finds out from
libvirt's own files (`ownership.py`; read by `libvirt_files.py`, what is this phone's in `own.py`, `named.py`, `templated.py` and `remembered.py`, what is
others' in `others.py`, where volumes stand in `pools.py`, the verdict in `claims.py`, the directories that may be opened beneath in `bounds.py`), opens what is
left for writing (`target.py`) under locks (`locks.py`), overwrites mapped ranges (`overwrite.py`), removes what was proven (`remove.py`), and makes the free
space that is left unreadable (`trim.py`). The daemon's side is `helpers/eraser.py`.

This room and `observe/` mirror each other on purpose: each finds out for itself whose a file is, so that a mistake in one is caught by the other. They share
the kernel's door (`storage/`) and libvirt's pure parsers, and no rule of ownership.

May: open, lock, overwrite, rename, truncate and unlink exactly the artefacts of one plan, each after its own checks (I2, I3, I5).
May not: reach libvirt, the ledger, the signing key or the network; choose what is to be wiped; look for other files; judge its own work (the observer
reads back); read configuration or environment (rules and directories are handed in); erase because an image's header says so.
"""
