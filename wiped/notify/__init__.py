"""Messages to the provider's own systems: a notice of the ledger as a CloudEvent 1.0 (structured JSON), signed per the Standard Webhooks scheme, posted to
one URL (R8, R19).

Files: `events` (notice -> body; pure), `signing` (secret, id, instant, body -> headers; pure), `secretfile`, `webhook` (port Courier: one attempt over HTTP).

May not: look at the ledger, libvirt or storage; decide what is told, when, or how often (that is `decide/notices.py` and `conduct/sweep/notices.py`); send a
key that is not on `decide.notices`' list; follow a redirect, use a proxy of the environment, or read more of an answer than its head; log a
query, a secret or an answer's text.
"""
