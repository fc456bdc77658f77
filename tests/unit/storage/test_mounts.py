"""Under which configured directory a path really lies."""

from __future__ import annotations

from pathlib import Path

from wiped.storage.paths import containing_root


def test_containing_root(root: Path, tmp_path: Path) -> None:
    """The deepest configured directory, through symbolic links of file, directory and root; "" for none; names that only begin alike do not count."""
    (tmp_path / "alias").symlink_to(root)
    (tmp_path / "leaf").symlink_to(root / "pool/image")
    image, pool = f"{root}/pool/image", f"{root}/pool"
    assert containing_root(image, [str(root), pool]) == pool
    assert containing_root(image, [str(tmp_path / "alias")]) == str(tmp_path / "alias")
    assert containing_root(str(tmp_path / "alias/pool/image"), [str(root)]) == str(root)
    assert containing_root(str(tmp_path / "leaf"), [pool]) == pool
    assert containing_root(f"{root}/pool/not/there", [pool]) == pool
    assert containing_root(f"{root}/pool2/image", [pool]) == ""
    assert containing_root(f"{root}/pool/../image", [pool]) == ""
    assert containing_root(image, [image]) == image
    assert containing_root(image, ["/nowhere", "relative"]) == ""
    assert containing_root("relative", [str(root)]) == ""
