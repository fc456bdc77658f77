"""Everything that one phone reaches on this host, and who else reaches it: the survey from which a plan is made.

Nothing is decided here: what must not be touched is told as a layer's problem, as a `retain_reason`, or as a problem of the inventory, and
`decide/` refuses. What cannot be wiped is named, never skipped. Where each kind of thing is looked for: `places/`.
"""

from __future__ import annotations

from collections.abc import Sequence

from wiped.model.inventory import DomainFacts, Inventory, LibvirtDirectories
from wiped.model.plan import RefusalCode
from wiped.model.policy import StorageRules
from wiped.observe.places import directories as whole
from wiped.observe.places import disks, keys, logs, ram
from wiped.observe.places.look import Look
from wiped.observe.pools import read_pools
from wiped.observe.reach import Reach, saved_state_path
from wiped.storage.protected import replaced_roots
from wiped.storage.time_limit import TimeLimit
from wiped.virt.devices import refused_devices
from wiped.wire.messages import MAX_STEPS

#: So many unreadable images of others are named.
MAX_UNCLEAR = 5


def survey(domain: DomainFacts, others: Sequence[DomainFacts], rules: StorageRules, directories: LibvirtDirectories, *, with_extents: bool = True) -> Inventory:
    """What `domain` reaches. `others`: every other domain that libvirt knows, for owners. `with_extents` maps every file that may be erased.

    Artefacts come chain by chain, top first (depth 0). Never raises for what it meets on the host: that is told in the inventory.
    """
    pools = read_pools(directories)
    limit = TimeLimit()
    named = {name for each in others for name in (each.name, *each.former_names)}
    saves = frozenset({saved_state_path(domain.name, directories)} if domain.name not in named else ())
    reach = Reach(domain.uuid, others, directories, pools, limit=limit, own_saves=saves)
    look = Look(domain, rules, directories, with_extents, pools, reach, limit)
    own = whole.own_files(look)
    disks.find_disks(look, (file.path for file in own if file.kind == "install-media"))
    logs.find_nvram(look)
    logs.find_console_logs(look)
    ram.find_managed_save(look)
    ram.find_stray_saves(look)
    ram.find_snapshot_memory(look)
    conf = ram.qemu_conf(look)
    if conf is not None:
        ram.find_dumps(look, conf)
        ram.find_memory_backing(look, conf)
    keys.find_tpm(look)
    logs.find_logs_by_name(look)
    whole.find_shared(look)
    whole.add_own_files(look, own)
    whole.find_extra(look)
    keys.find_secrets(look)
    for place, why in (*domain.unaccounted, *refused_devices(domain.host_devices, rules.harmless_host_devices)):
        look.problem(RefusalCode.UNSUPPORTED_ARTEFACT, place, why)
    for code, path, detail in replaced_roots(rules.protected):
        look.problem(code, path, detail)
    told = {place for code, place, _ in look.problems if code == RefusalCode.UNREADABLE}
    for path, reason in [item for item in reach.unclear.items() if item[0] not in told][:MAX_UNCLEAR]:
        # The eraser would refuse everything because of them, so the phone is better not stopped at all.
        look.problem(RefusalCode.UNREADABLE, path, reason)
    swapped = ram.swapped_bytes(domain, directories, runs=look.runs)
    artefacts = look.finished()
    if len(artefacts) > MAX_STEPS:
        what = f"the phone has {len(artefacts)} files, and one plan takes at most {MAX_STEPS}: pack or remove what its guest shares"
        look.problem(RefusalCode.UNSUPPORTED_ARTEFACT, max(domain.shared_directories, default=""), what)
        artefacts = artefacts[:MAX_STEPS]
    return Inventory(domain=domain, artefacts=artefacts, problems=tuple(dict.fromkeys(look.problems)), swap_bytes=swapped)
