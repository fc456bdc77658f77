"""`python -m tests.documents`: write every generated part of every document anew, and say which documents changed."""

from __future__ import annotations

import sys

from tests.documents.blocks import ROOT, current


def main() -> int:
    """Exit code 0, whether something changed or not."""
    for file, (before, after) in current().items():
        if before != after:
            file.write_text(after, encoding="utf-8")
        print(f"docs: {file.relative_to(ROOT)}: {'written' if before != after else 'unchanged'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
