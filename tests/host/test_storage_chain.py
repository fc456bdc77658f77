"""The header reader and the chain against qemu-img and oslo.utils: what they make and say of it, we read the same."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from oslo_utils.imageutils import format_inspector

from wiped.storage.image_chain import names_reached, walk_chain
from wiped.storage.qcow2 import Qcow2Header, read_qcow2_header

CREATIONS: dict[str, tuple[str, ...]] = {
    "plain": ("-f", "qcow2"),
    "v2": ("-f", "qcow2", "-o", "compat=0.10"),
    "small-clusters": ("-f", "qcow2", "-o", "cluster_size=512"),
    "large-clusters": ("-f", "qcow2", "-o", "cluster_size=2M"),
    "extended-l2": ("-f", "qcow2", "-o", "extended_l2=on"),
    "zstd": ("-f", "qcow2", "-o", "compression_type=zstd"),
    "overlay": ("-f", "qcow2", "-b", "base.img", "-F", "raw"),
    "overlay-v2": ("-f", "qcow2", "-o", "compat=0.10", "-b", "{dir}/base.img", "-F", "raw"),
    "overlay-2M": ("-f", "qcow2", "-o", "cluster_size=2M", "-b", "base.img", "-F", "raw"),
    "data-file": ("-f", "qcow2", "-o", "data_file={dir}/external"),
    "luks": ("-f", "qcow2", "--object", "secret,id=s,data=secret", "-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"),
}


def make(path: Path, *options: str) -> None:
    """qemu-img create, 16 MiB; again where its measuring of the processor fails at random (docs/physics.md 6)."""
    command = ["qemu-img", "create", "-q", *(item.format(dir=path.parent) for item in options), str(path), "16M"]
    for _ in range(10):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        assert "CPU usage" in done.stderr, done.stderr
    pytest.skip("qemu-img cannot measure the processor here")


def info(path: Path) -> Any:
    """qemu-img info, as JSON."""
    done = subprocess.run(["qemu-img", "info", "-U", "--output=json", str(path)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def header_of(path: Path) -> Qcow2Header:
    """What our reader says."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return read_qcow2_header(fd)
    finally:
        os.close(fd)


@pytest.mark.parametrize("name", CREATIONS)
def test_header_as_qemu_img_says(scratch: Path, name: str) -> None:
    """Every field that qemu-img tells of an image which it made."""
    make(scratch / "base.img", "-f", "raw")
    path = scratch / "image"
    make(path, *CREATIONS[name])
    said, read = info(path), header_of(path)
    data = said["format-specific"]["data"]
    assert read.virtual_size == said["virtual-size"]
    assert 1 << read.cluster_bits == said["cluster-size"]
    assert read.version == {"0.10": 2, "1.1": 3}[data["compat"]]
    assert read.backing_file == said.get("backing-filename", "")
    assert read.backing_format == said.get("backing-filename-format", "")
    assert read.data_file == data.get("data-file", "")
    assert read.external_data is ("data-file" in data)
    assert read.encrypted is said.get("encrypted", False)
    assert read.corrupt == data.get("corrupt", False)
    assert read.unknown_features == 0


@pytest.mark.parametrize("name", CREATIONS)
def test_dangers_as_oslo_says(scratch: Path, name: str) -> None:
    """The field's inspector and our reader call the same images backed, external or of unknown features (it does not know extended L2 entries)."""
    make(scratch / "base.img", "-f", "raw")
    path = scratch / "image"
    make(path, *CREATIONS[name])
    inspector = format_inspector.QcowInspector()
    with path.open("rb") as file:
        while not inspector.complete and (chunk := file.read(65536)):
            inspector.eat_chunk(chunk)
    failures: set[str] = set()
    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed as error:
        failures = set(error.failures)
    read = header_of(path)
    ours = {"backing_file": read.backing_file, "data_file": read.external_data, "unknown_features": read.unknown_features or name == "extended-l2"}
    assert failures == {kind for kind, found in ours.items() if found}
    assert inspector.virtual_size == read.virtual_size


def test_snapshots_are_counted(scratch: Path) -> None:
    """Internal snapshots, made by qemu-img."""
    path = scratch / "image"
    make(path, "-f", "qcow2")
    for name in ("one", "two"):
        subprocess.run(["qemu-img", "snapshot", "-c", name, str(path)], check=True)
    (layer,) = walk_chain(str(path), "qcow2", roots=[str(scratch)], protected=[], libvirt_dirs=[])
    assert (layer.internal_snapshots, layer.problem) == (2, "")


def test_longest_backing_name(scratch: Path) -> None:
    """A name of 1023 bytes, the longest that QEMU writes."""
    directory = scratch
    while len(str(directory)) < 1023 - 202:
        directory = directory / ("d" * 200)
    directory.mkdir(parents=True)
    base = directory / ("b" * (1023 - len(str(directory)) - 1))
    base.write_bytes(b"x" * 512)
    make(scratch / "image", "-f", "qcow2", "-b", str(base), "-F", "raw")
    assert header_of(scratch / "image").backing_file == str(base)
    layers = walk_chain(str(scratch / "image"), "qcow2", roots=[str(scratch)], protected=[], libvirt_dirs=[])
    assert [layer.problem for layer in layers] == ["", ""]


def test_chain_as_qemu_img_says(scratch: Path) -> None:
    """A chain of three, by relative names across directories: the same files and formats as `qemu-img info --backing-chain`."""
    (scratch / "golden").mkdir()
    (scratch / "phones").mkdir()
    make(scratch / "golden/base.img", "-f", "raw")
    make(scratch / "golden/mid.qcow2", "-f", "qcow2", "-b", "base.img", "-F", "raw")
    make(scratch / "phones/top.qcow2", "-f", "qcow2", "-b", "../golden/mid.qcow2", "-F", "qcow2")
    command = ["qemu-img", "info", "-U", "--backing-chain", "--output=json", str(scratch / "phones/top.qcow2")]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    layers = walk_chain(str(scratch / "phones/top.qcow2"), "qcow2", roots=[str(scratch)], protected=[str(scratch / "golden")], libvirt_dirs=[])
    assert [(layer.location, layer.format, layer.virtual_bytes) for layer in layers] == [
        (os.path.normpath(item["filename"]), item["format"], item["virtual-size"]) for item in said
    ]
    assert [bool(layer.under_protected) for layer in layers] == [False, True, True]
    assert names_reached(str(scratch / "phones/top.qcow2"), "qcow2").identities == {layer.identity for layer in layers}
