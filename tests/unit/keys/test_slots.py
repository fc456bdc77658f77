"""The form of a slot: whole with its checksum, or not a slot."""

from __future__ import annotations

import os

import pytest

from wiped.keys.slots import PSEUDONYM_BYTES, SLOT, Slot, binding_of, free_bytes, head_bytes, is_free, slot_of, used_bytes


def test_each_kind_is_read_as_what_it_is() -> None:
    """4096 bytes each; a head is no slot, a free slot holds nothing, a used one comes back; none prints its secrets."""
    binding, slot = os.urandom(32), Slot(os.urandom(32), os.urandom(PSEUDONYM_BYTES), os.urandom(32), os.urandom(32))
    head, free, used = head_bytes(binding), free_bytes(), used_bytes(slot)
    assert {len(data) for data in (head, free, used)} == {SLOT}
    assert [binding_of(data) for data in (head, free, used)] == [binding, None, None]
    assert [is_free(data) for data in (head, free, used)] == [False, True, False]
    assert [slot_of(data) for data in (head, free, used)] == [None, None, slot]
    assert repr(slot) == "Slot(***)"
    assert free_bytes() != free


@pytest.mark.parametrize("at", [0, 8, 20, 100, 2_000, SLOT - 1])
def test_a_changed_byte_is_damage(at: int) -> None:
    """Wherever it is; and so is a slot that was cut off."""
    for whole in (head_bytes(os.urandom(32)), free_bytes(), used_bytes(Slot(*(os.urandom(n) for n in (32, PSEUDONYM_BYTES, 32, 32))))):
        for data in (whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], whole[:at]):
            assert (binding_of(data), is_free(data), slot_of(data)) == (None, False, None)
