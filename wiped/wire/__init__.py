"""The messages between the daemon and its two root helpers: length-limited JSON lines, versioned (docs/design.md, "The eraser's wire").

Files: `messages` (every message as a frozen dataclass, and the version), `framing` (a message as one line of JSON, and back).

Pure: values and bytes only. May not: open a socket, read a clock, know libvirt or storage, decide anything.
"""
