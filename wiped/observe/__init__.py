"""The eyes: what stands on the host, what is left of it after a wipe, and what billing says. Read-only.

`image.py` looks at everything one phone reaches and at who else reaches it; `readback.py` reads an erased file back from the device;
`observer.py` is the root process that does both; `client.py` is the daemon's side of it (port Observer); `feed/` reads subscriptions.

May: open images, directories and block devices for reading, beneath the configured roots and libvirt's own directories only; read libvirt's
pid files and `/proc`. May not: open anything for writing, take a lock or a lease, probe a format, follow a symbolic link, decide what is destroyed
(that is `decide/`), talk to libvirt, know the ledger, or put a domain's name into a glob. `feed/` alone may speak HTTP.
"""
