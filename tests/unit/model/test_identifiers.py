"""Identifiers that a spreadsheet or a program broke on the way."""

from __future__ import annotations

import pytest

from wiped.model.identifiers import fault_of

BROKEN = {
    "1.38E+10": "scientific notation",
    "1,38e+10": "scientific notation",
    "-5E-3": "scientific notation",
    "1.38E10": "scientific notation",
    "4711.0": "decimal part",
    "4711,00": "decimal part",
    "#N/A": "error",
    "#REF!": "error",
    "########": "error",
    "#DIV/0!": "error",
    "#NAME?": "error",
    "#NV": "error",
    "#BEZUG!": "error",
    "#FIELD!": "error",
    "#GETTING_DATA": "error",
    "Err:502": "error",
    "2-Mar": "date",
    "Mar-22": "date",
    "22-Mar-26": "date",
    "3/22/2026": "date",
    "2026-03-22 00:00:00": "date",
    "=A2&B2": "formula",
    "@SUM(A1:A9)": "formula",
    "'0123": "apostrophe",
    "NULL": "missing value",
    "None": "missing value",
    "NaN": "missing value",
    "undefined": "missing value",
    "<NA>": "missing value",
    "NaT": "missing value",
    "-Infinity": "missing value",
    "\\N": "missing value",
    "--": "missing value",
    "[object Object]": "missing value",
    "{{ account }}": "missing value",
    "${ACCOUNT}": "missing value",
    "Zoe\N{COMBINING DIAERESIS}": "NFC",
}
SOUND = [
    "4711",
    "007",
    "a-1",
    "+8613800138000",
    "13800138000",
    "anna@example.org",
    "2026-03",
    "1E5",
    "@anna",
    "#4711",
    "o'neil",
    "nat",
    "na",
    "nana",
    "march-hare",
    "Nonet",
    "no",
    "x=y",
    "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}",
]


@pytest.mark.parametrize(("text", "what"), BROKEN.items())
def test_what_billing_cannot_have_given_is_named(text: str, what: str) -> None:
    """With what made it and what to do; the text itself is not repeated."""
    fault = fault_of(text)
    assert what in fault
    assert ";" in fault
    assert text not in fault


@pytest.mark.parametrize("text", SOUND)
def test_everything_else_may_be_a_reference(text: str) -> None:
    """A telephone number, a word, a hexadecimal number, an address."""
    assert fault_of(text) == ""
