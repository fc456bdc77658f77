"""The order of things: who is decided when, what happens to one phone in which order, and what the faces may ask. Through ports only.

Rooms, each above the next:

    `service/`   what the faces may ask, one file a noun
    `sweep/`     what is looked at, decided and begun, and when
    `deeds/`     what takes two people, one file a kind
    `wipe/`      one wipe, from its trigger to its end

Files: `world` (the ports in one bundle), `results` (how a run of a wipe ends), `progress` (news of wipes), `decisions` (facts and conditions -> a fresh
decision), `survey` (one phone as it is now, and the plan of it), `policies` (what customers were told, over restarts), `checks` (what several nouns check
alike), `certificate` (the signed record of an end).

May not: open a file, a socket or a database; import libvirt, an HTTP or SQL library, or another room than `ports` and the pure ones; read a clock that was
not handed in; choose policy (that is `decide/`). Every destructive call is preceded by its invariant's check in the same function. No module rests on more
than five floors of others of this room.
"""
