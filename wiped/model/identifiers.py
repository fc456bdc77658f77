"""Identifiers that billing gives (accounts, subscriptions), refused where a spreadsheet or a program broke them on the way. Pure.

Two customers whose references were broken in the same way would share a pseudonym, and so each other's holds and requests (R11). What cannot be told
by looking is not refused: leading zeros that are gone, digits after the fifteenth that became zeros.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

#: A policy's name, and a product's (which may be ""): the same at every door.
POLICY: Final = r"[a-z0-9][a-z0-9-]{0,62}"
PRODUCT: Final = r"([a-zA-Z0-9][a-zA-Z0-9._-]{0,62})?"

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
#: (form of the whole text, what made it, what to do). None of the sentences repeats the text.
_BROKEN: Final = (
    (
        r"[+-]?(?:\d+(?:[.,]\d+)?e[+-]\d+|\d+[.,]\d+e\d+)",
        "is a number in scientific notation, as spreadsheets write long numbers",
        "format the column as text and export it anew",
    ),
    (r"\d+[.,]0+", "is a whole number with a decimal part, as programs write it that took it for an amount", "export the column as text"),
    (
        r"#[a-z/_0]+[!?]|#n/?a|#nv|#getting_data|err:\d{3}|#{3,}",
        "is a spreadsheet's word for an error, or of a column too narrow",
        "repair the cell and export it anew",
    ),
    (
        rf"\d{{1,2}}-(?:{_MONTHS})(?:-\d{{2,4}})?|(?:{_MONTHS})-\d{{2,4}}|\d{{1,2}}/\d{{1,2}}/\d{{2,4}}|\d{{4}}-\d\d-\d\d[t ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?z?",
        "is a date, which spreadsheets make of some identifiers",
        "format the column as text and export it anew",
    ),
    (r"=.*|@[a-z]+\(.*", "is a spreadsheet's formula", "export the values, not the formulas"),
    (r"'.*", "begins with the apostrophe by which a spreadsheet marks text", "export the cell's value, without the mark"),
    (
        r"[(<]?(?:null|none|nil|-?nan|(?-i:NA|NaT)|undefined|n/a|true|false)[)>]?|[+-]?inf(?:inity)?|\\n|-+|\[object object\]|\{\{.*\}\}|\$\{.*\}",
        "is a program's word for a missing value",
        "give the reference itself",
    ),
)
_FORMS: Final = tuple((re.compile(form, re.IGNORECASE | re.ASCII), what, remedy) for form, what, remedy in _BROKEN)


def fault_of(text: str) -> str:
    """Why `text` is no reference that billing would have given, and what to do, in words without the text; "" for one that may be."""
    if unicodedata.normalize("NFC", text) != text:
        return "is not in Unicode's composed form (NFC), so that the same reference could come as another text; normalise it to NFC"
    for form, what, remedy in _FORMS:
        if form.fullmatch(text):
            return f"{what}; {remedy}"
    return ""
