"""Choices: pure functions of facts and `now` that return values carrying their reasons.

May not: read a clock, log, await, or touch anything outside `wiped.model` and `wiped.errors`. Unknown, missing or stale input never
leads to a wipe; it leads to an alarm (DESIGN, The life of a phone).
"""
