"""Tests of `wiped.machine`."""
