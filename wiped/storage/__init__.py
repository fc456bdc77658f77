"""The kernel's door: everything that the program asks of files, filesystems and block devices goes through here.

What it is: safe opening of paths (`paths`; `protected` roots; `quiet_open` for what is only looked at; `mounts`), the physical map of a file (`extents`),
what lies under it (`filesystems`, `inode`, `fsmap`), block devices and what stands on what (`blockdev`, `blockstack`), blocks shared with a golden image
(`shared_extents`), the one map that eraser and observer agree on (`artefacts`), QEMU's locks and write leases (`locks`), the pseudorandom pattern
(`keystream`), direct I/O (`direct`), the headers and chains of images (`qcow2`, `foreign`, `image_chain`), what others may reach (`reached`; `doubt` where
nobody can tell), a `time_limit` for looks at storage that hangs, templates, profiles and people's classifications (`templates`, `profiles/`, `classified`),
and freed blocks (`free_space`). The constants and structures of the kernel's interface are in `kernel`.

Synchronous, and meant for helper processes and their threads. It reports facts, and says no with `RefusedError` (a guard's code) or
`StorageError` (a reason code); foreign errors do not leave this room.

It may not: decide whether something is to be wiped, log, remove or rename files, read a clock for anything but pacing I/O, know libvirt, or probe a format
of what is to be erased (docs/physics.md 5). The only functions here that change something are `direct.write_ranges` (mapped ranges, and the file size up
to their end), `blockdev.discard`, `free_space` (files of its own that it removes again, and the discarding of free space), `shared_extents.settle` (unused
preallocation) and `locks` (locks and leases, which die with their descriptor).
"""
