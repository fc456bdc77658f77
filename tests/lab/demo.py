"""``make demo``: the main job on a real guest, told as a short story with figures. Exits 1 if any of it does not hold.

Every claim is checked where it is made: `Story.holds` prints it, and remembers that it did not hold.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import images, needs
from tests.lab.guest import Disk, Load, boot_files, domain_xml, wait_ready
from tests.lab.mounts import enter_private_mounts, leftovers
from tests.lab.privatelibvirt import LabError, PrivateLibvirt, wait_for
from tests.lab.rawdevice import MIB, Markers, RawFilesystem, occurrences
from tests.lab.stage import ACCOUNT, REPOSITORY, Product

PHONE, NEIGHBOUR = "phone-7", "phone-8"
UUID = "6d1f2a3b-0c4d-4e5f-8a6b-7c8d9e0f1a2b"
SAVE, NVRAM, LOG = "/var/lib/libvirt/qemu/save", "/var/lib/libvirt/qemu/nvram", "/var/log/libvirt/qemu"

VERIFY = """
set -eu
jq -r .payload "$1" | base64 -d > "$3/payload"
jq -r '.signatures[0].sig' "$1" | base64 -d > "$3/signature"
type=$(jq -r .payloadType "$1")
{ printf 'DSSEv1 %d %s %d ' "${#type}" "$type" "$(stat -c %s "$3/payload")"; cat "$3/payload"; } > "$3/signed"
openssl pkeyutl -verify -rawin -pubin -inkey "$2" -in "$3/signed" -sigfile "$3/signature"
"""


class Story:
    """Prints what happens, and whether what must hold does."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.failures: list[str] = []

    def chapter(self, text: str) -> None:
        """A heading with the seconds gone by."""
        print(f"\n[{time.monotonic() - self.begun:5.1f} s] {text}", flush=True)

    def says(self, text: str) -> None:
        """A line of the story."""
        print(f"          {text}", flush=True)

    def holds(self, claim: bool, text: str) -> None:
        """A line that must be true."""
        print(f"   {'ok    ' if claim else 'FAILED'} {text}", flush=True)
        if not claim:
            self.failures.append(text)


@dataclass(frozen=True)
class Stage:
    """The host: a private libvirt, and a raw device under each place where a phone's data lies."""

    lab: PrivateLibvirt
    phones: Path
    golden: Path
    markers: Markers
    neighbour: Markers
    devices: dict[str, RawFilesystem]

    def on_devices(self) -> dict[str, int]:
        """Marked 4 KiB blocks of the phone, by place."""
        return {place: device.count(self.markers.prefix) for place, device in self.devices.items()}


def build(stack: ExitStack, story: Story) -> Stage:
    """libvirt with the shipped hook, four raw devices, a golden image."""
    lab = stack.enter_context(PrivateLibvirt())
    lab.install_hook(REPOSITORY / "config" / "libvirt-hook", reload=False)
    lab.restart()
    pool = lab.workdir / "pool"
    devices = {}
    for place, at in (("userdata", pool), ("saved memory", lab.path(SAVE)), ("NVRAM", lab.path(NVRAM)), ("console log", lab.path(LOG))):
        at.mkdir(exist_ok=True)
        devices[place] = RawFilesystem("ext4", lab.workdir / f"{at.name}.img", 320 * MIB)
        devices[place].mount(at)
    phones, goldens = pool / "phones", pool / "golden"
    phones.mkdir()
    goldens.mkdir()
    golden = images.golden(goldens / "android.qcow2")
    story.says(f"a private libvirtd (process {lab.libvirtd_pid}) with the shipped hook; ext4 on {', '.join(d.device for d in devices.values())}")
    return Stage(lab, phones, golden, Markers(), Markers(), devices)


