"""What takes two people (R14), one file a kind: a person asks, another agrees to exactly that, and it is carried out.

Files: `deed` (what every deed can do), `table` (all deeds by kind, found in this package), and one file a kind, named by it: `wipe`, `shorten_term`,
`dispose`, `breaker_release`, `hold_release`, `drain`, `drain_cancel`, `classify_private`. A new kind is one new file that exports `DEED`.

May not: know who may agree (`decide.approval`) or that anybody did (`service.approvals`); carry out anything but what the approval names.
"""
