"""The progress of a wipe, followed to its end: bars with ETA on a terminal, lines elsewhere, through restarts of the daemon."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack
from typing import Any

from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.text import Text

from wiped.cli.client import Client, part
from wiped.cli.render import Screen, plain
from wiped.errors import UnreachableError

#: How long the daemon may be away (it resumes its wipes by itself) before the waiting is given up, and the pause between looks, seconds.
PATIENCE = 120.0
PAUSE = 1.0
_RESTING = frozenset({"released", "cancelled", "quarantined", "disposed"})


class _Bars:
    """One bar for each artefact and phase, on standard error."""

    def __init__(self, screen: Screen, kinds: dict[str, str]) -> None:
        self._screen = screen
        self.kinds = kinds
        self._bars: dict[tuple[str, str], TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=screen.people,
            disable=not screen.people.is_terminal,
        )

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, news: dict[str, Any]) -> None:
        """One event."""
        if news["event"] != "progress":
            self._progress.console.print(Text(f"{plain(news['step'])}", style="bold"))
            return
        key = (news["artefact_id"], news["phase"])
        if key not in self._bars:
            what = self.kinds.get(news["artefact_id"], "")
            self._bars[key] = self._progress.add_task(f"{plain(news['phase']):9} {plain(what)} {plain(news['artefact_id'])[:12]}")
        self._progress.update(self._bars[key], completed=news["done"], total=news["total"])


async def wait_until_rest(client: Client, screen: Screen, wipe_id: str) -> dict[str, Any]:
    """Wait until a wipe has ended (released, cancelled, quarantined or disposed of); its document. With JSON the events are lines on standard error."""
    since = time.monotonic()
    with ExitStack() as stack:
        bars: _Bars | None = None
        while True:
            try:
                wipe: dict[str, Any] = await client.get(f"/v1/wipes/{part(wipe_id)}")
                since = time.monotonic()
                kinds = {item["id"]: item["kind"] for item in wipe["artefacts"]}
                if screen.output == "table":
                    bars = bars or stack.enter_context(_Bars(screen, kinds))
                    bars.kinds.update(kinds)
                async for news in client.events(wipe_id):
                    since = time.monotonic()
                    if bars is not None:
                        if news["artefact_id"] and news["artefact_id"] not in bars.kinds:
                            seen = await client.get(f"/v1/wipes/{part(wipe_id)}")
                            bars.kinds.update({item["id"]: item["kind"] for item in seen["artefacts"]})
                        bars.show(news)
                    else:
                        screen.warn(json.dumps(news))
                    if news["event"] == "end":
                        break
                wipe = await client.get(f"/v1/wipes/{part(wipe_id)}")
                if wipe["state"] in _RESTING:
                    return wipe
            except UnreachableError:
                if time.monotonic() - since > PATIENCE:
                    raise
            await asyncio.sleep(PAUSE)


async def wait_for_begin(client: Client, screen: Screen, asked: dict[str, Any], uuid: str, before: set[str]) -> str:
    """Wait until the wipe that was asked for begins, at once or when the phone is due; its id. `before`: ids of the phone's older wipes."""
    said = ""
    while not asked["id"]:
        upcoming = asked["next"] or {}
        words = f"accepted; waiting until {upcoming.get('at', 'its time')}"
        if words != said:
            screen.people.print(Text(plain(words)))
            said = words
        await asyncio.sleep(PAUSE)
        explained = await client.get(f"/v1/phones/{uuid}/explain")
        begun = [wipe for wipe in explained["wipes"] if wipe not in before]
        asked = {"id": begun[0] if begun else "", "next": explained["next"]}
    return str(asked["id"])
