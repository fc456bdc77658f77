"""Walking chains: strictly for what may be erased, liberally for what must be protected."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.unit.storage.headers import DATA_FILE, qcow2
from wiped.model.inventory import FileIdentity, ImageLayer
from wiped.storage.image_chain import look_at_layer, names_reached, walk_chain
from wiped.storage.locks import lock_image


def overlay(path: Path, backing: str, fmt: str = "qcow2") -> Path:
    """A qcow2 header on disk."""
    path.write_bytes(qcow2(backing=backing.encode(), backing_format=fmt.encode()))
    return path


def walk(path: Path | str, fmt: str = "qcow2", pool: Path | None = None, **options: int) -> tuple[ImageLayer, ...]:
    """The strict walk with the image's own directory as root."""
    return walk_chain(str(path), fmt, roots=[str(pool or os.path.dirname(path))], protected=[], libvirt_dirs=[], **options)


def problems(layers: tuple[ImageLayer, ...]) -> list[str]:
    """The problem of each layer, top first."""
    return [layer.problem for layer in layers]


def identity(path: Path) -> FileIdentity:
    """The identity of an existing file."""
    return FileIdentity(path.stat().st_dev, path.stat().st_ino)


def test_chain_of_three(pool: Path) -> None:
    """Overlay over overlay over raw: each found with its facts; relative names count from the overlay's directory."""
    (pool / "golden").mkdir()
    (pool / "golden/base.raw").write_bytes(b"x" * 8192)
    overlay(pool / "golden/mid", "base.raw", "raw")
    layers = walk(overlay(pool / "top", "golden/mid"))
    assert [(layer.location, layer.format) for layer in layers] == [
        (f"{pool}/top", "qcow2"),
        (f"{pool}/golden/mid", "qcow2"),
        (f"{pool}/golden/base.raw", "raw"),
    ]
    assert problems(layers) == ["", "", ""]
    top, _, base = layers
    assert (top.identity, top.virtual_bytes, top.size_bytes, top.links, top.under_root) == (identity(pool / "top"), 1 << 30, 65536, 1, str(pool))
    assert (base.virtual_bytes, base.backing_location, base.filesystem is not None) == (8192, "", True)


def test_location_flags(pool: Path) -> None:
    """Root, protected root and libvirt's own directories are told apart, and found through dots."""
    (pool / "image").write_bytes(b"x")
    layer = look_at_layer(f"{pool}/./x/../image", "raw", roots=["/elsewhere"], protected=[str(pool)], libvirt_dirs=[str(pool.parent)])
    assert layer.problem == "missing"  # x is not there
    layer = look_at_layer(f"{pool}/./image", "raw", roots=["/elsewhere"], protected=[str(pool)], libvirt_dirs=[str(pool.parent)])
    assert (layer.location, layer.under_root, layer.under_protected, layer.libvirt_owned) == (f"{pool}/image", "", str(pool), True)


@pytest.mark.parametrize("fmt", ["raw", ""])
def test_raw_is_never_parsed(pool: Path, fmt: str) -> None:
    """A guest that wrote a qcow2 header into its raw disk reaches nothing with it, by either walk (CVE-2024-32498)."""
    secret = pool / "neighbour"
    secret.write_bytes(b"x")
    (pool / "disk").write_bytes(qcow2(backing=str(secret).encode(), backing_format=b"raw", features=4, extensions=((DATA_FILE, b"/etc/shadow"),)))
    (layer,) = walk(pool / "disk", fmt)
    assert (layer.format, layer.problem, layer.backing_location, layer.virtual_bytes) == ("raw", "", "", 65536)
    assert identity(secret) not in names_reached(str(pool / "disk"), "raw").identities


def test_backing_without_format_ends_the_walk(pool: Path) -> None:
    """What lies beneath is not opened when its format is not stated."""
    overlay(pool / "base", "", "")
    layers = walk(overlay(pool / "top", "base", ""))
    assert [(layer.location, layer.problem) for layer in layers] == [(f"{pool}/top", "untrusted-format")]


@pytest.mark.parametrize("name", ["json:{}", "nbd:localhost:10809", "nbd://host/x", "file:/etc/shadow", "rbd:pool/image"])
def test_pseudo_paths(pool: Path, name: str) -> None:
    """Names that QEMU would give to a protocol end the walk."""
    layers = walk(overlay(pool / "top", name, "raw"))
    assert [(layer.problem, layer.backing_format) for layer in layers] == [("untrusted-format", "raw")]


def test_external_data_file(pool: Path) -> None:
    """An image whose data is elsewhere is refused as such, also when more is wrong with it."""
    (pool / "top").write_bytes(qcow2(features=4 | 1 << 50, backing=b"json:{}"))
    assert problems(walk(pool / "top")) == ["external-data-file"]


@pytest.mark.parametrize("data", [b"", b"QFI\xfb", qcow2()[:90], b"\0" * 65536, os.urandom(65536), qcow2(features=1 << 50)])
def test_truncated_or_corrupt(pool: Path, data: bytes) -> None:
    """A header that is cut, overwritten or from the future is an untrusted format."""
    (pool / "top").write_bytes(data)
    (layer,) = walk(pool / "top")
    assert (layer.problem, layer.identity) == ("untrusted-format", identity(pool / "top"))


def test_an_image_that_is_marked_corrupt_refuses_with_that_word(pool: Path) -> None:
    """QEMU set the mark because the tables contradict each other: the plan says so, and what mends it. A dirty mark alone is no fault."""
    (pool / "top").write_bytes(qcow2(features=2))
    (layer,) = walk(pool / "top")
    assert (layer.problem, "corrupt" in layer.detail, "qemu-img check" in layer.detail) == ("untrusted-format", True, True)
    (pool / "top").write_bytes(qcow2(features=1))
    assert problems(walk(pool / "top")) == [""]


