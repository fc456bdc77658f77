"""Quick tests of the eyes."""
