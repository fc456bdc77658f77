"""Where this host may talk to: the form of a URL in the configuration, and the residency's allow-list (R18, `[host] export_hosts`). No look-up of any name."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import urlsplit

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.ASCII)


def host_fault(name: str) -> str:
    """Why `name` is no host for the allow-list, "" if it is: a name in lower case or an IP address, without port."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        if len(name) > 253 or not _HOST.fullmatch(name):
            return f"{name!r} is not a host: write its name in lower case or its IP address, without scheme, port or wildcard"
    return ""


def is_loopback(host: str) -> bool:
    """Whether nothing sent to `host` leaves this one."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def url_fault(url: str) -> str:
    """Why `url` cannot be an endpoint, "" if it can: https, or http to this host itself; no user, password or fragment in it. Never repeats more of it
    than scheme and host: a query may hold a secret."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "is not a URL; write https://HOST[:PORT]/PATH"
    if not url.isascii() or not url.isprintable() or " " in url or parts.scheme not in {"http", "https"} or host_fault(host) or port == 0:
        return "is not a URL of this kind; write https://HOST[:PORT]/PATH"
    if parts.username is not None or parts.password is not None:
        return "holds a user or a password; secrets stand in files of their own"
    if parts.fragment:
        return "holds a fragment (#...), which is never sent"
    if parts.scheme == "http" and not is_loopback(host):
        return f"goes to {host} without TLS (R16); write https://, plain http is for this host itself"
    return ""


def territory_fault(url: str, allowed: Collection[str], residency: str) -> str:
    """Why data must not go to `url` (of good form) from here, "" if it may: this host itself, or one on the allow-list (R18)."""
    host = urlsplit(url).hostname or ""
    if is_loopback(host) or host in allowed:
        return ""
    return f"{host} is not in host.export_hosts: data of {residency} stays in its territory (R18); list it there if it stands within"
