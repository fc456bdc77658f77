"""Opening beneath a root: what leads elsewhere, or is something else, is refused before it is touched."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from wiped.errors import RefusedError, StorageError
from wiped.model.inventory import FileIdentity
from wiped.storage.paths import SafeFile, open_beneath, open_image, open_root


def refused(root: Path | str, path: Path | str, expected: FileIdentity | None = None) -> str:
    """The code with which opening for writing is refused."""
    with pytest.raises(RefusedError) as caught:
        open_image(str(root), str(path), write=True, expected=expected)
    return str(caught.value.codes[0])


def test_opens_an_image(root: Path) -> None:
    """A plain file opens, with its directory, name and identity; closing twice is harmless."""
    with open_image(str(root), f"{root}/pool/image", write=True, expected=None) as found:
        stat = os.stat(f"{root}/pool/image")
        assert (found.name, found.identity) == ("image", FileIdentity(stat.st_dev, stat.st_ino))
        assert os.listdir(found.dir_fd) == ["image"]
        os.pwrite(found.fd, b"DATA", 0)
        assert not os.get_inheritable(found.fd)
    found.close()
    assert (root / "pool/image").read_bytes() == b"DATA"


def test_opens_directly_below_the_root(root: Path) -> None:
    """A file in the root itself, and a root given with a slash at its end."""
    (root / "top").write_bytes(b"x")
    open_image(f"{root}/", f"{root}/top", write=False, expected=None).close()


def test_read_only_is_read_only(root: Path) -> None:
    """Without `write` the descriptor cannot write."""
    with open_image(str(root), f"{root}/pool/image", write=False, expected=None) as found, pytest.raises(OSError, match="Bad file"):
        os.pwrite(found.fd, b"X", 0)


def test_symlink_to_the_file(root: Path) -> None:
    """A link in place of the image."""
    (root / "link").symlink_to("pool/image")
    assert refused(root, root / "link") == "symlink"


def test_symlink_on_the_way(root: Path) -> None:
    """A link in place of a directory, within the root or out of it."""
    (root / "inside").symlink_to("pool")
    (root / "outside").symlink_to("/etc")
    assert (refused(root, root / "inside/image"), refused(root, root / "outside/passwd")) == ("symlink", "symlink")


def test_symlink_above_the_root(tmp_path: Path, root: Path) -> None:
    """A root that is reached through a link is no root."""
    (tmp_path / "alias").symlink_to(root)
    assert refused(f"{tmp_path}/alias", f"{tmp_path}/alias/pool/image") == "symlink"
    with pytest.raises(RefusedError):
        open_root(f"{tmp_path}/alias")


def test_magic_links(root: Path) -> None:
    """/proc's links into other files are no way in."""
    with open(f"{root}/pool/image", "rb") as file:
        assert refused("/proc/self", f"/proc/self/fd/{file.fileno()}") == "symlink"


@pytest.mark.parametrize("path", ["/etc/passwd", "{root}", "{root}/", "{root}/..", "{root}/pool/../pool/image", "{root}x/image", "pool/image", "{root}/."])
def test_outside(root: Path, path: str) -> None:
    """Whatever is not spelled below the root is outside it."""
    assert refused(root, path.format(root=root)) == "outside-roots"


def test_nul_in_path(root: Path) -> None:
    """A path with a NUL never reaches the kernel cut short."""
    assert refused(root, f"{root}/pool/image\0.txt") == "outside-roots"


def test_hard_link(root: Path) -> None:
    """A second name for the same file would keep what we believe removed."""
    os.link(root / "pool/image", root / "second")
    assert refused(root, root / "pool/image") == "hard-link"


def test_other_identity(root: Path) -> None:
    """Another file under the planned name is not the planned file."""
    stat = os.stat(root / "pool/image")
    assert refused(root, root / "pool/image", FileIdentity(stat.st_dev, stat.st_ino + 1)) == "identity-changed"
    open_image(str(root), f"{root}/pool/image", write=True, expected=FileIdentity(stat.st_dev, stat.st_ino)).close()


