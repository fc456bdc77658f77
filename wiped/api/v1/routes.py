"""Every route in one table: name of its handler, path, roles (R14), documents. The server routes by it and OpenAPI is built from it."""

from __future__ import annotations

from wiped.api import asks, guards, images
from wiped.api import documents as doc
from wiped.api.http.identity import Role
from wiped.api.http.openapi import Operation
from wiped.api.v1 import explain

_LOOK = (Role.VIEWER,)
_DO = (Role.OPERATOR,)
_SETTLE = (Role.OPERATOR, Role.APPROVER)
_CHECK = (Role.AUDITOR, Role.OPERATOR)

OPERATIONS: tuple[Operation, ...] = (
    Operation("status", "GET", "/v1/status", "The host at a glance", _LOOK, doc.StatusOut),
    Operation("phones", "GET", "/v1/phones", "Phones", _LOOK, doc.PhoneOut, lists=True,
              query=(("state", "array", "only phones in these states"), ("name", "string", "the one phone of this name or UUID"))),
    Operation("phone", "GET", "/v1/phones/{uuid}", "One phone", _LOOK, doc.PhoneOut),
    Operation("plan", "GET", "/v1/phones/{uuid}/plan", "What would be destroyed, kept and refused; changes nothing", _LOOK, doc.PlanOut),
    Operation("explain", "GET", "/v1/phones/{uuid}/explain", "State, next change, and every reason", _LOOK, explain.ExplainOut),
    Operation("set_subscription", "PUT", "/v1/phones/{uuid}/subscription", "Bind or renew one phone's term", _DO, doc.SubscriptionOut,
              body=doc.SubscriptionIn),
    Operation("subscriptions", "GET", "/v1/subscriptions", "All current terms", _LOOK, doc.SubscriptionOut, lists=True),
    Operation("import_subscriptions", "POST", "/v1/subscriptions:import", "Many terms from JSON lines or CSV, all or nothing", _DO, doc.ImportedOut,
              body_media="application/x-ndjson,text/csv"),
    Operation("request_wipe", "POST", "/v1/wipes", "A manual wipe", _DO, doc.AskedOut, body=doc.WipeIn, status=202),
    Operation("wipes", "GET", "/v1/wipes", "Wipes, newest first", _LOOK, doc.WipeOut, lists=True,
              query=(("phone", "string", "only this phone's, by UUID or name"),)),
    Operation("wipe", "GET", "/v1/wipes/{id}", "One wipe", _LOOK, doc.WipeOut),
    Operation("events", "GET", "/v1/wipes/{id}/events", "Progress as server-sent events until it ends", _LOOK, media="text/event-stream"),
    Operation("retry", "POST", "/v1/wipes/{id}:retry", "Try a quarantined wipe again now", _DO, doc.WipeOut, status=202),
    Operation("quarantine", "GET", "/v1/quarantine", "What could not be proven", _LOOK, doc.WipeOut, lists=True),
    Operation("breaker", "GET", "/v1/breaker", "The breaker, and the phones that wait behind it", _LOOK, guards.BreakerOut),
    Operation("release_breaker", "POST", "/v1/breaker", "Let exactly the waiting phones go", _DO, guards.BreakerOut, body=guards.ReleaseIn),
    Operation("clock", "GET", "/v1/clock", "Whether the clock is trusted, and why not", _LOOK, guards.ClockOut),
    Operation("trust_clock", "POST", "/v1/clock", "Say that a suspect clock is right", _DO, guards.ClockOut, body=guards.TrustIn),
    Operation("dispose", "POST", "/v1/quarantine:dispose", "Accept what cannot be proven; takes two different people", _SETTLE, doc.WipeOut,
              body=images.DisposeIn),
    Operation("classify_image", "POST", "/v1/images:classify", "Settle an image as golden or private", _DO, images.ClassifiedOut, body=images.ClassifyIn),
    Operation("classified_images", "GET", "/v1/images/classified", "Images as people settled them", _LOOK, images.ClassifiedOut, lists=True),
    Operation("orphans", "GET", "/v1/images/orphans", "Images under the roots that no domain reaches; changes nothing", _LOOK, images.OrphansOut),
    Operation("suspend", "POST", "/v1/phones/{uuid}:suspend", "Stop and fence now; reversible", _DO, doc.PhoneOut, body=asks.ReasonIn),
    Operation("resume", "POST", "/v1/phones/{uuid}:resume", "Take a suspension back", _DO, doc.PhoneOut, body=asks.ReasonIn),
    Operation("protect", "POST", "/v1/phones/{uuid}:protect", "An operator's own hold, apart from legal ones", _DO, doc.PhoneOut, body=asks.ReasonIn),
    Operation("unprotect", "POST", "/v1/phones/{uuid}:unprotect", "Take a protection back", _DO, doc.PhoneOut, body=asks.ReasonIn),
    Operation("requests", "GET", "/v1/requests", "Open requests, oldest first", _LOOK, asks.RequestOut, lists=True,
              query=(("phone", "string", "only this phone's, by UUID or name"),)),
    Operation("add_request", "POST", "/v1/requests", "Ask for the end of a phone, or of every phone of an account", _DO, asks.AskedForOut,
              body=asks.RequestIn, status=201),
    Operation("holds", "GET", "/v1/holds", "Legal holds in force", _LOOK, asks.HoldOut, lists=True),
    Operation("add_hold", "POST", "/v1/holds", "A legal hold on a phone, or on an account's phones, present and future", _DO, asks.HoldOut,
              body=asks.HoldIn, status=201),
    Operation("release_hold", "DELETE", "/v1/holds/{id}", "Release a legal hold; takes two people", _SETTLE, asks.HoldOut, body=asks.ReasonIn),
    Operation("approvals", "GET", "/v1/approvals", "What waits for another person", _LOOK, asks.ApprovalOut, lists=True,
              query=(("all", "boolean", "decided, expired and withdrawn ones too"),)),
    Operation("approval", "GET", "/v1/approvals/{id}", "One approval, with the fingerprint to approve", _LOOK, asks.ApprovalOut),
    Operation("decide", "POST", "/v1/approvals/{id}", "Approve (the approver's role, never root, never who asked) or reject", _SETTLE, asks.ApprovalOut,
              body=asks.DecideIn),
    Operation("drains", "GET", "/v1/drain", "Drains in force", _LOOK, asks.DrainOut, lists=True),
    Operation("start_drain", "POST", "/v1/drain", "Announce the end of this host, or of a product on it", _DO, asks.DrainOut, body=asks.DrainIn, status=201),
    Operation("cancel_drain", "DELETE", "/v1/drain/{id}", "Cancel a drain before its date; takes two people", _SETTLE, asks.DrainOut, body=asks.ReasonIn),
    Operation("subject_report", "POST", "/v1/reports/subject", "Everything that this host holds on one account, as JSON or HTML", _CHECK,
              body=asks.SubjectIn),
    Operation("period_report", "GET", "/v1/reports/period", "What happened in a span of time, as JSON or HTML", _CHECK,
              query=(("from", "string", "RFC 3339 with a zone"), ("to", "string", "RFC 3339 with a zone"), ("format", "string", "json or html"))),
    Operation("certificate", "GET", "/v1/certificates/{id}", "A certificate or incident record, by its id or its wipe's", _LOOK,
              media="application/vnd.dsse.envelope.v1+json"),
    Operation("public_key", "GET", "/v1/key", "The public key that verifies this host's certificates, PEM", (), media="application/x-pem-file"),
    Operation("audit", "GET", "/v1/audit", "Entries of the audit log's hash chain, in order", _CHECK, doc.AuditOut, lists=True,
              query=(("after", "integer", "only entries with a greater seq"), ("limit", "integer", "1 to 1000"),
                     ("last", "integer", "the last so many, 1 to 1000"))),
    Operation("audit_head", "GET", "/v1/audit/head", "A signed head over the first entries of the log, for an export", _CHECK,
              media="application/vnd.dsse.envelope.v1+json", query=(("seq", "integer", "the last entry that it covers"),)),
    Operation("healthz", "GET", "/healthz", "Alive", ()),
    Operation("readyz", "GET", "/readyz", "libvirt, ledger, feed, helpers, hook, clock, breaker; 503 where one is missing", (), doc.ReadyOut),
    Operation("openapi", "GET", "/openapi.json", "This description", ()),
)  # fmt: skip
