"""The line between daemon and helpers."""
