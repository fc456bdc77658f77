"""`python -m wiped`: the daemon's side of the program."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of `wiped`; exit codes as in docs/contract.md."""
    from wiped.cli.daemon import run  # noqa: PLC0415 - a helper process must not import what it does not need

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
