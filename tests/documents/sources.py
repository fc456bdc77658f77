"""Everything of the program that the documents are generated from, imported at this one place."""

from __future__ import annotations

from wiped.api.http.openapi import Operation, openapi
from wiped.api.http.problems import HTTP_CODES, STATUS, MalformedError
from wiped.api.metrics import METRICS, Metrics
from wiped.api.v1.routes import OPERATIONS
from wiped.attest.certificate import statement
from wiped.cli import daemon
from wiped.cli.main import command_names, make_app
from wiped.cli.main import run as run_wipectl
from wiped.config import values
from wiped.config.bounds import OneOf, Span, Whole
from wiped.config.sections import LATER, Section, Tables
from wiped.config.storage import LATER as STORAGE_LATER
from wiped.config.storage import PARSERS, host_device_classes, parse_profile_name, parse_truth, text_list
from wiped.config.units import parse_rate, parse_size, parse_verify
from wiped.decide.feed_answer import FeedFault
from wiped.errors import WipedError
from wiped.model.approvals import GROUNDS, HoldGround, RequestKind
from wiped.model.inventory import ArtefactKind
from wiped.model.notices import NoticeKind
from wiped.model.outcome import RETRYABLE_REASONS, Outcome, ReasonCode, ResidualCode, Via
from wiped.model.plan import Method, RefusalCode
from wiped.model.policy import StorageRules
from wiped.model.subscription import Flag, State

__all__ = [
    "GROUNDS",
    "HTTP_CODES",
    "LATER",
    "METRICS",
    "OPERATIONS",
    "PARSERS",
    "RETRYABLE_REASONS",
    "STATUS",
    "STORAGE_LATER",
    "ArtefactKind",
    "FeedFault",
    "Flag",
    "HoldGround",
    "MalformedError",
    "Method",
    "Metrics",
    "NoticeKind",
    "OneOf",
    "Operation",
    "Outcome",
    "ReasonCode",
    "RefusalCode",
    "RequestKind",
    "ResidualCode",
    "Section",
    "Span",
    "State",
    "StorageRules",
    "Tables",
    "Via",
    "Whole",
    "WipedError",
    "command_names",
    "daemon",
    "error_codes",
    "errors",
    "host_device_classes",
    "make_app",
    "openapi",
    "parse_profile_name",
    "parse_rate",
    "parse_size",
    "parse_truth",
    "parse_verify",
    "run_wipectl",
    "statement",
    "text_list",
    "values",
]


def errors() -> list[type[WipedError]]:
    """Every error of the program, the root first, in the order of the tree. Errors that tests define are left out."""
    kinds: list[type[WipedError]] = [WipedError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return [kind for kind in kinds if kind.__module__.startswith("wiped.")]


def error_codes() -> dict[str, tuple[int, type[WipedError]]]:
    """code -> (HTTP status, class) of every error that has a code of its own."""
    found: dict[str, tuple[int, type[WipedError]]] = {}
    for kind in errors():
        if kind.code not in found:
            status = 400 if kind is MalformedError else next((status for error, status in STATUS if issubclass(kind, error)), 500)
            found[kind.code] = (status, kind)
    return found
