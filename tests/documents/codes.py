"""The codes of docs/api.md: errors, refusals, outcomes, reasons, residuals, and the words of every enum that the API shows."""

from __future__ import annotations

from http import HTTPStatus

from tests.documents import sources
from tests.documents.markdown import cell, code, table
from tests.documents.meanings import error_meaning, words


def errors_block() -> str:
    """Error code, HTTP status, exit code, whether a retry can help, meaning."""
    rows = []
    for name, (status, kind) in sources.error_codes().items():
        shown = "" if name == "daemon-unreachable" else str(status)
        rows.append((code(name), shown, str(kind.exit_code), "yes" if kind.retry else "no", cell(error_meaning(kind))))
    known = sources.error_codes()
    for status, name in sources.HTTP_CODES.items():
        if name not in known:
            usage = known["bad-input"][1].exit_code
            rows.append((code(name), str(status), str(usage), "no", HTTPStatus(status).phrase))
    return table(("error code", "HTTP", "exit code", "retry can help", "meaning"), rows)


def refusals_block() -> str:
    """Refusal code and meaning."""
    return table(("refusal code", "meaning, and what to do"), ((code(word), cell(said)) for word, said in words(sources.RefusalCode).items()))


def outcomes_block() -> str:
    """Outcome and meaning, best first."""
    return table(("outcome", "meaning"), ((code(word), cell(said)) for word, said in words(sources.Outcome).items()))


def reasons_block() -> str:
    """Reason code, whether it is retried by itself, meaning."""
    retried = {str(each) for each in sources.RETRYABLE_REASONS}
    rows = ((code(word), "yes" if word in retried else "no", cell(said)) for word, said in words(sources.ReasonCode).items())
    return table(("reason code", "retried by itself", "meaning"), rows)


def residuals_block() -> str:
    """Residual code and meaning."""
    return table(("residual code", "what may remain"), ((code(word), cell(said)) for word, said in words(sources.ResidualCode).items()))


def feed_faults_block() -> str:
    """The reasons of `wiped_feed_errors_total`."""
    return table(("reason", "meaning"), ((code(word), cell(said)) for word, said in words(sources.FeedFault).items()))


def words_block() -> str:
    """The other enums, each with its words."""
    grounds = "; ".join(f"{code(kind)}: {', '.join(map(code, names))}" for kind, names in sources.GROUNDS.items())
    kinds = {
        "states": sources.State,
        "flags": sources.Flag,
        "artefact kinds": sources.ArtefactKind,
        "methods": sources.Method,
        "verified via": sources.Via,
        "hold grounds": sources.HoldGround,
        "request kinds": sources.RequestKind,
        "notices": sources.NoticeKind,
    }
    rows = [(name, ", ".join(code(word) for word in words(kind))) for name, kind in kinds.items()]
    return table(("enum", "words"), [*rows, ("grounds of each request kind", grounds)])
