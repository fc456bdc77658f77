"""The documents of images and disposal, and their shaping from the model's values. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from wiped.api.documents import Instant, Text, _In, _uuid
from wiped.model.sightings import ClassifiedImage, OrphanImage


class ClassifyIn(_In):
    """Body of `POST /v1/images:classify`. `reason` is for people, sealed in the ledger and never in a log."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    meaning: Annotated[Literal["golden", "private"], Field(alias="as")]
    reason: Annotated[str, Field(min_length=1, max_length=2000)]


class ClassifiedOut(BaseModel):
    """An image as a person settled it: this file (device, inode) at this path."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    path: str
    meaning: Annotated[str, Field(alias="as")]
    device: int
    inode: int
    at: Instant
    operator: str


class OrphanOut(BaseModel):
    """A file under a root that no domain reaches. `owner`: the phone that was last remembered to have it."""

    location: str
    size_bytes: int
    allocated_bytes: int
    modified: str
    owner: str
    owner_name: str


class OrphansOut(BaseModel):
    """All of them, largest first. `truncated`: there are more; `problems`: what could not be looked at."""

    items: list[OrphanOut]
    truncated: bool
    problems: list[dict[str, str]]


class DisposeIn(_In):
    """Body of `POST /v1/quarantine:dispose`. `reference`: of the decision outside, which stands in the incident record; `confirm`: the phone's name, typed."""

    phone: Annotated[str, AfterValidator(_uuid)]
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    reference: Annotated[Text, Field(min_length=1)]
    confirm: Annotated[str, Field(max_length=1024)]


def _shown(path: str) -> str:
    """A path as JSON can hold it: what is not UTF-8 is told as escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def classified_out(image: ClassifiedImage) -> ClassifiedOut:
    """One classified image."""
    return ClassifiedOut(
        path=_shown(image.path), meaning=image.meaning, device=image.identity.device, inode=image.identity.inode, at=image.at, operator=image.operator
    )


def orphans_out(orphans: tuple[OrphanImage, ...], truncated: bool, problems: tuple[tuple[str, str], ...]) -> OrphansOut:
    """What no domain reaches."""
    return OrphansOut(
        items=[
            OrphanOut(
                location=_shown(item.location),
                size_bytes=item.size_bytes,
                allocated_bytes=item.allocated_bytes,
                modified=item.modified,
                owner=item.owner,
                owner_name=item.owner_name,
            )
            for item in orphans
        ],
        truncated=truncated,
        problems=[{"location": _shown(place), "detail": why} for place, why in problems],
    )
