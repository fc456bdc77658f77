"""The API, version 1, one file a noun: its JSON documents and its handlers; `routes` says which path is whose, `explain` puts a decision into sentences.

May not: reach anything but the service's port; decide.
"""