def test_missing(root: Path) -> None:
    """A file that is not there has vanished, which is not a refusal."""
    with pytest.raises(StorageError) as caught:
        open_image(str(root), f"{root}/pool/none", write=True, expected=None)
    assert caught.value.reason == "vanished"


@pytest.mark.timeout(20)
def test_fifo_does_not_hang(root: Path) -> None:
    """A FIFO, with nobody at its other end, is refused at once and nobody notices."""
    os.mkfifo(root / "fifo")
    woken = threading.Event()

    def writer() -> None:
        try:
            os.close(os.open(root / "fifo", os.O_WRONLY))
        except OSError:
            return
        woken.set()

    thread = threading.Thread(target=writer, daemon=True)
    thread.start()
    assert refused(root, root / "fifo") == "not-regular"
    with pytest.raises(RefusedError, match="not a regular file"):
        open_beneath(str(root), f"{root}/fifo", os.O_RDONLY)
    assert not woken.wait(0.2)  # our look did not open the other end
    os.close(os.open(root / "fifo", os.O_RDONLY | os.O_NONBLOCK))  # lets the writer go
    thread.join(5)


def test_directory_and_socket(root: Path) -> None:
    """A directory and a socket are no images."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
        assert (refused(root, root / "pool"), refused(root, root / "socket")) == ("not-regular", "not-regular")


def test_device_node() -> None:
    """A character device is refused before it is opened."""
    assert refused("/dev", "/dev/null") == "not-regular"


def test_check_notices_a_swap(root: Path) -> None:
    """An image that was swapped for another file, or linked, after opening, is noticed."""
    with open_image(str(root), f"{root}/pool/image", write=True, expected=None) as found:
        os.link(root / "pool/image", root / "second")
        assert code_of(found) == "hard-link"
        os.unlink(root / "second")
        found.check()
        os.rename(root / "pool/image", root / "pool/moved")
        (root / "pool/image").write_bytes(b"golden")
        assert code_of(found) == "identity-changed"


def code_of(found: SafeFile) -> str:
    """The code with which a second look is refused."""
    with pytest.raises(RefusedError) as caught:
        found.check()
    return str(caught.value.codes[0])


@pytest.mark.timeout(60)
def test_race_of_swapped_directories(root: Path, tmp_path: Path) -> None:
    """While a directory is swapped for a link to a golden one ever again, the golden image is never what opens."""
    golden = tmp_path / "golden"
    golden.mkdir()
    (golden / "image").write_bytes(b"golden")
    inode = os.stat(golden / "image").st_ino
    (root / "alias").symlink_to(golden)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(root / "pool", root / "spare")
            os.rename(root / "alias", root / "pool")
            os.rename(root / "pool", root / "alias")
            os.rename(root / "spare", root / "pool")

    thread = threading.Thread(target=swap)
    thread.start()
    opened, codes = 0, set()
    try:
        for _ in range(3000):
            try:
                with open_image(str(root), f"{root}/pool/image", write=True, expected=None) as found:
                    opened += 1
                    assert found.identity.inode != inode
            except RefusedError as error:
                codes.add(str(error.codes[0]))
            except StorageError as error:
                codes.add(error.reason)
    finally:
        stop.set()
        thread.join()
    assert opened > 0
    assert codes <= {"symlink", "vanished"}
    assert codes


def test_open_beneath(root: Path) -> None:
    """Reading a file, looking at one and listing a directory; never creating, and never handing out a link itself."""
    for flags in (os.O_RDONLY, os.O_RDWR, os.O_PATH):
        os.close(open_beneath(str(root), f"{root}/pool/image", flags))
    fd = open_beneath(str(root), f"{root}/pool", os.O_RDONLY | os.O_DIRECTORY)
    assert os.listdir(fd) == ["image"]
    os.close(fd)
    (root / "link").symlink_to("pool/image")
    with pytest.raises(RefusedError, match="symbolic link"):
        open_beneath(str(root), f"{root}/link", os.O_PATH | os.O_NOFOLLOW)
    with pytest.raises(ValueError, match="neither creates"):
        open_beneath(str(root), f"{root}/new", os.O_RDWR | os.O_CREAT)
    assert not (root / "new").exists()
