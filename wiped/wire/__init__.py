"""The messages between the daemon and its two root helpers: length-limited JSON lines, versioned (DESIGN, The eraser's wire).

Pure: values and bytes only. May not: open a socket, read a clock, know libvirt or storage, decide anything.
"""
