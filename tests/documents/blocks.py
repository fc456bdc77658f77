"""All generated parts by name, and the documents that have one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tests.documents import codes, commands, metrics, routes, settings
from tests.documents.markdown import block_names, regenerated

ROOT = Path(__file__).resolve().parents[2]

BLOCKS: dict[str, Callable[[], str]] = {
    "settings": settings.settings_block,
    "settings-planned": settings.planned_block,
    "commands": commands.commands_block,
    "commands-of-wiped": commands.daemon_block,
    "exit-codes": commands.exit_codes_block,
    "metrics": metrics.metrics_block,
    "feed-faults": codes.feed_faults_block,
    "routes": routes.routes_block,
    "documents": routes.documents_block,
    "errors": codes.errors_block,
    "refusals": codes.refusals_block,
    "outcomes": codes.outcomes_block,
    "reasons": codes.reasons_block,
    "residuals": codes.residuals_block,
    "words": codes.words_block,
}


def documents() -> Iterator[Path]:
    """Every document that may have a generated part."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").rglob("*.md"))


def current() -> dict[Path, tuple[str, str]]:
    """Each document with a generated part -> (its text, the text that the code gives)."""
    made = {name: make() for name, make in BLOCKS.items()}
    found = {}
    for file in documents():
        text = file.read_text(encoding="utf-8")
        if block_names(text):
            found[file] = (text, regenerated(text, made))
    return found
