"""A neighbour's image that nothing can open, and the files that it may have named: attacked with every way to name one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from wiped.storage.doubt import HEAD_BYTES, MAX_LINKS, Doubt
from wiped.storage.kernel import identity_of
from wiped.storage.reached import names_reached

BROKEN = b"QFI\xfb" + b"\xff" * 200


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """A directory with the file that is to be protected, and a link to it."""
    pool = tmp_path.resolve()
    (pool / "victim.img").write_bytes(b"data")
    (pool / "a-link").symlink_to("victim.img")
    (pool / "elsewhere").mkdir()
    (pool / "elsewhere/link").symlink_to(pool / "victim.img")
    return pool


def protected(pool: Path, head: bytes) -> bool:
    """Whether the victim is safe from being taken for nobody's, by the image with that head."""
    (pool / "broken").write_bytes(head)
    reached = names_reached(str(pool / "broken"), "qcow2")
    victim = pool / "victim.img"
    named = any(doubt.may_be(str(victim)) for doubt in reached.doubts)
    return reached.incomplete or named or identity_of(os.stat(victim)) in reached.identities or str(victim) in reached.paths


@pytest.mark.parametrize(
    "name",
    [
        b"victim.img", b"\xffvictim.img\xff", b"/srv/phones/victim.img", b"json:" + json.dumps({"file": {"filename": "/x/victim.img"}}).encode(),
        b"file:victim.img", b"garbagevictim.imggarbage", b"a-link", b"./a-link", b"elsewhere/link", b"./elsewhere/../a-link",
    ],
)  # fmt: skip
def test_every_way_to_name_it_protects_it(pool: Path, name: bytes) -> None:
    """By its own name anywhere in the head, or by a link that is followed."""
    assert protected(pool, BROKEN + b"\0" + name + b"\0" + bytes(64))
    assert protected(pool, BROKEN + b"\xff" * 30_000 + b"\0" + name + b"\0")


@pytest.mark.parametrize("link", ["elsewhere/link", "a-link"])
@pytest.mark.parametrize(
    "form",
    [
        'json:{{"driver":"qcow2","file":{{"driver":"file","filename":"{}"}}}}', "json:{{'file.filename':'{}'}}", 'parentFileNameHint="{}"', 'RW 8 FLAT "{}" 0',
        "junk,file={},x=y", "file:{}",
    ],
)  # fmt: skip
def test_a_link_within_other_words_protects_it(pool: Path, form: str, link: str) -> None:
    """A `json:` name, a descriptor: the path has quotes around it, and the victim's own name stands nowhere."""
    assert protected(pool, BROKEN + b"\0" + form.format(pool / link).encode() + b"\0")
    assert protected(pool, BROKEN + b"\0" + form.format(pool / link).replace("/", "\\/").encode() + b"\0")
    assert not protected(pool, BROKEN + b"\0" + form.format(pool / "no-such").encode() + b"\0")


def test_a_name_in_escapes_protects_it(pool: Path) -> None:
    """`json:` may write every letter as an escape."""
    assert protected(pool, BROKEN + b'\0json:{"file":{"filename":"/x/' + b"".join(b"\\u%04x" % letter for letter in b"victim.img") + b'"}}\0')


@pytest.mark.parametrize("name", ["\u4e2d\u6587", "\U0001f4f1 phone", "back\\slash", 'quo"te', "plain"])
def test_a_link_in_escapes_of_any_letters_protects_it(pool: Path, name: str) -> None:
    """As `json.dumps` writes it: letters beyond ASCII as one or two 16-bit numbers."""
    (pool / name).symlink_to("victim.img")
    assert protected(pool, BROKEN + b"\0json:" + json.dumps({"file": {"filename": str(pool / name)}}).encode() + b"\0")
    assert not protected(pool, BROKEN + b"\0json:" + json.dumps({"filename": str(pool / f"no-{name}")}).encode() + b"\\ud800\0")


@pytest.mark.parametrize("name", ["l", "ln", "with\x01control", "with\nline", "with, comma", "ünï"])
def test_a_link_of_any_letters_protects_it(pool: Path, name: str) -> None:
    """A header that states where the name is, though this program does not take it: QEMU opens names of control characters, and of one letter."""
    (pool / name).symlink_to("victim.img")
    raw = os.fsencode(name)
    header = b"QFI\xfb" + (3).to_bytes(4, "big") + (300).to_bytes(8, "big") + len(raw).to_bytes(4, "big") + b"\xff" * 280
    assert protected(pool, header + raw + bytes(64))
    assert protected(pool, BROKEN + b"DATA" + len(raw).to_bytes(4, "big") + raw + bytes(64))


def test_an_absolute_link_protects_it(pool: Path) -> None:
    """With whatever stands before it."""
    assert protected(pool, BROKEN + b"junk" + os.fsencode(pool / "elsewhere/link") + b"\0")


def test_its_name_at_the_end_of_the_largest_cluster(pool: Path) -> None:
    """The format allows a name anywhere in the first cluster."""
    assert protected(pool, (BROKEN + bytes(HEAD_BYTES))[: HEAD_BYTES - 10] + b"victim.img")
    assert not protected(pool, (BROKEN + bytes(HEAD_BYTES)) + b"victim.img")


def test_a_head_without_its_name_is_no_reason(pool: Path) -> None:
    """The case that made every phone of a host wait."""
    assert not protected(pool, BROKEN)
    assert not protected(pool, BROKEN + b"another.img")


def test_too_many_texts_protect_everything(pool: Path) -> None:
    """More than are followed: nothing is known, as before."""
    assert protected(pool, BROKEN + b"ab.c\0" * (MAX_LINKS + 1))


def test_names_that_could_be_written_in_another_way_are_always_meant(pool: Path) -> None:
    """Spaces, quotes, letters beyond ASCII: `json:` names write them as escapes."""
    doubt = Doubt(str(pool / "broken"), "no header", b"")
    assert [doubt.may_be(str(pool / name)) for name in ("plain-1.img", "with space", "ünïcode", 'quo"te')] == [False, True, True, True]
    assert doubt.may_be("/dev/vg/plain", device=True)
    assert "b''" not in repr(doubt)


def test_a_file_is_looked_for_under_its_real_name_too(pool: Path) -> None:
    """The plan may know it by a link."""
    assert Doubt("x", "", b"..victim.img..").may_be(str(pool / "a-link"))
