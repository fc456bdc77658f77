"""Every route in one table: name, path, roles (R14), documents; and the handler of each name. The server routes by it and OpenAPI is built from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from wiped.api.http.idempotency import Idempotency
from wiped.api.http.identity import Role
from wiped.api.http.openapi import Operation, openapi
from wiped.api.v1 import (
    approvals,
    audit,
    breaker,
    certificates,
    clock,
    drains,
    explain,
    holds,
    images,
    phones,
    plans,
    quarantine,
    reports,
    requests,
    status,
    subscriptions,
    wipes,
)
from wiped.api.v1.fields import ReasonIn
from wiped.ports.service import Service

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOOK = (Role.VIEWER,)
_DO = (Role.OPERATOR,)
_SETTLE = (Role.OPERATOR, Role.APPROVER)
_CHECK = (Role.AUDITOR, Role.OPERATOR)

OPERATIONS: tuple[Operation, ...] = (
    Operation("status", "GET", "/v1/status", "The host at a glance", _LOOK, status.StatusOut),
    Operation("phones", "GET", "/v1/phones", "Phones", _LOOK, phones.PhoneOut, lists=True,
              query=(("state", "array", "only phones in these states"), ("name", "string", "the one phone of this name or UUID"))),
    Operation("phone", "GET", "/v1/phones/{uuid}", "One phone", _LOOK, phones.PhoneOut),
    Operation("plan", "GET", "/v1/phones/{uuid}/plan", "What would be destroyed, kept and refused; changes nothing", _LOOK, plans.PlanOut),
    Operation("explain", "GET", "/v1/phones/{uuid}/explain", "State, next change, and every reason", _LOOK, explain.ExplainOut),
    Operation("set_subscription", "PUT", "/v1/phones/{uuid}/subscription", "Bind one phone to a subscription, or renew it", _DO, subscriptions.SubscriptionOut,
              body=subscriptions.SubscriptionIn),
    Operation("subscriptions", "GET", "/v1/subscriptions", "All current subscriptions", _LOOK, subscriptions.SubscriptionOut, lists=True),
    Operation("import_subscriptions", "POST", "/v1/subscriptions:import",
              "Many subscriptions from JSON lines or CSV, all or none", _DO, subscriptions.ImportedOut,
              body_media="application/x-ndjson,text/csv"),
    Operation("request_wipe", "POST", "/v1/wipes", "Ask for a manual wipe", _DO, wipes.AskedOut, body=wipes.WipeIn, status=202),
    Operation("wipes", "GET", "/v1/wipes", "Wipes, newest first", _LOOK, wipes.WipeOut, lists=True,
              query=(("phone", "string", "only this phone's, by UUID or name"),)),
    Operation("wipe", "GET", "/v1/wipes/{id}", "One wipe", _LOOK, wipes.WipeOut),
    Operation("events", "GET", "/v1/wipes/{id}/events", "Progress as server-sent events until it ends", _LOOK, media="text/event-stream"),
    Operation("retry", "POST", "/v1/wipes/{id}:retry", "Try a quarantined wipe again now", _DO, wipes.WipeOut, status=202),
    Operation("quarantine", "GET", "/v1/quarantine", "Wipes that could not be proven and wait in quarantine", _LOOK, wipes.WipeOut, lists=True),
    Operation("breaker", "GET", "/v1/breaker", "The circuit breaker, and the phones that wait for its release", _LOOK, breaker.BreakerOut),
    Operation("release_breaker", "POST", "/v1/breaker",
              "Allow the wipe of exactly the waiting phones; takes two different people", _DO, breaker.BreakerOut, body=breaker.ReleaseIn),
    Operation("clock", "GET", "/v1/clock", "Whether the clock is trusted, and why not", _LOOK, clock.ClockOut),
    Operation("trust_clock", "POST", "/v1/clock", "Accept that a suspect clock is right", _DO, clock.ClockOut, body=clock.TrustIn),
    Operation("dispose", "POST", "/v1/quarantine:dispose", "Accept what cannot be proven; takes two different people", _SETTLE, wipes.WipeOut,
              body=quarantine.DisposeIn),
    Operation("classify_image", "POST", "/v1/images:classify",
              "Classify an image as golden or private; private takes two different people", _DO, images.ClassifiedOut, body=images.ClassifyIn),
    Operation("classified_images", "GET", "/v1/images/classified", "Images that people classified", _LOOK, images.ClassifiedOut, lists=True),
    Operation("orphans", "GET", "/v1/images/orphans", "Images under the roots that no domain reaches; changes nothing", _LOOK, images.OrphansOut),
    Operation("suspend", "POST", "/v1/phones/{uuid}:suspend", "Stop and fence now; reversible", _DO, phones.PhoneOut, body=ReasonIn),
    Operation("resume", "POST", "/v1/phones/{uuid}:resume", "End a suspension", _DO, phones.PhoneOut, body=ReasonIn),
    Operation("protect", "POST", "/v1/phones/{uuid}:protect",
              "Protect a phone from wipes: an operator's own hold, separate from legal holds", _DO, phones.PhoneOut, body=ReasonIn),
    Operation("unprotect", "POST", "/v1/phones/{uuid}:unprotect", "End a protection", _DO, phones.PhoneOut, body=ReasonIn),
    Operation("requests", "GET", "/v1/requests", "Open requests, oldest first", _LOOK, requests.RequestOut, lists=True,
              query=(("phone", "string", "only this phone's, by UUID or name"),)),
    Operation("add_request", "POST", "/v1/requests", "Ask for the end of a phone, or of every phone of an account", _DO, requests.AskedForOut,
              body=requests.RequestIn, status=201),
    Operation("holds", "GET", "/v1/holds", "Legal holds in force", _LOOK, holds.HoldOut, lists=True),
    Operation("add_hold", "POST", "/v1/holds", "A legal hold on a phone, or on an account's phones, present and future", _DO, holds.HoldOut,
              body=holds.HoldIn, status=201),
    Operation("release_hold", "DELETE", "/v1/holds/{id}", "Release a legal hold; takes two people", _SETTLE, holds.HoldOut, body=ReasonIn),
    Operation("approvals", "GET", "/v1/approvals", "What waits for another person", _LOOK, approvals.ApprovalOut, lists=True,
              query=(("all", "boolean", "decided, expired and withdrawn ones too"),)),
    Operation("approval", "GET", "/v1/approvals/{id}", "One approval, with the fingerprint to approve", _LOOK, approvals.ApprovalOut),
    Operation("decide", "POST", "/v1/approvals/{id}",
              "Approve (the approver's role; never root, never the requester) or reject", _SETTLE, approvals.ApprovalOut,
              body=approvals.DecideIn),
    Operation("drains", "GET", "/v1/drain", "Drains in force", _LOOK, drains.DrainOut, lists=True),
    Operation("start_drain", "POST", "/v1/drain", "Announce the end of this host, or of a product on it", _DO, drains.DrainOut,
              body=drains.DrainIn, status=201),
    Operation("cancel_drain", "DELETE", "/v1/drain/{id}", "Cancel a drain before its date; takes two people", _SETTLE, drains.DrainOut, body=ReasonIn),
    Operation("subject_report", "POST", "/v1/reports/subject", "Everything that this host holds on one account, as JSON or HTML", _CHECK,
              body=reports.SubjectIn, media="application/json,text/html"),
    Operation("period_report", "GET", "/v1/reports/period", "What happened in a span of time, as JSON or HTML", _CHECK,
              media="application/json,text/html",
              query=(("from", "string", "RFC 3339 with a zone"), ("to", "string", "RFC 3339 with a zone"), ("format", "string", "json or html"))),
    Operation("certificate", "GET", "/v1/certificates/{id}", "A certificate or incident record, by its id or its wipe's", _LOOK,
              media="application/vnd.dsse.envelope.v1+json"),
    Operation("public_key", "GET", "/v1/key", "The public key that verifies this host's certificates, PEM", (), media="application/x-pem-file"),
    Operation("audit", "GET", "/v1/audit", "Entries of the audit log's hash chain, in order", _CHECK, audit.AuditOut, lists=True,
              query=(("after", "integer", "only entries with a greater seq"), ("limit", "integer", "1 to 1000"),
                     ("last", "integer", "the last so many, 1 to 1000"))),
    Operation("audit_head", "GET", "/v1/audit/head", "A signed head over the first entries of the log, for an export", _CHECK,
              media="application/vnd.dsse.envelope.v1+json", query=(("seq", "integer", "the last entry that it covers"),)),
    Operation("healthz", "GET", "/healthz", "Alive", ()),
    Operation("readyz", "GET", "/readyz", "libvirt, ledger, feed, helpers, hook, clock, breaker, last sweep; 503 where one is missing", (), status.ReadyOut,
              unready=503),
    Operation("openapi", "GET", "/openapi.json", "This description", ()),
)  # fmt: skip


async def _openapi(_request: web.Request) -> web.Response:
    return web.json_response(openapi(OPERATIONS))


def handlers(service: Service, parse_import: subscriptions.ParseImport) -> Mapping[str, Handler]:
    """The handler of each operation, by the operation's name."""
    idempotency = Idempotency(service.answers)
    of_approvals = approvals.ApprovalHandlers(service.approvals, idempotency)
    of_audit = audit.AuditHandlers(service.audit)
    of_breaker = breaker.BreakerHandlers(service.breaker, idempotency)
    of_certificates = certificates.CertificateHandlers(service.certificates)
    of_clock = clock.ClockHandlers(service.clock, idempotency)
    of_drains = drains.DrainHandlers(service.drains, idempotency)
    of_holds = holds.HoldHandlers(service.holds, idempotency)
    of_images = images.ImageHandlers(service.images)
    of_phones = phones.PhoneHandlers(service.phones, idempotency)
    of_quarantine = quarantine.QuarantineHandlers(service.quarantine, service.wipes, idempotency)
    of_reports = reports.ReportHandlers(service.reports)
    of_requests = requests.RequestHandlers(service.requests, service.phones, idempotency)
    of_status = status.StatusHandlers(service.status)
    of_subscriptions = subscriptions.SubscriptionHandlers(service.subscriptions, parse_import)
    of_wipes = wipes.WipeHandlers(service.wipes, service.phones, idempotency)
    return {
        "status": of_status.get,
        "phones": of_phones.find,
        "phone": of_phones.get,
        "plan": plans.PlanHandlers(service.plans).get,
        "explain": explain.ExplainHandlers(service.phones).get,
        "set_subscription": of_subscriptions.set,
        "subscriptions": of_subscriptions.current,
        "import_subscriptions": of_subscriptions.record_all,
        "request_wipe": of_wipes.ask,
        "wipes": of_wipes.find,
        "wipe": of_wipes.get,
        "events": of_wipes.events,
        "retry": of_quarantine.retry,
        "quarantine": of_quarantine.find,
        "breaker": of_breaker.get,
        "release_breaker": of_breaker.release,
        "clock": of_clock.get,
        "trust_clock": of_clock.trust,
        "dispose": of_quarantine.dispose,
        "classify_image": of_images.classify,
        "classified_images": of_images.classified,
        "orphans": of_images.orphans,
        "suspend": of_phones.suspend,
        "resume": of_phones.resume,
        "protect": of_phones.protect,
        "unprotect": of_phones.unprotect,
        "requests": of_requests.find,
        "add_request": of_requests.add,
        "holds": of_holds.in_force,
        "add_hold": of_holds.add,
        "release_hold": of_holds.release,
        "approvals": of_approvals.find,
        "approval": of_approvals.get,
        "decide": of_approvals.decide,
        "drains": of_drains.in_force,
        "start_drain": of_drains.start,
        "cancel_drain": of_drains.cancel,
        "subject_report": of_reports.subject,
        "period_report": of_reports.period,
        "certificate": of_certificates.get,
        "public_key": of_certificates.public_key,
        "audit": of_audit.entries,
        "audit_head": of_audit.head,
        "healthz": of_status.alive,
        "readyz": of_status.ready,
        "openapi": _openapi,
    }
