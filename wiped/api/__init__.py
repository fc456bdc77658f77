"""The API on the Unix socket (`server`) and the metrics (`metrics`): who asks, what they may do, and what the service answered, in the JSON of
docs/contract.md.

`http` is what every route shares, `v1` the routes by noun; `report_page` writes a report as a page for people.

May not: reach libvirt, storage, the ledger or a helper (the API knows the ports of the service and nothing below), decide anything, keep an account reference
longer than it takes to wrap it, or repeat a caller's input in an error.
"""
