"""Bounded XML: text into elements, with a guard against everything that libvirt never writes."""

from __future__ import annotations

import pytest

from wiped.errors import InputError
from wiped.virt import safe_xml


def test_plain_xml_is_read_as_text_and_as_bytes() -> None:
    """Elements, attributes, prefixes as they stand; a text's declared encoding does not matter."""
    text = "<?xml version='1.0' encoding='latin-1'?><a qemu:b='é'><c>d</c></a>"
    root = safe_xml.parse(text, what="x")
    assert (root.tag, root.attrib, root.findtext("c")) == ("a", {"qemu:b": "é"}, "d")
    assert safe_xml.parse(text.encode("latin-1"), what="x").attrib == root.attrib


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        ("<!DOCTYPE a><a/>", "document type"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "document type"),
        ("<a>", "well-formed"),
        ("", "well-formed"),
        ("<a>&b;</a>", "well-formed"),
        (b"<?xml version='1.0' encoding='no-such'?><a/>", "well-formed"),
        ("<a>\udc80</a>", "not text"),
        ("<a>" * (safe_xml.MAX_DEPTH + 1), "nested"),
        ("<a>" + "<b/>" * safe_xml.MAX_ELEMENTS + "</a>", "too many"),
        (b" " * (safe_xml.MAX_BYTES + 1), "larger than"),
    ],
    ids=["doctype", "entity", "cut", "empty", "unknown-entity", "encoding", "surrogate", "deep", "many", "large"],
)
def test_everything_else_is_bad_input_with_its_place(xml: str | bytes, why: str) -> None:
    """Refused before anything is expanded; the error names the document."""
    with pytest.raises(InputError, match=why) as caught:
        safe_xml.parse(xml, what="pool XML")
    assert caught.value.where == "pool XML"
