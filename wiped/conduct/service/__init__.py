"""What the faces may ask of the daemon, one class a noun in a file of its own; `service` holds them all.

Files: `status`, `phones`, `plans`, `subscriptions`, `wipes`, `quarantine`, `certificates`, `audit`, `answers`, `breaker`, `clock`, `images`, `requests`,
`holds`, `approvals`, `drains`, `reports`, and `service` (an attribute a noun).

May not: know HTTP or a terminal; skip a check because of who asks (`decide.approval` says who counts); know a kind of deed where the table knows it.
"""
