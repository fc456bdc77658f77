"""The generator of the parts of `docs/` that the code knows best: settings, commands, metrics, routes, documents and codes.

`python -m tests.documents` (or `make docs`) rewrites what is between `<!-- generated:NAME begin -->` and `<!-- generated:NAME end -->` in any document;
prose outside the markers is written by hand, in the document itself. The generator is here and not in `wiped/`, because the program never needs it, and not
in `docs/`, because the linters cover `tests/`; `tests/unit/test_generated.py` fails where a document differs from the code.

Files: `sources` (the only one that imports the program), `markdown` (tables and markers), `meanings` (the strings below fields and enum members), `settings`,
`commands`, `metrics`, `routes`, `codes` (the blocks), `blocks` (all of them by name), `contract` (the names that docs/contract.md promises).
"""
