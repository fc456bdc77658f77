"""The operator's commands: what is asked, what is shown, and the exit codes of docs/contract.md."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.fakes.service import HOSTILE_NAME, QUARANTINED, UUID_ONE, UUID_TWIN, UUID_TWO, WIPE_ID, make_audit, make_phone, make_wipe
from tests.unit.cli.conftest import Operator
from wiped.attest.signing import Ed25519Signer, generate_key, seal
from wiped.cli import main as wipectl
from wiped.errors import (
    ConfigError,
    HelperError,
    HypervisorError,
    LedgerError,
    NotAuthorisedError,
    NotSanitizedError,
    RefusedError,
    StorageError,
    VerificationError,
)
from wiped.model.records import WipeStep
from wiped.model.status import WipeNews

ACCOUNT = "customer-4711@example.org"
WIPE = ("wipe", "phone-one", "--reason", "the service has ended", "--confirm", "phone-one", "--ticket", "T-1")
LISTS = [
    ("status",),
    ("phones", "list"),
    ("explain", UUID_TWO),
    ("plan", UUID_TWO),
    ("wipes", "list"),
    ("wipes", "show", WIPE_ID),
    ("subscriptions", "list"),
    ("quarantine", "list"),
    ("audit", "tail"),
    ("audit", "verify"),
]


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_json_is_one_document_and_nothing_else(operator: Operator, command: tuple[str, ...]) -> None:
    """stdout parses; stderr stays silent when all is well."""
    ran = operator.run("--output", "json", *command)
    assert (ran.code, ran.err, len(ran.out.splitlines())) == (0, "", 1)
    assert isinstance(ran.json, dict)


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_yaml_says_the_same_as_json(operator: Operator, command: tuple[str, ...]) -> None:
    """The same document in another form."""
    ran = operator.run("--output", "yaml", *command)
    assert yaml.safe_load(ran.out) == operator.run("--output", "json", *command).json


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_no_name_reaches_the_terminal_alive(operator: Operator, command: tuple[str, ...]) -> None:
    """Control, escape and bidirectional characters of a phone's name are shown escaped, markup as text."""
    operator.service.made = [dataclasses.replace(QUARANTINED, name=HOSTILE_NAME)]
    text = operator.run(*command).out
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    if command == ("phones", "list"):
        assert "evil\\x1b[2J\\x1b[31m\\u202ename\\n[bold]" in text


def test_a_table_in_a_pipe_has_no_trailing_blanks(operator: Operator) -> None:
    """What is padded for eyes is noise in a file."""
    for command in LISTS:
        assert all(line == line.rstrip() for line in operator.run(*command).out.splitlines())


def test_a_phone_is_named_by_uuid_or_name(operator: Operator) -> None:
    """Names are resolved by the daemon; what follows goes by UUID."""
    assert operator.run("--output", "json", "plan", "phone-one").json["phone"]["uuid"] == UUID_ONE
    assert operator.service.asked[-1] == ("plan", (UUID_ONE,))
    assert operator.run("--output", "json", "plan", UUID_TWO).json["refusals"][0]["code"] == "hard-link"


def test_an_ambiguous_name_lists_the_candidates(operator: Operator) -> None:
    """Exit code 2, both UUIDs, nothing done."""
    operator.service.known.append(make_phone(UUID_TWIN, "phone-one"))
    ran = operator.run(*WIPE)
    assert ran.code == 2
    assert UUID_ONE in ran.err
    assert UUID_TWIN in ran.err
    assert "request_wipe" not in [method for method, _ in operator.service.asked]


def test_a_name_that_looks_like_an_option_is_still_a_name(operator: Operator) -> None:
    """libvirt allows a domain called --all."""
    operator.service.known.append(make_phone(UUID_TWIN, "-x"))
    assert operator.run("--output", "json", "explain", "-x").json["phone"]["uuid"] == UUID_TWIN


def test_a_wipe_passes_on_what_was_typed(operator: Operator) -> None:
    """Reason, ticket, typed name; without --wait it returns at once."""
    ran = operator.run("--output", "json", *WIPE)
    assert (ran.code, ran.json["id"]) == (0, WIPE_ID)
    method, (uuid, reason, ticket, confirm, _) = operator.service.asked[-1]
    assert (method, uuid, reason, ticket, confirm) == ("request_wipe", UUID_ONE, "the service has ended", "T-1", "phone-one")


def test_a_proven_wipe_ends_with_code_0(operator: Operator) -> None:
    """`--wait` follows the events to the end and shows the wipe."""
    ran = operator.run("--output", "json", *WIPE, "--wait")
    assert (ran.code, ran.json["outcome"], ran.json["artefacts"][0]["verified_via"]) == (0, "clear", "block-odirect")
    assert [json.loads(line)["step"] for line in ran.err.splitlines()] == ["erasing", "released"]


