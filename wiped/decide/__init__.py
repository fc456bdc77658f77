"""Choices: pure functions of facts and `now` that return values carrying their reasons.

Files: `lifecycle` (what state a phone is in, what to do, when that changes), `conditions` (what is in force, or not as it should be, when its time has
come), `fences` (what stops it before its time), `gate` (which conditions stop which act), `policies` (as they were when a customer was told), `holds` (legal
holds in that decision), `triggers` (what can make a phone due), `window` (maintenance windows), `approval` (who may agree to what another person asked),
`notices` (which notices a decision means), `feed_answer` (what a feed's answer means), `breaker` and `clock` (the guards against mass mistakes), `plan`
(inventory and rules to a plan), `refusal` (every guard between a phone and the eraser), `classify` (golden or private), `leftover` (former files that no
definition references), `vanished` (phones that disappeared), `lastlook` (the look before the end), `snapshot` (the audit snapshot), `backoff` (how long to
wait before the next attempt), `provable` (where overwriting proves something), `verdict` (results and evidence to an outcome).

May not: read a clock, log, await, or touch anything outside `wiped.model` and `wiped.errors`. Unknown, missing or stale input never
leads to a wipe; it leads to an alarm (docs/design.md, "The life of a phone").
"""
