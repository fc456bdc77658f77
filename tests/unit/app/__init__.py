"""Tests of the composition root, with fakes where a host would be needed."""
