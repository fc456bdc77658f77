"""The eraser, without root."""
