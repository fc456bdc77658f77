"""Images: classified by people as golden or private, and those that no domain reaches."""

from __future__ import annotations

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from wiped.api.http.bodies import CALLER, MAX_BODY, as_items, as_json, bytes_of, check_key, parsed, person_of
from wiped.api.v1.fields import Instant, ReasonText, StrictIn
from wiped.model.images import ClassifiedImage, OrphanImage
from wiped.ports.service import ImagesService


class ClassifyIn(StrictIn):
    """Body of `POST /v1/images:classify`. `reason` is for people, sealed in the ledger and never in a log."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    meaning: Annotated[Literal["golden", "private"], Field(alias="as")]
    reason: ReasonText


class ClassifiedOut(BaseModel):
    """An image as a person classified it: this file (device, inode) at this path."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    path: str
    meaning: Annotated[str, Field(alias="as")]
    device: int
    inode: int
    at: Instant
    operator: str


class OrphanOut(BaseModel):
    """A file under a root that no domain reaches. `owner`: the phone that had the file when the daemon last saw it."""

    location: str
    size_bytes: int
    allocated_bytes: int
    modified: str
    owner: str
    owner_name: str


class OrphansOut(BaseModel):
    """All such files, largest first. `truncated`: there are more; `problems`: what could not be read."""

    items: list[OrphanOut]
    truncated: bool
    problems: list[dict[str, str]]


def _shown(path: str) -> str:
    """A path as JSON can hold it: bytes that are not UTF-8 are written as escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def classified_out(image: ClassifiedImage) -> ClassifiedOut:
    """The document of a classified image."""
    return ClassifiedOut(
        path=_shown(image.path), meaning=image.meaning, device=image.identity.device, inode=image.identity.inode, at=image.at, operator=image.operator
    )


def orphans_out(orphans: tuple[OrphanImage, ...], truncated: bool, problems: tuple[tuple[str, str], ...]) -> OrphansOut:
    """The document of the images that no domain reaches."""
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


class ImageHandlers:
    """The routes of images."""

    def __init__(self, images: ImagesService) -> None:
        self._images = images

    async def classify(self, request: web.Request) -> web.Response:
        """Classify an image as golden, or as private, which takes two people. Idempotent by nature."""
        check_key(request.headers.get("Idempotency-Key", "-"))
        asked = parsed(ClassifyIn, await bytes_of(request, MAX_BODY))
        found = await self._images.classify(asked.path, asked.meaning, reason=asked.reason, person=person_of(request[CALLER]))
        return as_json(classified_out(found))

    async def classified(self, _request: web.Request) -> web.Response:
        """Images that people classified."""
        return as_items([classified_out(image) for image in await self._images.classified()])

    async def orphans(self, _request: web.Request) -> web.Response:
        """Images that no domain reaches."""
        return as_json(orphans_out(*await self._images.orphans()))
