"""What unlocks: the state of the phone's TPM, and libvirt's secrets that only this phone uses."""

from __future__ import annotations

import os

from wiped.errors import InputError, RefusedError, StorageError
from wiped.model.images import PRIVATE
from wiped.model.inventory import ArtefactKind
from wiped.model.plan import RefusalCode
from wiped.observe.host_files import list_names, read_small
from wiped.observe.places.look import Look, plain
from wiped.storage.templates import walk_directory
from wiped.virt.places import CREDENTIALS, SecretFacts, parse_secret, secret_files

#: The owner of a secret that a pool or qemu.conf names.
HOST = "(the host's own configuration)"


def find_tpm(look: Look) -> None:
    """swtpm's state, in a directory by UUID; it is looked for whether or not the present XML has a TPM."""
    base = look.directories.swtpm
    directory = os.path.join(base, look.uuid)
    look.listable(base, "the state of TPMs may stand in it")
    walked = walk_directory(directory)
    for problem in walked.problems:
        look.problem(*problem)
    for path in walked.files:
        look.file(ArtefactKind.TPM_STATE, path, claim="swtpm's directory of this UUID", own=(base,))
    if look.domain.tpm and look.runs and not walked.files and not walked.problems:
        detail = "the running phone has a TPM, and libvirt keeps no state of it here: it is the host's own, or an external one"
        look.problem(RefusalCode.UNSUPPORTED_ARTEFACT, "tpm", detail)


def find_secrets(look: Look) -> None:
    """Values of secrets that this phone's XML names, or that belong to a volume of its own. After the disks: they are asked for their paths."""
    folder = look.directories.secrets
    look.listable(folder, "secrets of the phone's volumes may stand in it")
    named = set(look.domain.secrets)
    for name in list_names(folder):
        if not name.endswith(".xml"):
            continue
        path = os.path.join(folder, name)
        try:
            secret = parse_secret(read_small(path))
        except FileNotFoundError:
            continue
        except (InputError, RefusedError, StorageError) as error:
            look.problem(RefusalCode.UNREADABLE, path, f"a secret that cannot be understood: it may unlock a volume of this phone: {error}")
            continue
        if secret.usage_type in CREDENTIALS:
            continue  # the host's: it lets the host in to storage elsewhere
        own = _own_volumes(look, secret)
        if secret.uuid in named or (secret.reference and secret.reference in named) or own:
            _value(look, secret, own)


def _host_words(look: Look) -> frozenset[str]:
    """Words of the pools' definitions and of qemu.conf, any of which may name a secret. A qemu.conf that cannot be read is told elsewhere, and refuses."""
    try:
        lines = read_small(look.directories.qemu_conf).decode("utf-8", "surrogateescape").lower().splitlines()
    except (OSError, RefusedError, StorageError):
        lines = []
    return look.pools.words | {word for line in lines if not line.lstrip().startswith("#") for word in line.split('"')[1::2]}


def _own_volumes(look: Look, secret: SecretFacts) -> frozenset[str]:
    """The owners of the volumes of this phone that a secret is for; empty when it is for none of them."""
    if secret.usage_type != "volume" or not secret.usage:
        return frozenset()
    volumes = [found for found in look.artefacts if plain(found.layer.location) == plain(secret.usage) and not found.media and not found.retain_reason]
    mine = [found for found in volumes if found.depth == 0 or found.snapshot_made or found.classified == PRIVATE]
    return frozenset(owner for found in mine for owner in (look.uuid, *look.reach.owners(found.layer)))


def _value(look: Look, secret: SecretFacts, owners: frozenset[str]) -> None:
    """The value's file; a secret without one (never set, or ephemeral) left nothing on the disk."""
    others = look.reach.secret_owners(secret.uuid, secret.reference) | (owners - {look.uuid})
    if _host_words(look) & {secret.uuid, secret.uuid.replace("-", ""), secret.usage.lower() or secret.uuid}:
        others |= {HOST}
    value = os.path.join(look.directories.secrets, secret_files(secret.uuid)[1])
    look.file(
        ArtefactKind.LIBVIRT_SECRET, value, claim="a secret of libvirt's that only this phone uses", owners=sorted(others), own=(look.directories.secrets,)
    )
