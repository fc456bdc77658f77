"""The sweep: looks at every domain and every phone whose time has come, decides, and starts what is due.

May not: erase or stop anything by itself (`wipe/` does).
"""
