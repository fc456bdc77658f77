"""libvirt's own RelaxNG schemas, walked: every place of a document whose content may be an absolute path.

A place is the elements from the document's root down, without it, and `@name` for an attribute: `devices/disk/source/@file`. Content that contains itself
(a backing chain in a backing chain) is entered once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

_NS = "{http://relaxng.org/ns/structure/1.0}"
#: What a place may hold if its content accepts one of these.
SAMPLES = ("/srv/phones/a.img", "/dev/sda", "/srv/phones")
#: Documents about a domain, by their root's file.
DOCUMENTS = ("domain.rng", "domainsnapshot.rng", "domaincheckpoint.rng", "domainbackup.rng")
INSTALLED = Path("/usr/share/libvirt/schemas")


class Schema:
    """The grammars of one document. `folder`: libvirt's schemas."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._defines: dict[str, list[Element]] = {}
        self.start: list[Element] = []
        self._load(name, set())

    def _load(self, name: str, seen: set[str]) -> None:
        if name in seen:
            return
        seen.add(name)
        for each in ElementTree.parse(self._folder / name).getroot().iter():
            if each.tag == f"{_NS}include":
                self._load(each.get("href", ""), seen)
            elif each.tag == f"{_NS}define":
                self._defines.setdefault(each.get("name", ""), []).append(each)
            elif each.tag == f"{_NS}start" and not self.start:
                self.start.append(each)

    def places(self) -> frozenset[str]:
        """Every place that may hold an absolute path."""
        return frozenset(place.partition("/")[2] for place in self._walk(self.start[0], "", ()))

    def _walk(self, node: Element, place: str, stack: tuple[str, ...]) -> Iterator[str]:
        for child in node:
            tag = child.tag.removeprefix(_NS)
            if tag == "ref":
                name = child.get("name", "")
                if name not in stack:
                    for define in self._defines.get(name, ()):
                        yield from self._walk(define, place, (*stack, name))
            elif tag == "element":
                inner = [child.get("name")] if child.get("name") else [each.text for each in child.iter(f"{_NS}name")]
                for step in inner or ["*"]:
                    yield from self._walk(child, f"{place}/{step}", stack)
            elif tag == "attribute":
                if self._accepts(child, stack):
                    yield f"{place}/@{child.get('name') or '*'}"
            elif tag in ("data", "text", "value", "list"):
                if self._takes(child):
                    yield place
            else:
                yield from self._walk(child, place, stack)

    def _accepts(self, node: Element, stack: tuple[str, ...]) -> bool:
        """Whether an attribute's content takes a path; one without any content takes every text."""
        contents = [child for child in node if child.tag not in (f"{_NS}name", f"{_NS}anyName")]
        return not contents or any(self._content(child, stack) for child in contents)

    def _content(self, node: Element, stack: tuple[str, ...]) -> bool:
        tag = node.tag.removeprefix(_NS)
        if tag == "ref":
            name = node.get("name", "")
            return name not in stack and any(self._content(child, (*stack, name)) for define in self._defines.get(name, ()) for child in define)
        if tag in ("data", "text", "value", "list"):
            return self._takes(node)
        return any(self._content(child, stack) for child in node)

    @staticmethod
    def _takes(node: Element) -> bool:
        tag = node.tag.removeprefix(_NS)
        if tag in ("text", "list"):
            return True
        if tag == "value":
            return (node.text or "").startswith("/")
        if node.get("type") not in ("string", "token", "anyURI"):
            return False
        patterns = [each.text or "" for each in node.findall(f"{_NS}param") if each.get("name") == "pattern"]
        return any(all(re.fullmatch(pattern, sample) for pattern in patterns) for sample in SAMPLES)


def places(folder: Path = INSTALLED) -> frozenset[str]:
    """Of all documents about a domain."""
    found: set[str] = set()
    for name in DOCUMENTS:
        found |= Schema(folder, name).places()
    return frozenset(found)


def names(folder: Path = INSTALLED) -> tuple[frozenset[str], frozenset[str]]:
    """(elements, attributes) that any schema about domains names."""
    elements: set[str] = set()
    attributes: set[str] = set()
    beside = ("basictypes", "storagecommon", "networkcommon", "cputypes", "nwfilter_params", "inactiveDomain", "privatedata")
    wanted = [*DOCUMENTS, "domaincommon.rng", "domainoverrides.rng", *(f"{name}.rng" for name in beside)]
    for file in (file for pattern in wanted for file in folder.glob(pattern)):
        for each in ElementTree.parse(file).getroot().iter():
            if name := each.get("name"):
                if each.tag == f"{_NS}element":
                    elements.add(name)
                elif each.tag == f"{_NS}attribute":
                    attributes.add(name)
    return frozenset(elements), frozenset(attributes)


def inside(place: str) -> str:
    """A place as the data map names it: below the domain, disks of snapshots and backups as those of the domain."""
    place = re.sub(r"^domain(snapshot/(domain|inactiveDomain)|checkpoint/domain)?/", "", place)
    place = re.sub(r"^domain(snapshot|checkpoint|backup)/", "", place)
    return re.sub(r"^(disks|revertDisks)/disk", "devices/disk", place)
