"""Tests of the conducting room: on fakes whose bytes show what went wrong."""
