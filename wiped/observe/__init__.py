"""The eyes: what stands on the host, what is left of it after a wipe, and what billing says. Read-only.

`image.py` looks at everything one phone reaches, kind by kind (`places/`), and at who else reaches it (`reach.py`); `readback.py` reads an erased file or
device back; `opening.py` says where both may open; `observer.py` is the root process that does it; `client.py` is the daemon's side of it (port Observer);
`orphans.py` lists images that no domain reaches; `feed/` reads subscriptions.

May: open images, directories and block devices for reading, beneath the configured roots, libvirt's own directories and the configured templates only; read
libvirt's pid files, pools, secrets' definitions (never a value) and `qemu.conf`, our own records, `/proc` and `/sys`. May not: open anything for writing, take
a lock or a lease, probe a format, follow a symbolic link, decide what is destroyed (that is `decide/`), talk to libvirt, know the ledger, or put a domain's
name into a glob. `feed/` alone may speak HTTP.
"""
