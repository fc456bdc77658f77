"""The types of single settings: how a text, a number or a list of the file becomes a value, or a ValueError that says what to write instead."""

from __future__ import annotations

import grp
import re
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator

from wiped.config.endpoints import host_fault, url_fault
from wiped.config.storage import closest, path_fault, text_list
from wiped.config.units import parse_duration, parse_listen
from wiped.decide import window
from wiped.model.notices import NoticeKind
from wiped.model.policy import Window


def _absolute(value: str) -> str:
    if value and (reason := path_fault(value)):
        raise ValueError(reason)
    return value


def _directory(value: str) -> str:
    if not value:
        raise ValueError("must not be empty")
    return _absolute(value)


def _group(value: str) -> str:
    if value:
        try:
            grp.getgrnam(value)
        except KeyError as error:
            raise ValueError(f"there is no group {value!r} on this host; make it with groupadd, or install config/wiped.sysusers.conf") from error
    return value


def _label(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}", value):
        raise ValueError(f"{value!r} may hold letters, digits, dots, dashes and underscores, and begins with a letter or digit")
    return value


def _listen(value: str) -> str:
    if value:
        parse_listen(value)
    return value


def _url(value: str) -> str:
    if value and (fault := url_fault(value)):
        raise ValueError(fault)
    return value


def _hosts(value: Any) -> tuple[str, ...]:
    hosts = text_list(value)
    if faults := [fault for fault in map(host_fault, hosts) if fault]:
        raise ValueError("; ".join(faults))
    return tuple(hosts)


def _local_libvirt(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"qemu", "qemu+unix"} or parts.netloc or parts.path != "/system":
        raise ValueError(f"{value!r} is not this host's system libvirt; write qemu:///system or qemu+unix:///system?socket=/path")
    return value


def _window(value: Any) -> Window | None:
    if not isinstance(value, str):
        raise ValueError("must be text: five cron fields and a time zone")
    fields, _, zone = value.strip().rpartition(" ")
    if not value.strip():
        return None
    try:
        return window.parse(fields, ZoneInfo(zone), value.strip())
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"{zone!r} is no time zone; write five cron fields and a zone, such as '* 1-4 * * * Europe/Berlin'") from error


def _before_the_end(value: Any) -> tuple[int, ...]:
    spans = [parse_duration(item) for item in text_list(value)]
    if 0 in spans or len(set(spans)) != len(spans):
        raise ValueError("must name different spans before the end, none of them zero")
    return tuple(sorted(spans, reverse=True))


def _events(value: Any) -> tuple[str, ...]:
    kinds = text_list(value)
    if unknown := [kind for kind in kinds if kind not in set(NoticeKind)]:
        raise ValueError(f"{unknown[0]!r} is not an event; {closest(unknown[0], [str(kind) for kind in NoticeKind])}")
    return tuple(dict.fromkeys(kinds))


def _whole_percent(value: float) -> float:
    if abs(value * 100 - round(value * 100)) > 1e-9:
        raise ValueError("must be in whole percent, such as 0.2 or 0.05")
    return value


Duration = Annotated[int, BeforeValidator(parse_duration)]
#: An absolute path in plain form, or "".
Path = Annotated[str, AfterValidator(_absolute)]
Directory = Annotated[str, AfterValidator(_directory)]
Group = Annotated[str, AfterValidator(_group)]
Label = Annotated[str, AfterValidator(_label)]
#: "" stands for what the kernel says.
OwnName = Annotated[str, AfterValidator(lambda value: _label(value) if value else "")]
Listen = Annotated[str, AfterValidator(_listen)]
Url = Annotated[str, AfterValidator(_url)]
Hosts = Annotated[tuple[str, ...], BeforeValidator(_hosts)]
LibvirtUri = Annotated[str, AfterValidator(_local_libvirt)]
MaintenanceWindow = Annotated[Window | None, BeforeValidator(_window)]
Notices = Annotated[tuple[int, ...], BeforeValidator(_before_the_end)]
Events = Annotated[tuple[str, ...], BeforeValidator(_events)]
Percent = Annotated[float, AfterValidator(_whole_percent)]
