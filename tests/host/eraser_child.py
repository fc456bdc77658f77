"""An eraser process with rules from its command line: what the host tests start in place of `wiped eraser`.

argv[1] is JSON: {"rules": {...StorageRules}, "directories": {...LibvirtDirectories}}. The line is on descriptor 0.
"""

from __future__ import annotations

import json
import socket
import sys

from wiped.erase.eraser import serve
from wiped.model.inventory import LibvirtDirectories
from wiped.model.policy import StorageRules


def main() -> int:
    """Serve the line until it ends."""
    settings = json.loads(sys.argv[1])
    rules = StorageRules(**{key: tuple(value) if isinstance(value, list) else value for key, value in settings["rules"].items()})
    return serve(socket.socket(fileno=0), rules, LibvirtDirectories(**settings["directories"]))


if __name__ == "__main__":
    sys.exit(main())
