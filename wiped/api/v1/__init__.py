"""The API, version 1: one file a noun, with the noun's JSON documents (`...In`, `...Out`), the functions that shape them, and its handlers.

The nouns: `status`, `phones`, `explain`, `plans`, `subscriptions`, `wipes`, `quarantine`, `images`, `requests`, `holds`, `approvals`, `drains`, `breaker`,
`clock`, `reports`, `certificates`, `audit`. What several nouns share is in `fields`; `routes` is the table of every route, its roles and its handler.

May not: reach anything but the ports of the service; decide.
"""
