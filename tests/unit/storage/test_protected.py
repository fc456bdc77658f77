"""Whether the protected roots are still the directories that were configured."""

from __future__ import annotations

import os
from pathlib import Path

from wiped.storage.protected import replaced_roots


def test_a_root_that_is_gone_or_a_link_is_found(tmp_path: Path) -> None:
    """One that stands is not mentioned; one that is missing or reached through a link is, with its code."""
    base = Path(os.path.realpath(tmp_path))
    (base / "golden").mkdir()
    (base / "link").symlink_to(base / "golden")
    found = replaced_roots([str(base / name) for name in ("golden", "link", "gone")] + [str(base / "link" / "below")])
    assert [(code, path) for code, path, _ in found] == [("symlink", f"{base}/link"), ("missing", f"{base}/gone"), ("symlink", f"{base}/link/below")]
