"""The whole file, overlaid with the environment, checked section by section so that every fault is found in one go."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from wiped.config.endpoints import territory_fault
from wiped.config.sections import (
    LATER,
    MAX_SOCKET_PATH,
    Api,
    Attest,
    Feed,
    Host,
    Libvirt,
    Metrics,
    PolicySection,
    Retention,
    SafetySection,
    Section,
    Tables,
    Webhooks,
    directories_apart,
)
from wiped.config.storage import DEFAULT_PATH, Fault, closest, faults_text, parse_toml, read_bytes, read_storage
from wiped.errors import ConfigError
from wiped.model.policy import Policy, Safety, StorageRules

PREFIX = "WIPED__"
_POLICY_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_HINTS = {
    "host.residency": 'is required: the territory this host stands in, such as "eu-de" or "cn-gd"; it is in every certificate',
}
_SECTIONS: dict[str, type[Section]] = {
    "host": Host, "libvirt": Libvirt, "feed": Feed, "safety": SafetySection, "api": Api, "metrics": Metrics,
    "webhooks": Webhooks, "attest": Attest, "retention": Retention,
}  # fmt: skip

SectionT = TypeVar("SectionT", bound=Section)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that was configured. `path`: the file, which the helpers read for themselves."""

    path: str
    host: Host
    libvirt: Libvirt
    storage: StorageRules
    feed: Feed
    policy: Mapping[str, PolicySection]
    guards: SafetySection
    api: Api
    metrics: Metrics
    webhooks: Webhooks
    attest: Attest
    retention: Retention

    def policies(self) -> dict[str, Policy]:
        """The policies by name; `default` is always there."""
        return {name: Policy(name=name, **{key: getattr(section, key) for key in PolicySection.model_fields}) for name, section in self.policy.items()}

    def safety(self) -> Safety:
        """`[safety]` with the feed's maximum age."""
        guards = self.guards
        return Safety(
            settle=guards.settle,
            feed_max_age=self.feed.max_age,
            breaker_max=guards.breaker_max,
            breaker_ratio_percent=round(guards.breaker_ratio * 100),
            breaker_window=guards.breaker_window,
            max_clock_step=guards.max_clock_step,
            approval_ttl=guards.approval_ttl,
            hold_warning=guards.hold_warning,
            feed_shrink_percent=round(guards.feed_shrink * 100),
        )

    def storage_rules(self) -> StorageRules:
        """`[storage]`."""
        return self.storage

    @property
    def socket_path(self) -> str:
        """The API's Unix socket."""
        return self.api.socket or f"{self.host.runtime_dir}/wiped.sock"


