"""The configuration: defaults, units, overlays, and every fault at once with its key and a hint."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wiped.config import load, load_storage_rules
from wiped.errors import ConfigError
from wiped.model.notices import NoticeKind
from wiped.model.policy import Policy, Safety, StorageRules

GOOD = """
[host]
name = "host-1"
residency = "eu-de"
[storage]
roots = ["/srv/phones"]
"""


def _write(path: Path, text: str) -> str:
    file = path / "wiped.toml"
    file.write_text(text)
    file.chmod(0o644)
    return str(file)


def _faults(path: Path, text: str, environ: dict[str, str] | None = None) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(_write(path, text), environ or {})
    faults = dict(caught.value.faults)
    for key, reason in faults.items():
        assert f"{key}: {reason}" in str(caught.value)
    return faults


def test_a_short_file_gets_the_contract_s_defaults(tmp_path: Path) -> None:
    """docs/contract.md, "Configuration"."""
    settings = load(_write(tmp_path, GOOD), {})
    assert settings.policies() == {"default": Policy()}
    assert settings.safety() == Safety()
    assert settings.storage_rules() == StorageRules(roots=("/srv/phones",))
    assert (settings.host.state_dir, settings.libvirt.uri, settings.socket_path) == ("/var/lib/wiped", "qemu:///system", "/run/wiped/wiped.sock")
    assert (settings.metrics.address, settings.feed.interval, settings.api.group) == (("127.0.0.1", 9477), 60, "wiped")


def test_the_kernel_s_name_stands_in_for_a_missing_one(tmp_path: Path) -> None:
    """A host has a name."""
    assert load(_write(tmp_path, GOOD.replace('name = "host-1"', "")), {}).host.name == os.uname().nodename


def test_the_environment_overlays_the_file(tmp_path: Path) -> None:
    """Every key, policies and lists too; unrelated names do not matter."""
    environ = {
        "WIPED__HOST__RESIDENCY": "cn-gd",
        "WIPED__STORAGE__ROOTS": '["/srv/a", "/srv/b"]',
        "WIPED__STORAGE__WRITERS": "8",
        "WIPED__POLICY__DEFAULT__GRACE": "2h",
        "WIPED__POLICY__DEFAULT__NOTICE": '["48h", "7d"]',
        "WIPED__FEED__MAX_AGE": "30m",
        "WIPED_SOCKET": "/tmp/other",
        "PATH": "/bin",
    }
    settings = load(_write(tmp_path, GOOD), environ)
    assert settings.host.residency == "cn-gd"
    assert settings.storage_rules() == StorageRules(roots=("/srv/a", "/srv/b"), writers=8)
    assert settings.policies()["default"] == Policy(grace=7_200, notice=(604_800, 172_800))
    assert settings.safety().feed_max_age == 1_800


def test_further_policies_take_what_they_leave_out_from_the_default(tmp_path: Path) -> None:
    """`[policy.NAME]` says only what differs."""
    text = GOOD + '[policy.default]\ngrace = "3d"\ndeadline = "6d"\n[policy.gold]\nnotice = []\nstop_timeout = "10s"\n'
    policies = load(_write(tmp_path, text), {}).policies()
    assert policies["gold"] == Policy(name="gold", grace=259_200, deadline=518_400, notice=(), stop_timeout=10)


def test_every_fault_is_found_in_one_go(tmp_path: Path) -> None:
    """Unknown keys with the closest match, wrong units, bad roots, missing keys: all of them, from all sections."""
    text = """
