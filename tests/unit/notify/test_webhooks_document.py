"""The document's way to verify an event with stock tools is run as it is written there."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from wiped.notify import signing

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")


def test_openssl_computes_the_signature_that_is_sent(tmp_path: Path) -> None:
    """The same Base64 as behind `v1,`; another body gives another one."""
    (script,) = re.findall(r"<!-- verify:begin -->\s*```sh\n(.*?)```\s*<!-- verify:end -->", DOCUMENT, re.DOTALL)
    secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    body = b'{"specversion":"1.0"}'
    headers = {key.lower(): value for key, value in signing.headers(signing.parse_secrets(secret), "msg-1", datetime(2026, 11, 24, tzinfo=UTC), body).items()}
    (tmp_path / "secret").write_text(secret + "\n")
    environment = {**os.environ, "WEBHOOK_ID": headers["webhook-id"], "WEBHOOK_TIMESTAMP": headers["webhook-timestamp"]}
    found = []
    for sent in (body, body + b" "):
        (tmp_path / "body.json").write_bytes(sent)
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        found.append(f"v1,{done.stdout.strip()}" in headers["webhook-signature"].split())
    assert found == [True, False]
