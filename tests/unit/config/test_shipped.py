"""What an operator copies: the sample configuration, alert rules, unit, sysusers and tmpfiles."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from wiped.api.metrics import METRICS
from wiped.config import load
from wiped.config.sections import DEFAULT_GROUP, PolicySection, Tables
from wiped.model.inventory import LibvirtDirectories
from wiped.model.plan import RefusalCode
from wiped.model.policy import StorageRules
from wiped.virt.fence import FENCE_DIRECTORY

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = (ROOT / "config" / "wiped.toml").read_text(encoding="utf-8")


def test_the_sample_is_good_as_it_is() -> None:
    """`wiped check-config` accepts it."""
    assert load(str(ROOT / "config" / "wiped.toml"), {}).host.residency == "eu-de"


def test_the_sample_s_comments_are_the_defaults(tmp_path: Path) -> None:
    """Every commented key uncommented changes nothing."""
    text = re.sub(r"^# (\w+ = )", r"\1", SAMPLE, flags=re.MULTILINE)
    # The default group need not exist on this machine; one that is asked for must.
    text = text.replace(f'group = "{DEFAULT_GROUP}"', "")
    file = tmp_path / "wiped.toml"
    file.write_text(text, encoding="utf-8")
    plain, full = load(str(ROOT / "config" / "wiped.toml"), {}), load(str(file), {})
    assert (plain.storage_rules(), plain.policies(), plain.safety()) == (full.storage_rules(), full.policies(), full.safety())
    assert (plain.host, plain.libvirt, plain.feed, plain.api, plain.metrics, plain.webhooks, plain.attest, plain.retention) == (
        full.host,
        full.libvirt,
        full.feed,
        full.api,
        full.metrics,
        full.webhooks,
        full.attest,
        full.retention,
    )


def test_the_sample_shows_every_setting() -> None:
    """What an operator copies has every key, so that nobody must know of it from elsewhere."""
    shown = {
        section: set(re.findall(r"^(?:# )?(\w+) = ", text, re.MULTILINE))
        for section, text in re.findall(r"^\[(.+?)\]\n((?:.|\n(?!\[))*)", SAMPLE, re.MULTILINE)
    }
    expected = {"storage": {field.name for field in fields(StorageRules)}, "policy.default": set(PolicySection.model_fields)}
    for section, info in Tables.model_fields.items():
        if section not in ("storage", "policy"):
            assert info.annotation is not None
            expected[section] = set(info.annotation.model_fields)  # type: ignore[attr-defined]
    assert shown == expected


def _alerts() -> list[dict[str, Any]]:
    document = yaml.safe_load((ROOT / "config" / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_alerts_use_only_metrics_that_exist() -> None:
    """A rule over a name that nobody exports never fires."""
    for rule in _alerts():
        names = set(re.findall(r"\bwiped_\w+", rule["expr"]))
        assert names, rule["alert"]
        assert names <= set(METRICS), rule["alert"]
        assert {"severity"} == set(rule["labels"])
        assert {"summary", "description"} == set(rule["annotations"])


def test_alerts_name_only_refusal_codes_that_exist() -> None:
    """A misspelt code would not be left out."""
    (rule,) = [rule for rule in _alerts() if rule["alert"] == "WipedRefused"]
    codes = re.search(r'code!~"([^"]+)"', rule["expr"])
    assert codes is not None
    assert set(codes.group(1).split("|")) <= {str(code) for code in RefusalCode}


def test_the_fence_directory_is_there_before_the_first_guest() -> None:
    """tmpfiles makes the directory that hook and daemon agree on."""
    assert f"d {FENCE_DIRECTORY} 0755 root root -" in (ROOT / "config" / "wiped.tmpfiles.conf").read_text(encoding="utf-8")


def test_the_socket_s_group_is_made() -> None:
    """sysusers makes the group that `[api] group` means by default."""
    assert f"g {DEFAULT_GROUP} -" in (ROOT / "config" / "wiped.sysusers.conf").read_text(encoding="utf-8")


def test_the_unit_does_not_restart_on_a_wrong_configuration() -> None:
    """docs/contract.md: 78. And the watchdog, readiness and the daemon's own directories are as the daemon expects them."""
    unit = (ROOT / "systemd" / "wiped.service").read_text(encoding="utf-8")
    for line in ("Type=notify", "RestartPreventExitStatus=78", "StateDirectory=wiped", "RuntimeDirectory=wiped", "KillMode=mixed", "LimitCORE=0"):
        assert f"\n{line}\n" in unit
    assert re.search(r"^WatchdogSec=\d+$", unit, re.MULTILINE)
    assert "ExecStart=/opt/wiped/bin/wiped run --config /etc/wiped/wiped.toml" in unit


def test_the_unit_lets_the_eraser_write_where_a_phones_own_files_lie() -> None:
    """ProtectSystem=full makes /etc read-only, and libvirt's secrets lie there; a unit without them would fail on the first key."""
    unit = (ROOT / "systemd" / "wiped.service").read_text(encoding="utf-8")
    assert "\nProtectSystem=full\n" in unit
    writable = {path.removeprefix("-") for line in re.findall(r"^ReadWritePaths=(.*)$", unit, re.MULTILINE) for path in line.split()}
    places = LibvirtDirectories()
    erased_in = (places.state, places.logs, places.swtpm, places.swtpm_logs, places.secrets)
    assert {path for path in erased_in if path.startswith(("/usr", "/boot", "/etc"))} == writable


def test_the_unit_may_ask_what_the_proofs_ask() -> None:
    """Leases on others' files, descriptors of other processes, FITRIM; the devices themselves stay visible, under no device policy."""
    unit = (ROOT / "systemd" / "wiped.service").read_text(encoding="utf-8")
    bounding = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)
    assert bounding is not None
    assert {"CAP_LEASE", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"} <= set(bounding[1].split())
    assert "\nPrivateDevices=no\n" in unit
    for key in ("DevicePolicy", "DeviceAllow", "ProtectClock", "ProtectProc", "ProcSubset", "RestrictSUIDSGID", "PrivateMounts"):
        assert not re.search(rf"^{key}=", unit, re.MULTILINE), key
