"""Where the observer may open what it is asked to map or read back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab.libvirtfiles import LibvirtFiles
from wiped.errors import RefusedError
from wiped.model.inventory import FileIdentity
from wiped.model.policy import StorageRules
from wiped.observe.bounds import Bound, bound_for, libvirt_bounds, open_artefact

UUID = "11111111-2222-3333-4444-555555555555"


def test_roots_libvirts_places_and_templates_bound_an_opening(tmp_path: Path) -> None:
    """The deepest root; libvirt's own directories, in which filesystems may be mounted; a template's literal part, for a UUID in the path itself."""
    base = Path(os.path.realpath(tmp_path))
    (base / "images").mkdir()
    files = LibvirtFiles(base / "libvirt")
    rules = StorageRules(roots=(f"{base}/images",), extra_artefacts=(f"{base}/backups/{{uuid}}/*.img",), phone_directories=(f"{base}/own/{{uuid}}",))
    assert bound_for(f"{base}/images/a.raw", rules, files.directories) == Bound(f"{base}/images")
    own = files.directories.state
    assert own in libvirt_bounds(files.directories)
    assert bound_for(f"{own}/nvram/a.fd", rules, files.directories) == Bound(own, cross_mounts=True)
    assert bound_for(f"{base}/backups/{UUID}/x.img", rules, files.directories).directory == f"{base}/backups/{UUID}"
    assert bound_for(f"{base}/own/{UUID}/x", rules, files.directories).directory.startswith(f"{base}/own")
    for outside in (f"{base}/elsewhere/a.raw", f"{base}/backups/none/x.img", "/etc/passwd"):
        with pytest.raises(RefusedError) as caught:
            bound_for(outside, rules, files.directories)
        assert caught.value.codes == ("outside-roots",)


def test_only_the_file_that_was_meant_is_opened(tmp_path: Path) -> None:
    """By its identity, for reading; a device outside the roots is refused before it is touched."""
    base = Path(os.path.realpath(tmp_path))
    path = base / "a.raw"
    path.write_bytes(b"x" * 512)
    files, rules, found = LibvirtFiles(base / "libvirt"), StorageRules(roots=(str(base),)), path.stat()
    with open_artefact(str(path), FileIdentity(found.st_dev, found.st_ino), rules, files.directories) as image:
        assert os.pread(image.fd, 4, 0) == b"xxxx"
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.pwrite(image.fd, b"y", 0)
    for location, identity, code in (
        (str(path), FileIdentity(found.st_dev, found.st_ino + 1), "identity-changed"),
        ("/dev/null", FileIdentity(259, 0), "outside-roots"),
    ):
        with pytest.raises(RefusedError) as caught:
            open_artefact(location, identity, rules, files.directories)
        assert caught.value.codes == (code,)
