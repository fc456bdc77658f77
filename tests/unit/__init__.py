"""Quick tests: no root, no libvirt."""
