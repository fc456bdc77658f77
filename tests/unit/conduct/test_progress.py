"""News of a wipe for its watchers."""

from __future__ import annotations

import asyncio

from tests.patience import PATIENCE
from tests.unit.conduct.rig import Rig


async def test_watchers_see_steps_and_bytes_until_the_end() -> None:
    """News of one wipe, from where it is to its end; of an ended one, its end at once."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)

    async def watch() -> list[str]:
        return [news.step or news.event async for news in rig.service.wipes.events(wipe.id)]

    watching = asyncio.create_task(watch(), name="watch")
    await asyncio.sleep(0)
    await rig.drain()
    seen = await asyncio.wait_for(watching, PATIENCE)
    assert [seen[0], seen[-1]] == ["queued", "released"]
    assert "progress" in seen
    assert [step for step in seen if step in {"erasing", "verifying", "removing", "judged"}] == ["erasing", "verifying", "removing", "judged"]
    assert [(news.event, news.step) async for news in rig.service.wipes.events(wipe.id)] == [("end", "released")]