def live(stage: Stage, story: Story) -> None:
    """Two phones over one golden image; apps write credentials; one phone's memory is saved to disk."""
    lab, phones = stage.lab, stage.phones
    disks = [Disk(images.overlay(phones / f"{PHONE}.qcow2", stage.golden)), Disk(images.create(phones / f"{PHONE}-sdcard.raw", 16 * MIB, "raw"), "raw")]
    load = Load(stage.markers, files=1000, ram=1000, console=40, efi=8)
    lab.define(domain_xml(PHONE, UUID, disks, load=load, nvram=f"{NVRAM}/{PHONE}_VARS.fd", console_log=f"{LOG}/{PHONE}-console.log"))
    other = [Disk(images.overlay(phones / f"{NEIGHBOUR}.qcow2", stage.golden))]
    lab.define(domain_xml(NEIGHBOUR, "", other, load=Load(stage.neighbour, files=200, ram=0, console=0), serial_file=f"{LOG}/{NEIGHBOUR}-console.log"))
    lab.virsh("start", PHONE)
    lab.virsh("start", NEIGHBOUR)
    for name in (PHONE, NEIGHBOUR):
        wait_ready(lab, f"{LOG}/{name}-console.log")
    story.says(f"{PHONE} and {NEIGHBOUR} run Linux over one golden image; apps wrote credentials to disk, memory, EFI variables and the console")
    lab.virsh("managedsave", PHONE)
    story.says(f"{PHONE} is saved: its memory now lies on disk ({(lab.path(SAVE) / f'{PHONE}.save').stat().st_size / MIB:.0f} MiB)")


def wipe(stage: Stage, story: Story, product: Product) -> dict[str, Any]:
    """Register a term that ends in seconds, and wait for the daemon to do the rest by itself."""
    running = stage.lab.virsh("domid", NEIGHBOUR).stdout
    product.start()
    story.says("wiped runs (helpers: eraser and observer, each a process of its own)")
    wait_for(lambda: len(product.get("/v1/phones")["items"]) == 2, "the daemon to see both phones")
    product.bind(PHONE, ends_in=3)
    product.bind(NEIGHBOUR, ends_in=86_400, account="another@example.org")
    planned = product.ask("plan", PHONE)
    story.says(f"wipectl subscriptions set {PHONE} ... expires in 3 s, grace 2 s; the plan:")
    for step in planned["steps"]:
        story.says(f"    {step['method']:<10} {step['artefact']['kind']:<17} {Path(step['artefact']['location']).name}")
    for kept in planned["retained"]:
        story.says(f"    keep       {kept['kind']:<17} {Path(kept['location']).name}: {kept['reason']}")
    result: dict[str, Any] = product.ask("wipes", "show", product.wait_for_wipe(UUID, seconds=45)["id"])
    story.chapter("The daemon saw the expiry, and nobody asked it anything")
    for artefact in result["artefacts"]:
        story.says(
            f"{artefact['kind']:<17} {artefact['outcome']:<14} overwritten {artefact['bytes_overwritten']:>11,} B, "
            f"read back {artefact['bytes_verified']:>11,} B, mismatches {artefact['mismatches']} {artefact['verified_via']}"
        )
    story.holds(result["outcome"] == "clear", f"outcome: {result['outcome']} {result['reasons'] or ''}, residual risks named: {', '.join(result['residuals'])}")
    story.holds(stage.lab.state(PHONE) == "undefined", f"{PHONE} no longer exists in libvirt")
    still = stage.lab.state(NEIGHBOUR) == "running" and stage.lab.virsh("domid", NEIGHBOUR).stdout == running
    story.holds(still, f"{NEIGHBOUR} ran throughout, never restarted")
    return result


