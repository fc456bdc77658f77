"""An observer process with rules from its command line: what the host tests start in place of `wiped observer`.

argv[1] is JSON: {"rules": {...StorageRules}, "directories": {...LibvirtDirectories}}. The line is on descriptor 0.
"""

from __future__ import annotations

import json
import socket
import sys

from wiped.model.inventory import LibvirtDirectories
from wiped.model.policy import StorageRules
from wiped.observe.observer import serve

settings = json.loads(sys.argv[1])
rules = StorageRules(**{key: tuple(value) if isinstance(value, list) else value for key, value in settings["rules"].items()})
serve(socket.socket(fileno=0), rules, LibvirtDirectories(**settings["directories"]))
