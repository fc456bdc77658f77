"""Whole directories: shared with the guest, the phone's own by the configuration, and templates of backups and exports."""

from __future__ import annotations

from dataclasses import dataclass

from wiped.errors import InputError, RefusedError
from wiped.model.inventory import ArtefactKind, FoundArtefact
from wiped.model.plan import RefusalCode
from wiped.observe.host_files import why_doubtful
from wiped.observe.places.look import Look, beneath
from wiped.storage.mounts import containing_root
from wiped.storage.profiles import classify_directory, load_profile
from wiped.storage.templates import directory_of, expand, walk_directory


def find_shared(look: Look) -> None:
    """Directories of the host that the guest may write to (virtiofs, 9p): every regular file in them, if the directory is the phone's alone."""
    domain = look.domain
    for directory in domain.shared_directories:
        if directory in domain.shared_readonly:
            layer = look.layer(directory, with_extents=False)
            look.add(FoundArtefact(kind=ArtefactKind.SHARED_DIRECTORY, layer=layer, retain_reason="read-only-share"))
        elif not _refused(look, directory):
            walked = walk_directory(directory)
            for problem in walked.problems:
                look.problem(*problem)
            for path in walked.files:
                look.file(ArtefactKind.SHARED_DIRECTORY, path, claim="a file that the phone shares with the host")


def _refused(look: Look, directory: str) -> bool:
    """Whether the directory as a whole is not this phone's to empty; then that is told, and nothing in it is looked at."""
    if not directory.startswith("/") or "\0" in directory:
        look.problem(RefusalCode.UNSUPPORTED_ARTEFACT, directory, "a shared directory that is not named by an absolute path")
    elif why := why_doubtful(directory):
        look.problem(RefusalCode.UNREADABLE, directory, f"a directory shared with the guest: {why}")
    elif not any(beneath(directory, root) for root in look.rules.roots):
        detail = "a directory shared with the guest that is beneath no root: add the one above it to [storage] roots if phones live there, or stop sharing it"
        look.problem(RefusalCode.OUTSIDE_ROOTS, directory, detail)
    elif protected := containing_root(directory, look.protected):
        look.problem(RefusalCode.PROTECTED_ROOT, directory, f"a directory shared with the guest lies under the protected root {protected}")
    elif contained := next((root for root in look.protected if containing_root(root, (directory,))), ""):
        look.problem(RefusalCode.PROTECTED_ROOT, directory, f"a directory shared with the guest contains the protected root {contained}")
    elif others := sorted(look.reach.overlaps(directory)):
        look.problem(RefusalCode.SHARED_BY_DOMAIN, directory, "a directory shared with the guest is also reached by domain " + ", ".join(others[:5]))
    else:
        return False
    return True


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file in the phone's own directory, as its profile lists it."""

    path: str
    kind: ArtefactKind
    directory: str


def own_files(look: Look) -> tuple[OwnFile, ...]:
    """What stands in the phone's own directories. A file that the profile does not list stops the wipe: neither ignored nor destroyed."""
    if not look.rules.phone_directories:
        return ()
    try:
        profile = load_profile(look.rules.profile)
    except RefusedError as error:
        look.problem(error.codes[0], look.rules.profile, str(error))
        return ()
    found: list[OwnFile] = []
    for template in look.rules.phone_directories:
        try:
            directory = directory_of(template, look.uuid)
        except InputError as error:
            look.problem(RefusalCode.UNREADABLE, template, str(error))
            continue
        if why := why_doubtful(directory):
            look.problem(RefusalCode.UNREADABLE, directory, f"the phone's own directory: {why}")
        contents = classify_directory(directory, look.uuid, profile)
        for problem in contents.problems:
            look.problem(*problem)
        for path in contents.unknown:
            detail = f"a file in the phone's own directory that the profile {profile.name} does not list: list it there, or move it away"
            look.problem(RefusalCode.UNKNOWN_FILE, path, detail)
        found += [OwnFile(path, kind, directory) for path, kind in contents.files]
    return tuple(found)


def add_own_files(look: Look, files: tuple[OwnFile, ...]) -> None:
    """Those of the phone's own files that nothing else named."""
    for file in files:
        claim = "a file in the phone's own directory"
        look.file(file.kind, file.path, claim=claim, bounds=(file.directory,), media=file.kind is ArtefactKind.INSTALL_MEDIA)


def find_extra(look: Look) -> None:
    """Backups and exports by the configured templates."""
    for template in look.rules.extra_artefacts:
        try:
            expansion = expand(template, look.uuid)
        except InputError as error:
            look.problem(RefusalCode.UNREADABLE, template, str(error))
            continue
        if why := why_doubtful(expansion.bound):
            look.problem(RefusalCode.UNREADABLE, expansion.bound, f"copies of the phone may stand there: {why}")
        for problem in expansion.problems:
            look.problem(*problem)
        for path in expansion.files:
            look.file(ArtefactKind.EXTRA, path, claim=f"a copy that the template {template} names", bounds=(expansion.bound,))
