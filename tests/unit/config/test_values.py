"""Types of single settings: the value that a text becomes, and the sentence for a text that becomes none."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ConfigDict, TypeAdapter, ValidationError

from wiped.config import values

#: As the sections have it: a maintenance window holds a time zone.
_CONFIG = ConfigDict(arbitrary_types_allowed=True)


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (values.Duration, "1h30m", 5_400),
        (values.Path, "", ""),
        (values.Path, "/srv/phones", "/srv/phones"),
        (values.OwnName, "", ""),
        (values.Listen, "[::1]:9477", "[::1]:9477"),
        (values.Hosts, '["hooks.example.com"]', ("hooks.example.com",)),
        (values.Notices, ["24h", "7d"], (604_800, 86_400)),
        (values.MaintenanceWindow, " ", None),
        (values.Events, ["phone.wiped", "phone.wiped"], ("phone.wiped",)),
        (values.Percent, 0.05, 0.05),
    ],
)
def test_a_good_text_becomes_its_value(kind: Any, given: object, expected: object) -> None:
    """Units are resolved, lists of the environment are read, notices are sorted longest first."""
    assert TypeAdapter(kind, config=_CONFIG).validate_python(given) == expected


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (values.Directory, "", "must not be empty"),
        (values.Directory, "var", "is relative"),
        (values.Label, "-eu", "begins with a letter or digit"),
        (values.Group, "no-such-group-here", "make it with groupadd"),
        (values.Url, "ftp://host", "ftp"),
        (values.LibvirtUri, "qemu+ssh://other/system", "this host's system libvirt"),
        (values.MaintenanceWindow, "* * * * * Nowhere/Land", "is no time zone"),
        (values.Notices, ["1h", "60m"], "different spans"),
        (values.Events, ["phone.wipd"], "did you mean 'phone.wiped'"),
        (values.Percent, 0.123, "whole percent"),
    ],
)
def test_a_bad_text_is_refused_with_what_to_write_instead(kind: Any, given: object, words: str) -> None:
    """The sentence is what `wiped check-config` prints."""
    with pytest.raises(ValidationError, match=words):
        TypeAdapter(kind, config=_CONFIG).validate_python(given)