class _Environment(EnvSettingsSource):
    """pydantic-settings' reading of nested names; what is no JSON stays text, so that its key's own check says what is wrong."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

        class Names(BaseSettings, Tables):
            model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid")

        super().__init__(Names)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items() if name.upper().startswith(PREFIX)}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def _overlay(tables: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(tables)
    for key, value in above.items():
        below = merged.get(key)
        merged[key] = _overlay(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return merged


def _with_environment(tables: dict[str, Any], environ: Mapping[str, str], faults: list[Fault]) -> dict[str, Any]:
    """The tables with the environment on top. Names that fit no section are faults: a mistyped guard is no guard."""
    known = {*Tables.model_fields, *(name for name in LATER if "." not in name)}
    overlaid = _overlay(tables, _Environment(environ)())
    for name in sorted(environ):
        parts = name.lower().split("__")
        if parts[0] != "wiped" or len(parts) == 1:
            continue
        if len(parts) < (4 if parts[1] == "policy" else 3) or not all(parts):
            faults.append((name, "is not of the form WIPED__SECTION__KEY (WIPED__POLICY__NAME__KEY for policies)"))
        elif parts[1] not in known:
            faults.append((name, f"names no section; {closest(parts[1], known)}"))
        elif parts[1] not in Tables.model_fields and environ[name]:
            overlaid.setdefault(parts[1], {})[parts[2]] = environ[name]
    return overlaid


def _refuse_later(tables: dict[str, Any], faults: list[Fault]) -> dict[str, Any]:
    """The tables without the keys of later versions of docs/contract.md; set ones are faults."""
    kept = {key: dict(value) if isinstance(value, dict) else value for key, value in tables.items()}
    for name, instead in LATER.items():
        section, _, key = name.partition(".")
        if not key:
            if kept.pop(section, None):
                faults.append((section, f"not in this version ({instead}); remove the section"))
            continue
        table = kept.get(section)
        if not isinstance(table, dict):
            continue
        if section == "policy":
            key = key.removeprefix("*.")
            table.update({label: dict(one) for label, one in table.items() if isinstance(one, dict)})
            places = [(f"policy.{label}.{key}", one) for label, one in table.items() if isinstance(one, dict)]
        else:
            places = [(name, table)]
        faults += [(where, f"not in this version ({instead}); remove it") for where, one in places if one.pop(key, None) not in (None, "", [])]
    return kept


def _place(section: str, location: tuple[int | str, ...]) -> str:
    return section + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _section(model: type[SectionT], name: str, raw: Any, faults: list[Fault]) -> SectionT | None:
    """The section, or None with its faults reported."""
    if not isinstance(raw, dict):
        faults.append((name, f"must be a table: [{name}]"))
        return None
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_context=False):
            where = _place(name, fault["loc"])
            if fault["type"] == "missing":
                reason = _HINTS.get(where, "is required")
            elif fault["type"] == "extra_forbidden":
                later = [key.rpartition(".")[2] for key in LATER if key.startswith(f"{name.partition('.')[0]}.")]
                reason = f"is not a key of [{name}]; {closest(str(fault['loc'][-1]), [*model.model_fields, *later])}"
            else:
                reason = fault["msg"].removeprefix("Value error, ")
            faults.append((where, reason))
        return None


def _policies(raw: Any, faults: list[Fault]) -> dict[str, PolicySection]:
    """`default` first; a key that another policy leaves out is `default`'s."""
    if not isinstance(raw, dict) or not all(isinstance(one, dict) for one in raw.values()):
        faults.append(("policy", "must be tables with a name: [policy.default]"))
        return {}
    found: dict[str, PolicySection] = {}
    for name in ["default", *sorted(name for name in raw if name != "default")]:
        if not _POLICY_NAME.fullmatch(name):
            faults.append((f"policy.{name}", "is not a policy name: lower-case letters, digits and dashes"))
            continue
        # A faulty default is reported once, under its own name.
        default = raw.get("default", {}) if "default" in found else {}
        section = _section(PolicySection, f"policy.{name}", {**default, **raw.get(name, {})}, faults)
        if section is None:
            continue
        found[name] = section
        if section.minor_grace > section.grace:
            faults.append((f"policy.{name}.minor_grace", "is longer than grace; minors' data has the shortest retention (R6)"))
        if section.minor_deadline < max(section.minor_grace, 1):
            faults.append((f"policy.{name}.minor_deadline", "is shorter than minor_grace: every minor's phone would be overdue when due"))
        if section.deadline < max(section.grace, 1):
            faults.append((f"policy.{name}.deadline", "counts from the end of the term: shorter than grace, every phone would be overdue when due"))
    return found


def _between(sections: Mapping[str, Any], rules: StorageRules) -> list[Fault]:
    """Faults that only two sections together show."""
    faults: list[Fault] = []
    host, api, feed = sections["host"], sections["api"], sections["feed"]
    if host is not None:
        faults += directories_apart(rules.roots, {"host.state_dir": host.state_dir, "host.runtime_dir": host.runtime_dir})
    if api is not None and (api.socket or host is not None):  # a faulty [host] must not hide what is wrong with the socket
        path = api.socket or f"{host.runtime_dir}/wiped.sock"
        if len(os.fsencode(path)) > MAX_SOCKET_PATH:
            key = "api.socket" if api.socket else "host.runtime_dir"
            faults.append((key, f"the socket's path has {len(os.fsencode(path))} bytes, the kernel takes {MAX_SOCKET_PATH}: {path!r}; choose a shorter one"))
    if feed is not None and feed.max_age < feed.interval:
        faults.append(("feed.max_age", "is shorter than feed.interval: the feed would be stale between two answers"))
    if feed is not None:
        faults += _asked(host, feed)
    return faults + _sent_out(host, sections["webhooks"])


