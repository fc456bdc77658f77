"""The data map, kind by kind: each module knows one sort of place where a phone leaves data, and looks there.

Files: `disks.py` (disks and the chains beneath them), `ram.py` (saved memory, dumps, files behind the RAM), `keys.py` (secrets), `logs.py` (logs and their
rotations), `directories.py` (shared directories, the TPM's, a phone's own). `look.py` is what they share: it looks at one path and collects what was
found, or what is wrong. A module adds artefacts and problems to a `Look`, and nothing else: it decides nothing, skips nothing silently, and never lets a
name into a pattern. What is the phone's own by these rules the eraser finds out by its own ones (`erase/`), which mirror them.
"""