def certify(stage: Stage, story: Story, product: Product, certificate_id: str) -> None:
    """The certificate by openssl, the metrics, and what must stand in neither."""
    work = stage.lab.workdir
    envelope, key = work / "certificate.json", work / "public.pem"
    product.ctl("certificates", "get", certificate_id, "-o", str(envelope))
    product.ctl("certificates", "key", "-o", str(key))
    story.holds(verify_with_openssl(envelope, key, work), f"openssl verifies certificate {certificate_id}")
    document = json.loads(envelope.read_text())
    statement = json.loads(base64.b64decode(document["payload"]))
    overall = statement["predicate"]["overall"]
    story.says(f"it says: {overall['outcome']}, scope {overall['scope']}; audit snapshot sha256 {statement['subject'][0]['digest']['sha256'][:16]}...")
    forged = work / "forged.json"
    document["payload"] = ("B" if document["payload"][0] == "A" else "A") + document["payload"][1:]
    forged.write_text(json.dumps(document))
    story.holds(not verify_with_openssl(forged, key, work), "openssl refuses it with one character changed")
    metrics = product.metrics()
    wiped = sum(value for name, value in metrics.items() if name.startswith("wiped_wipes_total{") and 'outcome="clear"' in name)
    bytes_overwritten, bytes_verified = metrics["wiped_bytes_overwritten_total"], metrics["wiped_bytes_verified_total"]
    story.holds(
        wiped == 1, f"metrics: wiped_wipes_total{{outcome=clear}} {wiped:.0f}, overwritten {bytes_overwritten:,.0f} B, verified {bytes_verified:,.0f} B"
    )
    story.holds(metrics["wiped_readback_mismatches_total"] == 0 and bytes_verified >= bytes_overwritten > 0, "metrics: no mismatch, all of it read back")
    audited = product.ask("audit", "verify")
    story.holds(audited["verified"], f"the audit log's hash chain is whole: {audited['seq']} entries")
    files = [path for path in (*product.state_dir.rglob("*"), product.log, envelope) if path.is_file()]
    found = [path.name for path in files if occurrences(path, ACCOUNT.encode())]
    story.holds(
        not found and ACCOUNT not in repr(metrics), f"the account reference stands in none of {len(files)} files of state, log and certificate {found or ''}"
    )
    story.holds(product.stop() == 0, "the daemon stops when told to")


def search(stage: Stage, story: Story, before: dict[str, int], golden_digest: str) -> None:
    """The only evidence that counts: the raw devices, unmounted."""
    story.holds(images.digest(stage.golden) == golden_digest, f"golden image unchanged: sha256 {golden_digest[:16]}...")
    stage.lab.virsh("destroy", NEIGHBOUR)
    neighbours = occurrences(stage.phones / f"{NEIGHBOUR}.qcow2", stage.neighbour.prefix)
    story.holds(neighbours > 0, f"{NEIGHBOUR} still has all of its own data ({neighbours:,} markers)")
    for device in stage.devices.values():
        device.unmount()
    after = stage.on_devices()
    story.says(f"{'raw device':<14}{'marked blocks before':>22}{'after':>8}")
    for place, device in stage.devices.items():
        story.holds(before[place] > 0 and after[place] == 0, f"{place:<14}{before[place]:>19,}{after[place]:>8,}   ({device.device})")


def verify_with_openssl(envelope: Path, public_key: Path, scratch: Path) -> bool:
    """Whether a DSSE envelope is signed with this key, by jq, base64 and openssl alone, as the README shows."""
    done = subprocess.run(["sh", "-c", VERIFY, "sh", envelope, public_key, scratch], capture_output=True, text=True, check=False)
    return done.returncode == 0 and "Verified Successfully" in done.stdout


def tell(story: Story) -> None:
    """The whole story."""
    with ExitStack() as stack:
        story.chapter("The stage")
        boot_files()
        stage = build(stack, story)
        story.chapter("A phone lives")
        live(stage, story)
        before, golden_digest = stage.on_devices(), images.digest(stage.golden)
        story.says(f"on the raw devices now: {sum(before.values()):,} blocks with its secrets")
        product = Product(stage.lab, [stage.phones], [stage.golden.parent], hook=False, forked=False)
        stack.callback(product.stop)
        story.chapter("Its service ends")
        try:
            result = wipe(stage, story, product)
            story.chapter("The proof, with stock tools")
            certify(stage, story, product, str(result["certificate_id"]))
        except BaseException:
            if product.log.exists():
                print(f"--- the daemon's last words\n{product.log.read_text()[-6000:]}", file=sys.stderr)
            raise
        story.chapter("The raw devices, unmounted")
        search(stage, story, before, golden_digest)


def main() -> int:
    """0 if everything held, 1 if anything did not."""
    if reason := needs.missing():
        print(f"demo: {reason}", file=sys.stderr)
        return 1
    enter_private_mounts()
    story = Story()
    try:
        tell(story)
    except (LabError, AssertionError, RuntimeError, KeyError) as error:
        story.holds(False, f"the story broke off: {error}")
    left = leftovers()
    story.holds(not left, f"nothing is left behind {left or ''}")
    if story.failures:
        print(f"\n{len(story.failures)} of the claims above did not hold.", file=sys.stderr)
        return 1
    print(f"\nAll of it held, in {time.monotonic() - story.begun:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
