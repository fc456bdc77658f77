"""The line between the daemon and its two root helpers: `link` (the connection), `eraser` (port Eraser), `observer` (port Observer).

May not: open an image, reach libvirt or the ledger; believe a helper's word about another phone than the one asked for.
"""
