"""The eyes: what stands on the host, and what is left of it after a wipe. Read-only.

`image.py` looks at everything one phone reaches, kind by kind (`places/`), and at who else reaches it (`reach.py`); `readback.py` reads an erased file or
device back; `bounds.py` says where both may open, `host_files.py` reads small files of the host, `pools.py` libvirt's pools; `observer.py` is the root process
that does it; `orphans.py` lists images that no domain reaches. The daemon's side is `helpers/observer.py`.

This room and `erase/` mirror each other on purpose: see there.

May: open images, directories and block devices for reading, beneath the configured roots, libvirt's own directories and the configured templates only; read
libvirt's pid files, pools, secrets' definitions (never a value) and `qemu.conf`, our own records, `/proc` and `/sys`. May not: open anything for writing, take
a lock or a lease, probe a format, follow a symbolic link, decide what is destroyed (that is `decide/`), talk to libvirt, know the ledger, or put a domain's
name into a glob.
"""
