"""What the faces may ask of the daemon, one file a noun.

May not: know HTTP or a terminal; skip a check because of who asks (`second_person` says who counts).
"""
