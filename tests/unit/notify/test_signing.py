"""Signatures: the specification's own example, replaced secrets, and secrets that are none."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from tests.fakes.receiver import SECRET, Received, verified
from wiped.errors import InputError
from wiped.notify.signing import headers, parse_secrets

OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def test_the_example_of_the_specification() -> None:
    """Standard Webhooks' published vector."""
    keys = parse_secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    made = headers(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", datetime.fromtimestamp(1614265330, UTC), b'{"test": 2432232314}')
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_while_a_secret_is_replaced_either_verifies() -> None:
    """Two lines in the file, two signatures; a third secret verifies neither, nor does another body."""
    keys = parse_secrets(f"# new\n{SECRET}\n\n# old\n{OTHER}\n")
    made = headers(keys, "id", datetime(2026, 3, 1, tzinfo=UTC), b"body")
    received = Received(b"body", made)
    assert verified(received, SECRET)
    assert verified(received, OTHER)
    assert not verified(received, "whsec_" + base64.b64encode(bytes(32)).decode())
    assert not verified(Received(b"bodY", made), SECRET)


@pytest.mark.parametrize(
    "text",
    ["", "# nothing", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_geheim!", "whsec_" + base64.b64encode(bytes(23)).decode(), f"{SECRET}\n" * 4],
)
def test_what_is_no_secret_is_refused_and_never_repeated(text: str) -> None:
    """Too short, too many, not Base64, without its prefix."""
    with pytest.raises(InputError) as caught:
        parse_secrets(text)
    assert "geheim" not in str(caught.value)
