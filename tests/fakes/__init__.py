"""Fakes implement the ports of wiped.ports; the contract suite runs on them and on the real thing."""
