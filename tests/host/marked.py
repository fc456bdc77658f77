"""Directories of phones on raw filesystems of their own, and the count of marked blocks that are left on the raw device."""

from __future__ import annotations


def directory(libvirt, raw_fs, kind="ext4", name="phones", **options):
    """A directory of that name on a raw filesystem of its own."""
    at = libvirt.workdir / name
    at.mkdir()
    return at, raw_fs(kind, at=at, **options)


def gone(filesystem, markers) -> int:
    """Marked blocks on the raw device once it is unmounted."""
    filesystem.unmount()
    return filesystem.count(markers.prefix)
