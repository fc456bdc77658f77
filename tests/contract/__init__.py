"""Contract suites: one per port, run against the real thing and against the fake, so that a fake cannot drift from what it stands for."""
