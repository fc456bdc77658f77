"""Reports as pages for people: everything shown, every text escaped."""

from __future__ import annotations

from wiped.api.report_page import page


def test_plain_values_come_first_and_each_list_has_its_table() -> None:
    """Keys become words; a list of documents is a table, an empty one says so."""
    found = page("period", {"host_name": "h1", "complete": True, "wipes": [{"id": "w1", "outcome": "clear"}], "holds": [], "codes": ["a"]})
    assert found.startswith("<!doctype html>")
    assert found.index("host name") < found.index("wipes (1)") < found.index("holds (0)")
    for part in ("<td>h1</td>", "<td>yes</td>", "<th>outcome</th>", "<td>clear</td>", '<p class="none">none</p>', "<td>a</td>"):
        assert part in found, part


def test_text_of_others_is_escaped_everywhere() -> None:
    """In keys, in values, in values within values; there is no script."""
    evil = "<script>alert(1)</script>"
    found = page("subject", {evil: evil, "phones": [{evil: {evil: [evil]}}], "names": [evil]})
    assert "<script" not in found
    assert found.count("&lt;script&gt;") >= 5
