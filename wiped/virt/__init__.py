"""libvirt's door: which domains stand on the host, what happens to them, and the few things we ask libvirt to do.

`domain_xml.py` (with `devices.py`), `pool_xml.py` and `saved_state.py` (through `safe_xml.py`) turn libvirt's text into the model; `data_map.py` knows every
place of a domain's XML that may hold a path (`schema_names.py`: every name that a schema has; `qemu_options.py`: QEMU's own words); `places.py` knows where
libvirt leaves what: pure, and all of this room that `erase/` and `observe/` may import.
`connection.py` is the port Hypervisor, with its limits of time in `bounds.py`; `listener.py` hears libvirt's events, and `hints.py` turns them into hints
for the sweep. `connection.py` and `listener.py` alone `import libvirt`. `domain.py` reads and moves one domain; `calls.py` keeps blocking calls off the event
loop; `emulator.py` asks the kernel why a domain is silent; `fence.py` is the port Fences: files beside libvirt that its hook obeys.

May: open connections to libvirt, stop, start and undefine domains, write files in the fence directory. May not: open an image, call a
storage-removing or storage-wiping function of libvirt or hand it such a flag (a volume that libvirt deletes or wipes is evidence of nothing,
docs/physics.md 1), use a domain's name as a key, decide anything, know the ledger, or block the event loop. This file imports nothing: the
root helpers, which may not reach libvirt, import this package.
"""
