"""Bounded, safe XML: text into an element tree, with a guard against everything libvirt never writes. Pure.

Standard-library expat, driven here rather than through `ElementTree.parse`, so that a document type (the door to entities) is refused before anything
is expanded, and nesting is bounded. Namespace prefixes are left as they stand (`qemu:commandline`).
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from wiped.errors import InputError

#: Larger documents are refused (bytes).
MAX_BYTES = 16 * 1024 * 1024
#: Deeper nesting is refused. libvirt's own deepest (a chain of 64 backing stores) stays well below.
MAX_DEPTH = 512
MAX_ELEMENTS = 500_000


def parse(xml: str | bytes, *, what: str) -> Element:
    """The root element of `xml`. Raises InputError, with `what` as its place, for anything that is not small, plain, well-formed XML."""
    try:
        data = xml.encode("utf-8") if isinstance(xml, str) else bytes(xml)
    except UnicodeEncodeError as error:
        raise InputError("is not text that XML can hold", where=what) from error
    if len(data) > MAX_BYTES:
        raise InputError(f"is larger than {MAX_BYTES} bytes", where=what)
    builder = TreeBuilder()
    depth = elements = 0

    def refuse_doctype(*_: object) -> None:
        raise InputError("has a document type, which libvirt never writes", where=what)

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements
        depth += 1
        elements += 1
        if depth > MAX_DEPTH or elements > MAX_ELEMENTS:
            raise InputError("is nested too deeply or has too many elements", where=what)
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    # A str has been encoded by us: whatever encoding its declaration names is not what these bytes are in.
    parser = expat.ParserCreate("utf-8" if isinstance(xml, str) else None)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.EntityDeclHandler = refuse_doctype
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
        return builder.close()
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise InputError(f"is not well-formed XML ({type(error).__name__})", where=what) from error
