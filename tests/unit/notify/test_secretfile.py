"""The file that holds a receiver's secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.receiver import SECRET
from wiped.errors import ConfigError
from wiped.notify.secretfile import read_secrets
from wiped.notify.signing import parse_secrets


def test_the_secret_file_is_for_nobody_else(tmp_path: Path) -> None:
    """Readable by others, absent, or no file: a fault of the configuration under its key."""
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    file.chmod(0o600)
    assert read_secrets(str(file)) == parse_secrets(SECRET)
    file.chmod(0o644)
    for path, part in ((file, "by others"), (tmp_path / "none", "cannot be read"), (tmp_path, "regular file")):
        with pytest.raises(ConfigError) as caught:
            read_secrets(str(path))
        assert [key for key, _ in caught.value.faults] == ["webhooks.secret_file"]
        assert part in str(caught.value)
        assert "MfKQ" not in str(caught.value)
    file.chmod(0o600)
    file.write_bytes(b"whsec_\xff")
    with pytest.raises(ConfigError, match="not ASCII"):
        read_secrets(str(file))
