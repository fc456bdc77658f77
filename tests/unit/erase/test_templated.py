"""Files that a template of the configuration makes a phone's own."""

from __future__ import annotations

import pytest

from tests.lab.libvirtfiles import Disk
from tests.unit.erase.host import KEY, MINE, THEIRS, Host, both, judged
from tests.unit.erase.test_ownership import image
from wiped.errors import RefusedError


def test_extra_artefacts_by_template(host: Host) -> None:
    """What root's configuration says is the phone's, by UUID; by path alone, so that a renamed file is still meant."""
    host.rules = {"extra_artefacts": (f"{host.files.base}/backup/{{uuid}}/**", f"{host.files.base}/export/vm-{{uuid}}-*.ova")}
    both(host)
    own = [host.file(f"backup/{MINE}/a/b/c"), host.file(f"export/vm-{MINE}-1.ova")]
    stray = [host.file(f"backup/{KEY}/a"), host.file(f"export/vm-{MINE}-1.ova.asc"), host.file(f"export/sub/vm-{MINE}-1.ova"), host.file("export/vm-mine.ova")]
    claims = host.claims()
    assert [judged(claims, path) for path in own] == [[], []]
    assert judged(claims, stray[0]) == ["ambiguous-base", "shared-by-domain"]
    assert {tuple(judged(claims, path)) for path in stray[1:]} == {("ambiguous-base",)}
    bounds = [claims.bound(path) for path in [*own, *stray]]
    assert [bound and bound.directory for bound in bounds] == [f"{host.files.base}/backup/{MINE}", f"{host.files.base}/export", None, None, None, None]
    assert [claims.grants(f"{host.files.base}/backup/{MINE}/renamed")[0].why] == ["extra"]
    host.files.define("theirs", uuid=THEIRS, log=own[0])
    assert host.codes(own[0]) == ["shared-by-domain"]


def test_a_phones_own_directory_by_its_profile(host: Host) -> None:
    """Listed files are the phone's, kept and unlisted ones are not; a listed seed is its own medium."""
    profile = host.files.base / "profile.toml"
    profile.write_text(
        'file = [{ glob = "golden.img", kind = "disk-image", keep = true }, { glob = "*.img", kind = "disk-image" },'
        ' { glob = "*.iso", kind = "install-media" }]\n'
    )
    profile.chmod(0o600)
    host.rules = {"phone_directories": (f"{host.files.base}/phones/{{uuid}}",), "profile": str(profile)}
    disk, seed, kept, unknown = (host.file(f"phones/{MINE}/{name}") for name in ("d.img", "s.iso", "golden.img", "what"))
    both(host, disks=[Disk(disk, "raw"), Disk(seed, "raw", "cdrom"), Disk(kept, "raw")])
    assert [host.codes(path) for path in (disk, seed, kept, unknown)] == [[], [], ["ambiguous-base"], ["ambiguous-base"]]
    profile.chmod(0o666)
    with pytest.raises(RefusedError) as caught:
        host.claims()
    assert caught.value.codes == ("unreadable",)


@pytest.mark.parametrize("template", ["extra_artefacts", "phone_directories"])
@pytest.mark.parametrize("named", ["disk", "shared"])
def test_what_a_template_makes_another_phones_is_not_this_phones(host: Host, template: str, named: str) -> None:
    """By its own XML as a disk, or within a directory that it shares with its guest; whether or not libvirt knows the other phone."""
    held = f"{host.images}/kept/{{uuid}}"
    host.rules = {template: (held if template == "phone_directories" else f"{held}/*.img",)}
    (host.images / "kept" / THEIRS).mkdir(parents=True)
    path = image(host.images / "kept" / THEIRS / "backup.img")
    mine = {
        "disk": Disk(path, "raw").xml(0),
        "shared": f"<filesystem type='mount'><source dir='{host.images}/kept'/><target dir='k'/></filesystem>",
    }[named]
    host.files.define("mine", uuid=MINE, devices=mine)
    assert "shared-by-domain" in host.codes(path)
