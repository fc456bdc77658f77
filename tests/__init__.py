"""Tests: unit (no root, no libvirt), host (the real thing), lab (fixtures), fakes, bench."""
