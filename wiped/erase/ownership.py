"""Whose file is it? Answered from libvirt's own files alone, each time anew; the daemon's plan is not believed (I5).

`libvirt_files.py` reads libvirt's files, `own.py` and `templated.py` say what is this phone's, `others.py` what any other domain reaches, `claims.py` gives the
verdict on one file. Here they are put together.

Whatever cannot be read or understood, of any domain, refuses everything (code `unreadable`): a neighbour that we cannot see may own the file.
"""

from __future__ import annotations

from wiped.erase.bounds import Places
from wiped.erase.claims import Claims
from wiped.erase.libvirt_files import read_shelf, saved_domain
from wiped.erase.others import claim_others, claim_overlaps, claim_secrets
from wiped.erase.own import claim_bases, claim_by_uuid, claim_own
from wiped.erase.pools import golden_directories
from wiped.erase.remembered import claim_former_logs, claim_remembered
from wiped.erase.templated import Templated
from wiped.errors import RefusedError
from wiped.model.inventory import LibvirtDirectories
from wiped.model.policy import StorageRules
from wiped.storage.classified import read_classified
from wiped.storage.protected import replaced_roots
from wiped.wire.messages import Lock

__all__ = ["Claims", "claims_for", "read_claims", "saved_domain"]


def claims_for(request: Lock, rules: StorageRules, directories: LibvirtDirectories, previous: Claims | None = None) -> Claims:
    """The claims by which a plan is judged: at the lock, and again whenever libvirt's files changed. Raises RefusedError.

    Here the positive rule is chosen: a phone that libvirt knows goes by libvirt's files (its logs under former names by its remembered ones), one that
    vanished by its remembered ones.
    """
    claims = read_claims(directories, request.uuid, rules, resumed=request.resumed, previous=previous)
    if request.vanished:
        claim_remembered(claims, request)
    else:
        claim_former_logs(claims, request)
    return claims


def read_claims(
    directories: LibvirtDirectories, uuid: str, rules: StorageRules | None = None, *, resumed: bool = False, previous: Claims | None = None
) -> Claims:
    """Read all of libvirt's files and follow every other domain's chains. About a second for 500 domains.

    `previous`: the claims of the same phone that this connection had; files that did not change are not parsed again, and bases that its chain led to stay
    known. `resumed`: erasing had begun before. Raises RefusedError (unreadable; symlink or missing for a protected root that is none any more).
    """
    rules = rules or StorageRules()
    if replaced := replaced_roots(rules.protected):
        raise RefusedError(f"{replaced[0][1]}: {replaced[0][2]}", codes=[code for code, _, _ in replaced])
    claims = Claims(uuid, directories, rules, read_shelf(directories, uuid, previous.shelf if previous else None))
    claims.classified = read_classified(directories.classified, directories.records_uid)
    claims.templated = Templated.of(rules, uuid)
    claims.protected = Places((*rules.protected, *golden_directories(rules.golden_pools, claims.shelf.pools)))
    for document in claims.shelf.documents.values():
        if document.facts.uuid == uuid:
            claim_own(claims, document)
    claim_by_uuid(claims)
    claim_others(claims)
    claim_overlaps(claims)
    claim_bases(claims, previous.bases if previous else {}, resumed=resumed)
    claim_secrets(claims)
    claims.tree_places = Places(claims.trees)
    return claims
