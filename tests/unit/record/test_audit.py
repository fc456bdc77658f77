"""The audit log: chained and verified (its export: `tests/unit/verify/test_export.py`)."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.unit.record.rig import PHONE, Rig
from wiped.attest.signing import Ed25519Signer, generate_key
from wiped.errors import LedgerError, VerificationError
from wiped.record.sql.migrate import FILE_NAME

SIGNER = Ed25519Signer(generate_key())


async def test_the_audit_log_is_append_only_in_the_database_too(rig: Rig) -> None:
    """Whatever the code above does: UPDATE and DELETE are refused."""
    await rig.ledger.audit.note("test", {}, rig.now)
    for statement in ("UPDATE audit SET kind = 'x'", "DELETE FROM audit"):
        with pytest.raises(LedgerError, match="append-only"):
            await rig.ledger._db.write(lambda c, s=statement: c.exec_driver_sql(s))
    assert await rig.kinds() == ["test"]


async def test_a_changed_entry_is_found(rig: Rig) -> None:
    """Somebody with the file and no triggers."""
    for number in range(3):
        await rig.ledger.audit.note("test", {"n": number}, rig.now)
    assert (await rig.ledger.audit.verify()).seq == 3
    with closing(sqlite3.connect(rig.folder / FILE_NAME)) as connection, connection:
        connection.execute("DROP TRIGGER audit_no_update")
        connection.execute("""UPDATE audit SET body = '{"n":7}' WHERE seq = 2""")
    with pytest.raises(VerificationError, match="entry 2"):
        await rig.ledger.audit.verify()


async def test_nothing_of_a_file_or_a_seed_is_in_the_audit_log(rig: Rig) -> None:
    """Locations hold customers' names here; seeds would tell the keystream; details are dropped whoever hands them in."""
    await rig.released()
    await rig.ledger.audit.note(
        "refused", {"uuid": PHONE, "location": "/srv/Li-Wei", "deep": [{"detail": "Li Wei", "code": "x"}], "codes": {"b", "a"}}, rig.now
    )
    told = str(await rig.ledger.audit.entries())
    for secret in ("/srv", "Wei", bytes([1] * 32).hex(), ".wiped-"):
        assert secret not in told
    assert (await rig.ledger.audit.entries())[-1].body == {"uuid": PHONE, "deep": [{"code": "x"}], "codes": ["a", "b"]}
