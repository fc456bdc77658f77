"""The form of the salt file's slots."""

from __future__ import annotations

import pytest

from wiped.keys.slots import PSEUDONYM_BYTES, SLOT, Slot, binding_of, free_bytes, head_bytes, is_free, slot_of, used_bytes

HELD = Slot(b"l" * 32, b"p" * PSEUDONYM_BYTES, b"s" * 32, b"k" * 32)


def test_each_kind_comes_back_as_itself_alone() -> None:
    """A head is no slot, a free slot holds nothing, a used one holds what was put in; all are whole pages."""
    head, free, used = head_bytes(b"b" * 32), free_bytes(), used_bytes(HELD)
    assert [len(data) for data in (head, free, used)] == [SLOT] * 3
    assert [binding_of(data) for data in (head, free, used)] == [b"b" * 32, None, None]
    assert [is_free(data) for data in (head, free, used)] == [False, True, False]
    assert [slot_of(data) for data in (head, free, used)] == [None, None, HELD]


@pytest.mark.parametrize("at", [0, 8, 16, 100, 4000, SLOT - 1])
def test_a_changed_byte_makes_a_slot_worthless(at: int) -> None:
    """The checksum covers every byte; a torn slot is neither free nor used."""
    data = bytearray(used_bytes(HELD))
    data[at] ^= 1
    assert (slot_of(bytes(data)), is_free(bytes(data)), binding_of(bytes(data))) == (None, False, None)
    assert slot_of(bytes(data[:-1])) is None


def test_what_is_free_is_random_and_a_slot_is_never_printed() -> None:
    """Two free slots have no filling in common, and a repr shows nothing."""
    assert free_bytes()[16:4000] != free_bytes()[16:4000]
    assert repr(HELD) == "Slot(***)"
