"""`wiped`: the daemon that wipes cloud phones after their service ends, and proves it on the storage.

A phone is wiped when its bytes are gone from the device, and not before; what cannot be proven is `not-sanitized`.

Rooms, from the ground up: `errors.py` and `model/` (nouns), `decide/` (choices) and `attest/` (proofs), `verify/` (an auditor's checks), `wire/` (messages
between daemon and helpers) and `ports/` (what the daemon needs of the world), `machine/` (this machine), `helpers/` (the line to the helpers), `storage/` (the
kernel's door) and `virt/` (libvirt's door), `keys/` (what is destroyed in a slot), `erase/` (hands), `observe/` (eyes), `feed/` (subscriptions), `record/`
(memory), `notify/` (notices), `conduct/` (the order of things), `api/` and `cli/` (faces), `config/` and `logs.py`, `app.py` (the daemon put together) and
`__main__.py`. docs/design.md says who may import whom.
"""

__version__ = "0.1.0"