def test_an_unproven_wipe_ends_with_code_4(operator: Operator) -> None:
    """Wiped but not sanitized: the reasons on stderr, the document on stdout."""
    operator.service.made = [QUARANTINED]
    operator.service.news = [WipeNews("end", WIPE_ID, step="quarantined")]
    ran = operator.run("--output", "json", *WIPE, "--wait")
    assert (ran.code, ran.json["reasons"]) == (4, ["io-error"])
    assert "not-sanitized: io-error" in ran.err
    assert operator.run("wipes", "watch", WIPE_ID).code == 4


def test_a_wipe_that_was_called_off_ends_with_code_3(operator: Operator) -> None:
    """Renewed, held or refused before the last word."""
    operator.service.made = [make_wipe(WipeStep.CANCELLED)]
    operator.service.news = [WipeNews("end", WIPE_ID, step="cancelled")]
    assert operator.run(*WIPE, "--wait").code == 3


def test_a_wipe_that_has_to_wait_is_followed_once_it_begins(operator: Operator) -> None:
    """An older wipe of the phone is not taken for the new one."""
    older = dataclasses.replace(make_wipe(), id="019cafe0-0000-7000-8000-000000000000")
    operator.service.begins = False
    operator.service.made = [older]
    accepted = operator.run("--output", "json", *WIPE)
    assert (accepted.code, accepted.json["id"], accepted.json["next"]["state"]) == (0, "", "due")

    operator.service.later = [make_wipe()]
    ran = operator.run("--output", "json", *WIPE, "--wait")
    assert (ran.code, ran.json["id"]) == (0, WIPE_ID)
    assert "accepted; waiting until 2026-03-01T13:00:00Z" in ran.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RefusedError("the subscription is active", codes=("subscription-active",)), 3),
        (NotSanitizedError("unproven", reasons=("io-error",)), 4),
        (VerificationError("no"), 65),
        (HypervisorError("libvirt is down"), 75),
        (StorageError("bad sector"), 75),
        (HelperError("the eraser died"), 75),
        (LedgerError("disk full"), 75),
        (NotAuthorisedError("you have not the role"), 77),
        (ConfigError("no"), 78),
        (RuntimeError("a bug"), 1),
    ],
)
def test_the_daemon_s_errors_become_exit_codes(operator: Operator, error: Exception, code: int) -> None:
    """The table of docs/contract.md, with the code on stderr and a document on stdout where one was asked for."""
    operator.service.fails["request_wipe"] = error
    ran = operator.run(*WIPE)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("wipectl: ")
    ran = operator.run("--output", "json", *WIPE)
    assert ran.code == code
    assert ran.json["code"] in ran.err


def test_no_daemon_is_code_69(tmp_path: Path) -> None:
    """With the socket's path and why."""
    out, err = io.StringIO(), io.StringIO()
    code = wipectl.run(["--socket", str(tmp_path / "no.sock"), "status"], out=out, err=err)
    assert (code, out.getvalue()) == (69, "")
    assert "No such file" in err.getvalue()


@pytest.mark.parametrize(
    "argv",
    [
        ("nonsense",),
        ("wipe", "phone-one"),
        ("wipe", "phone-one", "--reason", "r"),
        ("status", "--nonsense"),
        ("--output", "xml", "status"),
        ("phones",),
        ("phones", "list", "extra"),
        ("audit", "tail", "--last", "many"),
    ],
)
def test_wrong_usage_is_code_2(operator: Operator, argv: tuple[str, ...]) -> None:
    """A sentence on stderr; nothing reaches the daemon."""
    ran = operator.run(*argv)
    if argv == ("phones",):
        assert "list" in ran.out
        return
    assert (ran.code, operator.service.asked) == (2, [])
    assert ran.err.startswith("wipectl: ")


def test_a_subscription_is_set(operator: Operator) -> None:
    """The account reaches the service and neither screen."""
    term = ("--account", ACCOUNT, "--subscription", "s-1", "--starts", "2026-01-01T00:00:00Z", "--expires", "2026-02-01T00:00:00Z", "--minor")
    ran = operator.run("--output", "json", "subscriptions", "set", "phone-one", *term)
    assert (ran.code, ran.json["expires"], ran.json["minor"]) == (0, "2026-02-01T00:00:00Z", True)
    record = operator.service.asked[-1][1][0]
    assert (record.account.value, record.uuid) == (ACCOUNT, UUID_ONE)
    assert ACCOUNT not in ran.out + ran.err
    bad = operator.run("subscriptions", "set", "phone-one", *term[:-2], "2026-02-01", "--policy", "default")
    assert bad.code == 2
    assert "expires: must be an RFC 3339 instant" in bad.err
    assert ACCOUNT not in bad.out + bad.err


