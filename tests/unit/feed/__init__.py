"""Tests of `wiped.feed`."""