def _asked(host: Host | None, feed: Feed) -> list[Fault]:
    """Faults of a feed that is half configured, or that is asked beyond this host's territory (R18)."""
    faults: list[Fault] = []
    needed = {"http": "url", "file": "path"}
    for kind, key in needed.items():
        given = bool(getattr(feed, key))
        if feed.kind == kind and not given:
            faults.append((f"feed.{key}", f'is required with kind = "{kind}"'))
        elif given and feed.kind != kind:
            faults.append((f"feed.{key}", f'is for kind = "{kind}"; this is "{feed.kind}"'))
    for key in ("token_file", "ca_file", "client_cert_file", "client_key_file"):
        if getattr(feed, key) and feed.kind != "http":
            faults.append((f"feed.{key}", f'is for kind = "http"; this is "{feed.kind}"'))
    if feed.verify_key_file and feed.kind == "local":
        faults.append(("feed.verify_key_file", 'is for a feed; this is "local"'))
    if bool(feed.client_cert_file) != bool(feed.client_key_file):
        faults.append(("feed.client_cert_file", "and feed.client_key_file go together"))
    if feed.kind == "http" and feed.url and host is not None and (fault := territory_fault(feed.url, host.export_hosts, host.residency)):
        faults.append(("feed.url", fault))
    return faults


def _sent_out(host: Host | None, webhooks: Webhooks | None) -> list[Fault]:
    """Faults of what leaves this host (R18), and of what is half configured."""
    if webhooks is None:
        return []
    faults: list[Fault] = []
    if webhooks.url and not webhooks.secret_file:
        faults.append(("webhooks.secret_file", "is required with webhooks.url: every event is signed"))
    if not webhooks.url and (webhooks.secret_file or webhooks.events):
        faults.append(("webhooks.url", "is not set: nobody would receive anything"))
    if webhooks.url and host is not None and (fault := territory_fault(webhooks.url, host.export_hosts, host.residency)):
        faults.append(("webhooks.url", fault))
    return faults


def load_settings(path: str = DEFAULT_PATH, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in the file `path`, overlaid with the environment. Raises ConfigError with every fault."""
    faults: list[Fault] = []
    tables = parse_toml(path, read_bytes(path, owned_by_root=False))
    tables = _with_environment(tables, os.environ if environ is None else environ, faults)
    tables = _refuse_later(tables, faults)
    for name in sorted(set(tables) - set(Tables.model_fields)):
        faults.append((name, f"is not a section; {closest(name, Tables.model_fields)}"))
    rules, storage_faults = read_storage(tables.get("storage", {}))
    faults += storage_faults
    sections = {name: _section(model, name, tables.get(name, {}), faults) for name, model in _SECTIONS.items()}
    policy = _policies(tables.get("policy", {}), faults)
    faults += _between(sections, rules)
    host = sections["host"]
    if faults or not isinstance(host, Host):
        distinct = list(dict.fromkeys(faults))
        raise ConfigError(faults_text(path, distinct), faults=distinct)
    if not host.name:
        host = host.model_copy(update={"name": os.uname().nodename})
    return Settings(
        path=os.path.abspath(path),
        host=host,
        libvirt=Libvirt.model_validate(sections["libvirt"]),
        storage=rules,
        feed=Feed.model_validate(sections["feed"]),
        policy=policy,
        guards=SafetySection.model_validate(sections["safety"]),
        api=Api.model_validate(sections["api"]),
        metrics=Metrics.model_validate(sections["metrics"]),
        webhooks=Webhooks.model_validate(sections["webhooks"]),
        attest=Attest.model_validate(sections["attest"]),
        retention=Retention.model_validate(sections["retention"]),
    )