def test_missing_links(pool: Path) -> None:
    """A missing top, and a missing backing file."""
    assert problems(walk(pool / "none")) == ["missing"]
    layers = walk(overlay(pool / "top", "none", "raw"))
    assert (problems(layers), layers[1].location) == (["", "missing"], f"{pool}/none")


def test_circular_chain(pool: Path) -> None:
    """A chain that comes back to one of its own files ends, with a problem that says so."""
    overlay(pool / "a", "b")
    overlay(pool / "b", "c")
    overlay(pool / "c", "./b")
    layers = walk(pool / "a")
    assert problems(layers) == ["", "", "untrusted-format"]
    assert "circular" in layers[-1].detail
    reached = names_reached(str(pool / "a"), "qcow2")
    assert (reached.identities, reached.incomplete) == ({identity(pool / name) for name in "abc"}, False)


def test_own_backing_file(pool: Path) -> None:
    """An image that names itself is the smallest circle."""
    assert problems(walk(overlay(pool / "a", "a"))) == ["untrusted-format"]


def test_too_deep(pool: Path) -> None:
    """Sixty-four layers are walked, the sixty-fifth is a problem, and the protecting walk says that it stopped."""
    for number in range(66):
        overlay(pool / f"l{number}", f"l{number + 1}") if number < 65 else (pool / "l65").write_bytes(qcow2())
    assert problems(walk(pool / "l2")) == [""] * 64
    layers = walk(pool / "l0")
    assert (len(layers), layers[-1].problem, "64" in layers[-1].detail) == (64, "untrusted-format", True)
    assert names_reached(str(pool / "l0"), "qcow2").incomplete
    assert not names_reached(str(pool / "l2"), "qcow2").incomplete


def test_symlinks(pool: Path) -> None:
    """A link is named and is a problem; the facts are the target's, and the walk goes on, so that owners are still found."""
    (pool / "base").write_bytes(b"x" * 4096)
    overlay(pool / "real", "base", "raw")
    (pool / "link").symlink_to("real")
    layers = walk(pool / "link")
    assert problems(layers) == ["symlink", ""]
    assert (layers[0].identity, layers[0].location) == (identity(pool / "real"), f"{pool}/link")
    assert f"{pool}/link" in layers[0].detail


def test_dangling_symlink(pool: Path) -> None:
    """A link to nowhere is missing."""
    (pool / "link").symlink_to("none")
    assert problems(walk(pool / "link")) == ["missing"]


def test_hard_link(pool: Path) -> None:
    """A second name is a problem of the layer."""
    overlay(pool / "top", "")
    os.link(pool / "top", pool / "other")
    (layer,) = walk(pool / "top")
    assert (layer.problem, layer.links) == ("hard-link", 2)


@pytest.mark.timeout(20)
def test_things_that_are_no_files(pool: Path) -> None:
    """A FIFO, a directory and a character device are looked at without being opened."""
    os.mkfifo(pool / "fifo")
    assert problems(walk(pool / "fifo") + walk(pool, "qcow2") + walk("/dev/null", "raw")) == ["not-regular"] * 3


@pytest.mark.parametrize(
    ("fmt", "problem"),
    [
        ("vmdk", ""),
        ("qed", ""),
        ("qcow", ""),
        ("vhdx", ""),
        ("vpc", ""),
        ("parallels", ""),
        ("vdi", ""),
        ("weird", "unsupported-artefact"),
        ("cow", "untrusted-format"),
    ],
)
def test_other_formats(pool: Path, fmt: str, problem: str) -> None:
    """Other formats are opaque files; what nobody knows is not supported."""
    (pool / "disk").write_bytes(b"x" * 4096)
    assert problems(walk(pool / "disk", fmt)) == [problem]


def test_strange_names(pool: Path) -> None:
    """Relative, empty and unprintable names are no files, and do not break what encodes the answer."""
    for name in ("", "relative", "/with\nnewline", "/with\udcffbyte", "/with\0nul"):
        (layer,) = walk_chain(name, "raw", roots=[str(pool)], protected=[], libvirt_dirs=[])
        assert layer.problem == "untrusted-format"
        assert layer.location.isascii()


def test_extents_and_lock(pool: Path) -> None:
    """The extent map comes only on request; a lock held by another is seen."""
    (pool / "disk").write_bytes(b"x" * 8192)
    with (pool / "disk").open("r+b") as file:
        lock_image(file.fileno())
        layer = look_at_layer(str(pool / "disk"), "raw", roots=[], protected=[], libvirt_dirs=[], with_extents=True)
        assert layer.extents is not None
        assert (layer.extents.bytes, layer.in_use) == (8192, True)
    layer = look_at_layer(str(pool / "disk"), "raw", roots=[], protected=[], libvirt_dirs=[])
    assert (layer.extents, layer.in_use) == (None, False)


def test_hold_keeps_the_inode(pool: Path) -> None:
    """While held, the removed file's inode stays; afterwards no descriptor is left."""
    (pool / "disk").write_bytes(b"x")
    before = len(os.listdir("/proc/self/fd"))
    with ExitStack() as hold:
        look_at_layer(str(pool / "disk"), "raw", roots=[], protected=[], libvirt_dirs=[], hold=hold)
        assert len(os.listdir("/proc/self/fd")) == before + 1
    assert len(os.listdir("/proc/self/fd")) == before
