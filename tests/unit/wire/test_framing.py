"""The wire's bytes: every message comes back as it went, and nothing else is taken for one."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wiped.errors import HelperError
from wiped.model.inventory import DiskSource, DomainFacts
from wiped.wire.framing import decode, encode
from wiped.wire.messages import MAX_LINE, MESSAGES, Erase, Hello, Message, Progress, Survey

#: The wire is JSON in ASCII; text is any, file names that are not UTF-8 (lone surrogates) included.
st.register_type_strategy(str, st.text(max_size=12))
st.register_type_strategy(int, st.integers(0, 2**63 - 1))
NUMBERED = {message.type: message for message in MESSAGES}


def test_all_types_are_known_and_distinct() -> None:
    """One word for one message."""
    assert len(NUMBERED) == len(MESSAGES)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.type)
def test_every_message_comes_back(kind: type[Message]) -> None:
    """Any values of its fields; one line, ASCII."""

    @settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
    @given(st.from_type(kind))
    def roundtrip(message: Message) -> None:
        line = encode(message)
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert line.isascii()
        assert decode(line) == message

    roundtrip()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null\n",
        b"7\n",
        b"[]\n",
        b'"hello"\n',
        b"{}\n",
        b'{"type":null}\n',
        b'{"type":[]}\n',
        b'{"type":{}}\n',
        b'{"type":"nonsense"}\n',
        b'{"type":"hello"}\n',
        b'{"type":"hello","version":"x","role":"daemon"}\n',
        b'{"type":"hello","version":1,"role":"daemon","extra":1}\n',
        b'{"type":"erase","artefact_id":"a","seed":"","map_digest":null}\n',
        b'{"type":"locked","steps":[{"artefact_id":"a"}]}\n',
        b'{"type":"locked","steps":7}\n',
        b"{\xff}\n",
        b"{" * 5000,
        b"[" * 200_000,
        b"9" * 5000,
        b'{"type":"hello","version":' + b"9" * 5000 + b',"role":"x"}\n',
    ],
)
def test_malformed_lines_are_helper_errors(line: bytes) -> None:
    """Whatever a broken or hostile peer sends: HelperError, never another exception."""
    with pytest.raises(HelperError):
        decode(line)


@given(st.binary(max_size=60))
def test_noise_is_a_helper_error(noise: bytes) -> None:
    """Random bytes are no message."""
    with pytest.raises(HelperError):
        decode(noise)


@given(st.data())
def test_every_missing_field_is_noticed(data: st.DataObject) -> None:
    """A message without one of its fields that have no default."""
    kind = data.draw(st.sampled_from([Hello, Erase, Progress]))
    value: dict[str, Any] = json.loads(encode(data.draw(st.from_type(kind))))
    required = [field.name for field in fields(kind) if field.default is field.default_factory]
    del value[data.draw(st.sampled_from(required))]
    with pytest.raises(HelperError):
        decode(json.dumps(value).encode())


def test_an_error_does_not_repeat_the_value() -> None:
    """A seed in a malformed message must not reach a log."""
    line = json.dumps({"type": "erase", "artefact_id": "a", "seed": ["5eed5eed"], "map_digest": "m"}).encode()
    with pytest.raises(HelperError) as caught:
        decode(line)
    assert "5eed" not in str(caught.value)


def test_a_line_that_is_too_long_is_refused_both_ways() -> None:
    """Neither sent nor parsed."""
    with pytest.raises(HelperError, match="more than"):
        decode(b" " * (MAX_LINE + 1))
    with pytest.raises(HelperError, match="longer"):
        encode(Erase("a", "0" * MAX_LINE, ""))


def test_survey_of_a_thousand_domains_fits() -> None:
    """The largest message that a host of ours needs is far below the limit."""

    def domain(number: int) -> DomainFacts:
        disks = tuple(DiskSource(f"vd{letter}", "file", f"/srv/phones/{number:05}/disk-{letter}.qcow2", "qcow2") for letter in "abc")
        return DomainFacts(f"6f1c0c8e-0000-4000-8000-{number:012x}", f"phone-{number}", disks=disks, nvram=f"/var/lib/libvirt/qemu/nvram/{number}.fd")

    line = encode(Survey(domain(0), tuple(domain(n) for n in range(1, 1001))))
    assert len(line) < MAX_LINE // 8
    assert decode(line) == Survey(domain(0), tuple(domain(n) for n in range(1, 1001)))
