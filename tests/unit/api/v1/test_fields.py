"""Fields that several documents share: exactly one target, instants of a query, nothing of the input in an error."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from tests.fakes.service import UUID_ONE
from wiped.api.v1.fields import AboutIn, InstantIn, StrictIn, change_out, instant_of_query
from wiped.errors import InputError

ACCOUNT = "customer-4711@example.org"


def test_a_target_is_a_phone_or_an_account() -> None:
    """Exactly one of them; the account comes out wrapped."""
    assert AboutIn.model_validate({"phone": UUID_ONE.upper()}).target() == (UUID_ONE, None)
    uuid, account = AboutIn.model_validate({"account": ACCOUNT}).target()
    assert (uuid, account.value if account else "") == ("", ACCOUNT)
    for both in ({}, {"phone": UUID_ONE, "account": ACCOUNT}):
        with pytest.raises(InputError, match="a phone or an account"):
            AboutIn.model_validate(both).target()


def test_an_account_is_in_no_representation_and_in_no_error() -> None:
    """Neither of the document, nor of what is said about a bad one."""
    assert ACCOUNT not in repr(AboutIn.model_validate({"account": ACCOUNT}))
    with pytest.raises(ValidationError) as caught:
        AboutIn.model_validate({"account": ACCOUNT + "\nx"})
    assert ACCOUNT not in str(caught.value)


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "2026-01-01", "", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+08:00", "9999-12-31T23:59:59-08:00"])
def test_an_instant_that_is_none_is_bad_input(text: str) -> None:
    """In a query and in a body; one that lies outside of the calendar only in UTC too."""
    with pytest.raises(InputError, match=r"^from: "):
        instant_of_query(text, "from")

    class Body(StrictIn):
        at: InstantIn

    with pytest.raises(ValidationError):
        Body.model_validate({"at": text})


def test_a_space_in_a_query_is_the_plus_of_an_offset() -> None:
    """A client that did not encode it is understood."""
    assert instant_of_query("2026-01-01T00:00:00 08:00", "to") == datetime(2025, 12, 31, 16, tzinfo=UTC)


def test_without_an_instant_there_is_no_next_change() -> None:
    """A state alone is no change by time."""
    assert change_out("due", None) is None
    found = change_out(None, datetime(2026, 1, 1, tzinfo=UTC))
    assert found is not None
    assert found.model_dump(mode="json") == {"state": "", "at": "2026-01-01T00:00:00Z"}