[host]
nme = "x"
[storage]
roots = ["srv/phones", "/srv/a", "/srv/a/b", "/etc", "/srv/c/../d", "/srv/a"]
protected = ["/srv/golden"]
writers = 0
rate_limit = "5 parsecs"
[feed]
interval = 60
[policy.default]
grace = "24"
notice = ["1h", "1h"]
[policy.Gold]
[metrics]
listen = "9477"
[libvrt]
uri = "qemu:///system"
"""
    faults = _faults(tmp_path, text)
    assert "did you mean 'name'?" in faults["host.nme"]
    assert "is required" in faults["host.residency"]
    assert "is relative" in faults["storage.roots[0]"]
    assert "overlaps '/srv/a'" in faults["storage.roots[2]"]
    assert "directory of the host itself" in faults["storage.roots[3]"]
    assert "write '/srv/d'" in faults["storage.roots[4]"]
    assert "stands twice" in faults["storage.roots[5]"]
    assert "inside no root" in faults["storage.protected[0]"]
    assert "from 1 to 64" in faults["storage.writers"]
    assert "is not a rate" in faults["storage.rate_limit"]
    assert "in quotes" in faults["feed.interval"]
    assert 'write "24s"' in faults["policy.default.grace"]
    assert "different spans" in faults["policy.default.notice"]
    assert "not a policy name" in faults["policy.Gold"]
    assert "not an address and port" in faults["metrics.listen"]
    assert "did you mean 'libvirt'?" in faults["libvrt"]


@pytest.mark.parametrize(
    ("section", "key", "part"),
    [
        ('[feed]\nkind = "http"', "feed.url", "is required"),
        ('[feed]\nkind = "file"', "feed.path", "is required"),
        ('[feed]\nkind = "postgresql"', "feed.kind", "not in this version"),
        ('[feed]\nkind = "http"\nurl = "http://billing.example/x"', "feed.url", "without TLS"),
        ('[feed]\nkind = "http"\nurl = "https://billing.example/x"', "feed.url", "export_hosts"),
        ('[feed]\nkind = "file"\npath = "/x"\ntoken_file = "/y"', "feed.token_file", "kind"),
        ('[feed]\ntimeout = "1h"', "feed.timeout", "10m"),
        ('[feed]\nkind = "carrier-pigeon"', "feed.kind", "not a kind of feed"),
        ('[feed]\nurl = "https://billing"', "feed.url", "is for kind"),
        ('[webhooks]\nurl = "https://x"\nsecret_file = "/x"', "webhooks.url", "not in host.export_hosts"),
        ('[webhooks]\nurl = "http://x"', "webhooks.url", "without TLS"),
        ('[webhooks]\nurl = "https://u:p@x"', "webhooks.url", "a user or a password"),
        ('[webhooks]\nurl = "ftp://x"', "webhooks.url", "not a URL of this kind"),
        ('[webhooks]\nurl = "https://localhost/x"', "webhooks.secret_file", "is required"),
        ('[webhooks]\nsecret_file = "/etc/wiped/webhook"', "webhooks.url", "is not set"),
        ('[webhooks]\nevents = ["phone.wipd"]', "webhooks.events", "did you mean 'phone.wiped'?"),
        ('[webhooks]\ntimeout = "2m"', "webhooks.timeout", "from 1s to 1m"),
        ('[fleet]\nurl = "postgresql+asyncpg://db"', "fleet", "not in this version"),
        ('[retention]\naudit = "4379h"', "retention.audit", "six months"),
        ('[api]\nlisten = "0.0.0.0:8443"', "api.listen", "not in this version"),
        ('[attest]\nwitness_url = "https://w"', "attest.witness_url", "not in this version"),
        ("[safety]\nbreaker_max = 0", "safety.breaker_max", "greater than or equal to 1"),
        ("[safety]\nbreaker_ratio = 1.5", "safety.breaker_ratio", "less than or equal to 1"),
        ("[safety]\nbreaker_ratio = 0.123", "safety.breaker_ratio", "whole percent"),
        ('[safety]\nbreaker_window = "0s"', "safety.breaker_window", "from 1s to 7d"),
        ('[policy.default]\nwindow = "01:00-05:00"', "policy.default.window", "no time zone"),
        ('[policy.default]\nwindow = "* 1-4 * * Europe/Berlin"', "policy.default.window", "five fields"),
        ('[policy.default]\nwindow = "* 5-1 * * * Europe/Berlin"', "policy.default.window", "ends before it begins"),
        ('[policy.default]\nwindow = "0 2 31 2 * UTC"', "policy.default.window", "never opens"),
        ('[policy.default]\nverify = "sample:0.1"', "policy.default.verify", "never for less"),
        ('[policy.default]\nmethod = "crypto-erase"', "policy.default.method", "not in this version"),
        ('[policy.default]\nminor_grace = "2h"\nminor_deadline = "1h"', "policy.default.minor_deadline", "overdue when due"),
        ('[safety]\napproval_ttl = "1s"', "safety.approval_ttl", "from 1m"),
        ('[policy.default]\nafter = "recycle"', "policy.default.after", "not in this version"),
        ('[policy.default]\nafter = "burn"', "policy.default.after", "not known"),
        ('[policy.default]\ngrace = "4d"\ndeadline = "3d"', "policy.default.deadline", "shorter than grace"),
        ('[policy.default]\ngrace = "1h"\nminor_grace = "2h"', "policy.default.minor_grace", "R6"),
        ('[policy.default]\ngrace = "500ms"', "policy.default.grace", "whole seconds"),
        ('[policy.default]\ngrace = "99999h"', "policy.default.grace", "ten years"),
        ('[policy.default]\nstop_timeout = "0s"', "policy.default.stop_timeout", "from 1s"),
        ('[feed]\ninterval = "20m"\nmax_age = "10m"', "feed.max_age", "shorter than feed.interval"),
        ('[libvirt]\nuri = "qemu+ssh://other/system"', "libvirt.uri", "this host's"),
        ('[libvirt]\nuri = "qemu:///session"', "libvirt.uri", "this host's"),
        ('[api]\noperator_group = "no-such-group-here"', "api.operator_group", "no group"),
        ('[api]\nsocket = "wiped.sock"', "api.socket", "relative"),
        (f'[api]\nsocket = "/run/{"x" * 103}"', "api.socket", "108 bytes"),
        ('[metrics]\nlisten = "localhost:99999"', "metrics.listen", "not an address"),
        ('[policy]\ngrace = "1h"', "policy", "tables with a name"),
        ("[safety]\nsettle = true", "safety.settle", "in quotes"),
    ],
)
def test_a_fault_names_its_key_and_reason(tmp_path: Path, section: str, key: str, part: str) -> None:
    """What this version cannot do is refused, never ignored; nonsense is refused."""
    faults = _faults(tmp_path, GOOD + section + "\n")
    assert [key] == list(faults)
    assert part in faults[key]


@pytest.mark.parametrize(
    ("storage", "key", "part"),
    [
        ("", "storage.roots", "is required"),
        ("roots = []", "storage.roots", "is required"),
        ('roots = "/srv/phones"', "storage.roots", "list"),
        ("roots = [1]", "storage.roots", "list"),
        ('roots = ["/"]', "storage.roots[0]", "directory of the host itself"),
        ('roots = ["/srv/phones/"]', "storage.roots[0]", "normal form"),
        ('roots = ["//srv/phones"]', "storage.roots[0]", "normal form"),
        ('roots = ["/srv/ph\\u001bones"]', "storage.roots[0]", "control characters"),
        ('roots = ["/var/lib/wiped/x"]', "storage.roots[0]", "directory of the host itself"),
        ('roots = ["/srv/a/b"]\nprotected = ["/srv/a"]', "storage.roots[0]", "nothing in it could be wiped"),
        ('roots = ["/srv/phones"]\nrots = 1', "storage.rots", "did you mean 'roots'?"),
        ('roots = ["/srv/phones"]\nextra_artefacts = ["/x/y/{uuid}"]', "storage.extra_artefacts[0]", "add '/x/y' to storage.roots"),
        ('roots = ["/srv/phones"]\nextra_artefacts = ["/srv/phones/*"]', "storage.extra_artefacts[0]", "holds no {uuid}"),
        ('roots = ["/srv/phones"]\nextra_artefacts = ["/srv/phones/{name}/{uuid}"]', "storage.extra_artefacts[0]", "braces"),
        ('roots = ["/srv/phones"]\nprotected = ["/srv/phones/g"]\nextra_artefacts = ["/srv/phones/g/{uuid}"]', "storage.extra_artefacts[0]", "protected"),
        ('roots = ["/srv/phones"]\nphone_directories = ["/srv/phones/{uuid}/*"]', "storage.phone_directories[0]", "holds a glob"),
        ('roots = ["/srv/phones"]\nprofile = "android"', "storage.profile", "neither 'libvirt' nor 'cuttlefish'"),
        ('roots = ["/srv/phones"]\ngolden_pools = ["a/b"]', "storage.golden_pools[0]", "no name of a pool"),
        ('roots = ["/srv/phones"]\ngolden_pools = ["a", "a"]', "storage.golden_pools[1]", "twice"),
        ('roots = ["/srv/phones"]\ntrim = 1', "storage.trim", "true or false"),
        ('roots = ["/srv/phones"]\nfill_reserve = 10', "storage.fill_reserve", "size in quotes"),
        ('roots = ["/srv/phones"]\nfill_reserve = "10 parsecs"', "storage.fill_reserve", "not a size"),
        ('roots = ["/dev"]', "storage.roots[0]", "one device node"),
        ('roots = ["/dev/mapper"]', "storage.roots[0]", "one device node"),
        ('roots = ["/dev/disk/by-id"]', "storage.roots[0]", "one device node"),
        ('roots = ["/dev/shm/phones"]', "storage.roots[0]", "one device node"),
        ('roots = ["/dev/vg", "/dev/vg/lv"]', "storage.roots[1]", "overlaps"),
        ('roots = ["/srv/phones"]\neraser_socket = "/run/e.sock"', "storage.eraser_socket", "not in this version"),
        ('roots = ["/srv/phones"]\nverify = "sample:0"', "storage.verify", "sample:0.1"),
        ('roots = ["/srv/phones"]\nverify = "none"', "storage.verify", "sample:0.1"),
        ('roots = ["/srv/phones"]\npasses = true', "storage.passes", "whole number"),
        ('roots = ["/srv/phones"]\npasses = 1.5', "storage.passes", "whole number"),
    ],
)
def test_the_helpers_refuse_what_the_daemon_refuses(tmp_path: Path, storage: str, key: str, part: str) -> None:
    """One check for both, so that they cannot come to differ."""
    text = f'[host]\nresidency = "eu"\n[storage]\n{storage}\n'
    faults = _faults(tmp_path, text)
    assert part in faults[key]
    with pytest.raises(ConfigError) as caught:
        load_storage_rules(_write(tmp_path, text))
    assert part in dict(caught.value.faults)[key]


def test_every_key_of_storage_is_read(tmp_path: Path) -> None:
    """Device roots with a protected volume inside, templates, profile, trimming; by the helpers as by the daemon, and from the environment."""
    text = GOOD.replace(
        'roots = ["/srv/phones"]',
        'roots = ["/srv/phones", "/dev/vg_phones", "/dev/loop7"]\nprotected = ["/dev/vg_phones/golden", "/srv/phones/golden"]\ngolden_pools = ["golden"]\n'
        'extra_artefacts = ["/srv/phones/backup/{uuid}/**", "/srv/phones/export/{uuid}*.tar.[gx]z"]\nphone_directories = ["/srv/phones/{uuid}"]\n'
        'profile = "cuttlefish"\ntrim = false\nfill_free_space = true\nfill_reserve = "2GiB"',
    )
    rules = load_storage_rules(_write(tmp_path, text)) if os.geteuid() == 0 else load(_write(tmp_path, text), {}).storage_rules()
    assert rules == load(_write(tmp_path, text), {}).storage_rules()
    assert rules.roots == ("/srv/phones", "/dev/vg_phones", "/dev/loop7")
    assert rules.protected == ("/dev/vg_phones/golden", "/srv/phones/golden")
    assert (rules.golden_pools, rules.phone_directories, rules.profile) == (("golden",), ("/srv/phones/{uuid}",), "cuttlefish")
    assert rules.extra_artefacts == ("/srv/phones/backup/{uuid}/**", "/srv/phones/export/{uuid}*.tar.[gx]z")
    assert (rules.trim, rules.fill_free_space, rules.fill_reserve) == (False, True, 2 << 30)
    assert load(_write(tmp_path, text), {"WIPED__STORAGE__TRIM": "true"}).storage_rules().trim is True


def test_our_own_directories_lie_outside_every_root(tmp_path: Path) -> None:
    """A wipe can never reach the ledger."""
    faults = _faults(tmp_path, GOOD.replace('name = "host-1"', 'state_dir = "/srv/phones/state"'))
    assert "must lie outside every root" in faults["host.state_dir"]


def test_events_go_to_hosts_of_the_territory_and_to_this_one(tmp_path: Path) -> None:
    """R18: what is on the list, or loopback; the port does not matter, and all kinds are sent unless some are named."""
    listed = GOOD.replace("[host]", '[host]\nexport_hosts = ["hooks.example.eu", "192.0.2.7"]')
    for url in ("https://hooks.example.eu:8443/in?key=1", "https://192.0.2.7/", "http://127.0.0.1:9000/", "http://[::1]/", "http://localhost/"):
        settings = load(_write(tmp_path, f'{listed}\n[webhooks]\nurl = "{url}"\nsecret_file = "/etc/wiped/webhook"'), {})
        assert settings.webhooks.kinds == tuple(NoticeKind)
    faults = _faults(tmp_path, f'{listed}\n[webhooks]\nurl = "https://example.eu/?key=geheim"\nsecret_file = "/etc/wiped/webhook"')
    assert "example.eu is not in host.export_hosts" in faults["webhooks.url"]
    assert "geheim" not in str(faults)
    assert load(_write(tmp_path, GOOD), {}).webhooks.kinds == ()
    assert "is not a host" in _faults(tmp_path, GOOD.replace("[host]", '[host]\nexport_hosts = ["https://x"]'))["host.export_hosts"]


def test_a_golden_directory_may_be_a_root_of_its_own(tmp_path: Path) -> None:
    """Inside a root, or equal to one."""
    text = GOOD.replace('["/srv/phones"]', '["/srv/phones", "/srv/golden"]\nprotected = ["/srv/golden", "/srv/phones/base"]')
    assert load(_write(tmp_path, text), {}).storage_rules().protected == ("/srv/golden", "/srv/phones/base")


@pytest.mark.parametrize(
    ("environ", "key", "part"),
    [
        ({"WIPED__STORGE__ROOTS": "[]"}, "WIPED__STORGE__ROOTS", "did you mean 'storage'?"),
        ({"WIPED__HOST": "x"}, "WIPED__HOST", "not of the form"),
        ({"WIPED__POLICY__GRACE": "1h"}, "WIPED__POLICY__GRACE", "not of the form"),
        ({"WIPED__WEBHOOKS__URL": "https://x"}, "webhooks.url", "not in host.export_hosts"),
        ({"WIPED__STORAGE__ROOTS": "/srv/phones"}, "storage.roots", "list"),
        ({"WIPED__FEED__INTERVALL": "9s"}, "feed.intervall", "did you mean 'interval'?"),
        ({"WIPED__SAFETY__SETTLE": "soon"}, "safety.settle", "not a duration"),
    ],
)
def test_a_mistyped_name_in_the_environment_is_a_fault(tmp_path: Path, environ: dict[str, str], key: str, part: str) -> None:
    """A guard that was meant and is not there is worse than an error."""
    assert part in _faults(tmp_path, GOOD, environ)[key]


@pytest.mark.parametrize("text", ["[host", "x = 1\x00", "\xff"])
def test_a_file_that_is_no_toml_says_where(tmp_path: Path, text: str) -> None:
    """One fault: nothing else can be known."""
    file = tmp_path / "wiped.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match="is not TOML"):
        load(str(file), {})


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    """With its path."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read: No such file"):
        load(str(tmp_path / "nowhere.toml"), {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root owns files of root")
def test_helpers_trust_only_root_s_own_file(tmp_path: Path) -> None:
    """Regular, owned by root, not writable by others, no link; nothing of the environment."""
    path = Path(_write(tmp_path, GOOD))
    assert load_storage_rules(str(path)) == StorageRules(roots=("/srv/phones",))
    path.chmod(0o664)
    with pytest.raises(ConfigError, match="can be written by others"):
        load_storage_rules(str(path))
    path.chmod(0o600)
    os.chown(path, 65_534, 0)
    with pytest.raises(ConfigError, match="is owned by uid 65534"):
        load_storage_rules(str(path))
    os.chown(path, 0, 0)
    (tmp_path / "link.toml").symlink_to(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_storage_rules(str(tmp_path / "link.toml"))
    os.mkfifo(tmp_path / "fifo.toml", 0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        load_storage_rules(str(tmp_path / "fifo.toml"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root owns files of root")
def test_the_environment_does_not_reach_the_helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A root in the environment is no root."""
    monkeypatch.setenv("WIPED__STORAGE__ROOTS", '["/home"]')
    assert load_storage_rules(_write(tmp_path, GOOD)).roots == ("/srv/phones",)


def test_other_sections_do_not_keep_a_helper_from_starting(tmp_path: Path) -> None:
    """The daemon reports them; a helper in the middle of a wipe need not die of them."""
    if os.geteuid() == 0:
        assert load_storage_rules(_write(tmp_path, GOOD + "[nonsense]\nx = 1\n")).roots == ("/srv/phones",)


def test_a_faulty_host_section_hides_no_socket_that_is_too_long(tmp_path: Path) -> None:
    """Every fault at once: both are told in one go."""
    path = tmp_path / "wiped.toml"
    path.write_text(f'[host]\nresidency = "x"\nbogus = 1\n[storage]\nroots = ["/srv/a"]\n[api]\nsocket = "/run/{"x" * 120}"\n')
    with pytest.raises(ConfigError) as told:
        load(str(path), {})
    assert {"host.bogus", "api.socket"} <= {key for key, _ in told.value.faults}


@pytest.mark.parametrize("text", ["x = " + "[" * 100_000, "x = " + "9" * 10_000, "x = " + "{a=" * 50_000])
def test_monstrous_toml_is_a_fault_with_its_file(tmp_path: Path, text: str) -> None:
    """Brackets within brackets and endless numbers are a clear error, no traceback."""
    path = tmp_path / "wiped.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"wiped\.toml"):
        load(str(path))
