"""`wiped`: the daemon that wipes cloud phones after their service ends, and proves it on the storage.

A phone is wiped when its bytes are gone from the device, and not before; what cannot be proven is `not-sanitized`.
"""

__version__ = "0.1.0"