def test_a_subscription_of_a_uuid_that_is_no_domain_is_kept(operator: Operator) -> None:
    """A UUID is taken as it is: the domain may come later; a name must be known."""
    term = ("--account", ACCOUNT, "--subscription", "s-1", "--starts", "2026-01-01T00:00:00Z", "--expires", "2026-02-01T00:00:00Z")
    assert operator.run("--output", "json", "subscriptions", "set", UUID_TWIN.upper(), *term).json["phone"] == UUID_TWIN
    assert operator.run("subscriptions", "set", "nobody", *term).code == 2


def test_the_account_is_read_from_standard_input(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--account -`: not in the process list, not in the shell's history."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{ACCOUNT}\n"))
    term = ("--subscription", "s-1", "--starts", "2026-01-01T00:00:00Z", "--expires", "2026-02-01T00:00:00Z")
    ran = operator.run("subscriptions", "set", "phone-one", "--account", "-", *term)
    assert (ran.code, ran.err) == (0, "")
    assert operator.service.asked[-1][1][0].account.value == ACCOUNT


def test_an_import_names_the_faulty_lines(operator: Operator, tmp_path: Path) -> None:
    """All or nothing: exit code 2, every line on a line of its own, no value of the file."""
    file = tmp_path / "terms.csv"
    header = "phone,account,subscription,starts,expires\n"
    good = f"{UUID_ONE},{ACCOUNT},s-1,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z\n"
    file.write_text(header + good + f"{UUID_TWO},{ACCOUNT},s-2,2026-01-01T00:00:00Z,tomorrow\n" + "x\n")
    ran = operator.run("subscriptions", "import", str(file))
    assert ran.code == 2
    assert "  line 3: " in ran.err
    assert "  line 4: " in ran.err
    assert ACCOUNT not in ran.err
    assert operator.service.asked == []
    file.write_text(header + good)
    assert operator.run("--output", "json", "subscriptions", "import", str(file)).json["imported"] == 1
    missing = operator.run("subscriptions", "import", str(tmp_path / "nowhere.csv"))
    assert (missing.code, "No such file" in missing.err) == (2, True)


def test_quarantined_phones_are_listed_and_retried(operator: Operator) -> None:
    """By the phone's name; where nothing waits it says so."""
    assert operator.run("quarantine", "retry", "phone-one").code == 2
    operator.service.made = [QUARANTINED]
    listed = operator.run("quarantine", "list").out
    assert "not-sanitized" in listed
    assert "io-error" in listed
    assert operator.run("--output", "json", "quarantine", "retry", "phone-one").json["state"] == "queued"
    assert operator.service.asked[-1][0] == "retry"


def test_the_audit_log_is_verified_from_its_first_entry(operator: Operator) -> None:
    """A changed entry is code 65, whoever changed it."""
    operator.service.entries = make_audit(1_234)
    assert operator.run("--output", "json", "audit", "verify").json["seq"] == 1_234
    entries = list(operator.service.entries)
    entries[700] = dataclasses.replace(entries[700], body={"uuid": UUID_TWO})
    operator.service.entries = tuple(entries)
    ran = operator.run("audit", "verify")
    assert ran.code == 65
    assert "audit entry 701" in ran.err


def test_the_audit_log_is_exported_and_verified_without_the_daemon(operator: Operator, tmp_path: Path) -> None:
    """The copy verifies offline against the host's key; a cut-off end, a changed byte and another key do not."""
    operator.service.entries = make_audit(1_002)
    operator.service.pem = operator.service.signer.public_pem
    copy, key = tmp_path / "log", tmp_path / "pub.pem"
    assert operator.run("--output", "json", "audit", "export", str(copy)).json["seq"] == 1_002
    key.write_bytes(operator.service.pem)
    asked = len(operator.service.asked)
    assert operator.run("--output", "json", "audit", "verify", str(copy), "--key", str(key)).json["seq"] == 1_002
    assert asked == len(operator.service.asked)
    whole = (copy / "audit.jsonl").read_bytes()
    (copy / "audit.jsonl").write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    assert operator.run("audit", "verify", str(copy), "--key", str(key)).code == 65
    (copy / "audit.jsonl").write_bytes(whole.replace(b'"number":7,', b'"number":8,', 1))
    assert operator.run("audit", "verify", str(copy), "--key", str(key)).code == 65
    (copy / "audit.jsonl").write_bytes(whole)
    key.write_bytes(Ed25519Signer(generate_key()).public_pem)
    assert operator.run("audit", "verify", str(copy), "--key", str(key)).code == 65
    (tmp_path / "file").write_text("x")
    assert operator.run("audit", "export", str(tmp_path / "file")).code == 2


def test_a_certificate_is_fetched_and_verified_offline(operator: Operator, tmp_path: Path) -> None:
    """Byte for byte to a file and to stdout; one changed byte, another key, an added newline: code 65."""
    signer = Ed25519Signer(generate_key())
    operator.service.envelope = seal({"predicate": {"certificate_id": "c-1", "overall": {"outcome": "clear"}}}, signer)
    operator.service.pem = signer.public_pem
    envelope, key = tmp_path / "c.json", tmp_path / "pub.pem"
    assert operator.run("certificates", "get", WIPE_ID, "-o", str(envelope)).code == 0
    assert operator.run("certificates", "key", "-o", str(key)).code == 0
    assert operator.run("certificates", "get", WIPE_ID).out.encode() == operator.service.envelope == envelope.read_bytes()
    verified = operator.run("--output", "json", "certificates", "verify", str(envelope), "--key", str(key))
    assert (verified.code, verified.json["predicate"]["certificate_id"]) == (0, "c-1")
    assert "verified" in operator.run("certificates", "verify", str(envelope), "--key", str(key)).out
    for data in (operator.service.envelope[:-1] + b"]", operator.service.envelope + b"\n", b"", b"\xff"):
        envelope.write_bytes(data)
        assert operator.run("certificates", "verify", str(envelope), "--key", str(key)).code == 65
    envelope.write_bytes(operator.service.envelope)
    key.write_bytes(Ed25519Signer(generate_key()).public_pem)
    assert operator.run("certificates", "verify", str(envelope), "--key", str(key)).code == 65
    assert operator.run("certificates", "verify", str(tmp_path / "nowhere"), "--key", str(key)).code == 2


def test_offline_commands_need_no_daemon(tmp_path: Path) -> None:
    """Verification trusts nobody who is running."""
    err = io.StringIO()
    code = wipectl.run(["audit", "verify", str(tmp_path)], out=io.StringIO(), err=err)
    assert (code, "audit.jsonl" in err.getvalue()) == (2, True)


def test_the_installed_program_answers(operator: Operator) -> None:
    """The real process: WIPED_SOCKET, JSON on stdout, the exit code of a refusal."""
    program = [sys.executable, "-c", "from wiped.cli.main import main; main()"]
    environ = {**os.environ, "WIPED_SOCKET": operator.path}
    done = subprocess.run([*program, "--output", "json", "status"], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, json.loads(done.stdout)["host"]) == (0, "host-1")
    operator.service.fails["request_wipe"] = RefusedError("no", codes=("legal-hold",))
    done = subprocess.run([*program, *WIPE], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "legal-hold" in done.stderr) == (3, True)


def test_a_terminal_gets_bars_with_bytes_and_time(operator: Operator) -> None:
    """On a terminal the progress of each artefact is a bar."""
    operator.service.news = [
        WipeNews("progress", WIPE_ID, phase="erase", artefact_id="a1", done=1 << 20, total=1 << 21),
        WipeNews("end", WIPE_ID, step="released"),
    ]
    main, side = pty.openpty()
    program = [sys.executable, "-c", "from wiped.cli.main import main; main()"]
    environ = {**os.environ, "WIPED_SOCKET": operator.path, "COLUMNS": "150", "TERM": "xterm"}
    done = subprocess.run([*program, "wipes", "watch", WIPE_ID], env=environ, stdout=subprocess.DEVNULL, stderr=side, timeout=60, check=False)
    os.close(side)
    shown = os.read(main, 1 << 20).decode()
    os.close(main)
    assert done.returncode == 0
    assert "erase" in shown
    assert "disk-image" in shown
    assert "1.0/2.1 MB" in shown or "1.0/2.0 MiB" in shown


def test_a_reader_that_goes_away_is_no_error(operator: Operator) -> None:
    """`wipectl ... | head -1`."""
    program = f"{sys.executable} -c 'from wiped.cli.main import main; main()'"
    environ = {**os.environ, "WIPED_SOCKET": operator.path}
    operator.service.entries = make_audit(1_000)
    done = subprocess.run(
        ["bash", "-c", f"{program} audit tail --last 1000 | head -1; exit ${{PIPESTATUS[0]}}"],
        env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
