"""Tests of the kernel's door that need neither root nor libvirt."""
