"""What several nouns' documents share: fields with their bounds, the strict request body, the next change and the reasons of a decision. Pure.

An account reference exists only in an `...In` document, until it is wrapped. Instants are RFC 3339 UTC, sizes bytes, spans of time seconds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SecretStr

from wiped.errors import InputError
from wiped.model.identifiers import fault_of
from wiped.model.instants import end_text, read_end, read_rfc3339, rfc3339_text
from wiped.model.strict_json import read_truth
from wiped.model.subscription import AccountReference, Reason


def _instant(value: Any) -> datetime:
    return read_rfc3339(value if isinstance(value, str) else "")


def _end(value: Any) -> datetime:
    return read_end(value if isinstance(value, str) else "")


def _truth(value: Any) -> bool:
    found = read_truth(value)
    if found is None:
        raise ValueError("must be true or false")
    return found


def instant_of_query(text: str, where: str) -> datetime:
    """The instant in the query parameter `where`, in UTC; a space counts as the `+` of an offset that the client did not encode. Raises InputError."""
    try:
        return read_rfc3339(text.replace(" ", "+")).astimezone(UTC)
    except ValueError as error:
        raise InputError(str(error), where=where) from None


def _printable(value: str) -> str:
    """`value` itself. Raises ValueError for control characters."""
    if not value.isprintable():
        raise ValueError("must hold neither control characters nor spaces other than the plain one (a no-break space, for example)")
    return value


def _known_account(value: SecretStr) -> SecretStr:
    """An account as it may stand in the ledger, whatever broke it."""
    text = value.get_secret_value()
    if not text.strip() or not text.isprintable():
        raise ValueError("must be printable text, and not blank")
    if text != text.strip():
        raise ValueError("must not begin or end with white space")
    return value


def _account(value: SecretStr) -> SecretStr:
    broken = fault_of(_known_account(value).get_secret_value())
    if broken:
        raise ValueError(f"{broken}. Two customers may share such a reference: to ask for one phone, name it by its UUID")
    return value


def _reference(value: str) -> str:
    """`value` itself. Raises ValueError for what billing cannot have given (`model.identifiers`)."""
    broken = fault_of(value)
    if broken:
        raise ValueError(broken)
    return value


def _uuid(value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise ValueError("must be a UUID") from None


Instant = Annotated[datetime, PlainSerializer(rfc3339_text, return_type=str)]
InstantIn = Annotated[datetime, BeforeValidator(_instant, json_schema_input_type=str)]
#: The end of a term: an instant, or `never`.
End = Annotated[datetime, PlainSerializer(end_text, return_type=str)]
EndIn = Annotated[datetime, BeforeValidator(_end, json_schema_input_type=str)]
#: As import files and feeds take it.
Truth = Annotated[bool, BeforeValidator(_truth, json_schema_input_type=bool)]
Text = Annotated[str, Field(max_length=256), AfterValidator(_printable)]
ReasonText = Annotated[str, Field(min_length=1, max_length=2000, description="for people; sealed in the ledger, never in a log")]
#: The requester's own case number: sealed as a reason is.
Reference = Annotated[Text, Field(description="the requester's own case number; sealed in the ledger")]
#: An identifier of billing's.
Identifier = Annotated[Text, Field(min_length=1), AfterValidator(_reference)]
Account = Annotated[SecretStr, Field(min_length=1, max_length=256, description="becomes a pseudonym at once, is never stored"), AfterValidator(_account)]
#: Of a hold, which only keeps: an account that was recorded broken can be held.
HeldAccount = Annotated[
    SecretStr, Field(min_length=1, max_length=256, description="becomes a pseudonym at once, is never stored"), AfterValidator(_known_account)
]
PhoneUuid = Annotated[str, AfterValidator(_uuid)]


class StrictIn(BaseModel):
    """A request's body: no unknown key; an error never repeats the input."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True)


class ReasonIn(StrictIn):
    """Body of what needs a reason and nothing else: suspend, resume, protect, unprotect, a hold's release, a drain's cancelling."""

    reason: ReasonText


class AboutIn(StrictIn):
    """A phone or an account: exactly one of them."""

    phone: PhoneUuid | None = None
    account: Account | None = None

    def target(self) -> tuple[str, AccountReference | None]:
        """(uuid, account). Raises InputError unless exactly one is there."""
        if (self.phone is None) == (self.account is None):
            raise InputError("name a phone or an account, and not both", where="phone")
        return self.phone or "", None if self.account is None else AccountReference(self.account.get_secret_value())

    @property
    def account_text(self) -> str:
        """The account reference, "" for none. Only to tell one request from another: blind it."""
        return "" if self.account is None else self.account.get_secret_value()


class PhoneName(BaseModel):
    """Which phone; the name is for people."""

    uuid: str
    name: str
    generation: int


class Change(BaseModel):
    """The next change by time alone."""

    state: str
    at: Instant


class ReasonOut(BaseModel):
    """Why: a stable code, a sentence, since when."""

    code: str
    detail: str
    at: Instant | None


def change_out(state: Any, at: datetime | None) -> Change | None:
    """The next change, None when nothing changes by time alone."""
    return None if at is None else Change(state=str(state or ""), at=at)


def reasons_out(reasons: tuple[Reason, ...]) -> list[ReasonOut]:
    """Every reason, in the decision's order."""
    return [ReasonOut(code=item.code, detail=item.detail, at=item.at) for item in reasons]
