"""Tests of `wiped.helpers`."""
