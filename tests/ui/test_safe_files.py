"""Only regular files inside their folder and up to a size limit are read; everything else is refused at once."""

from __future__ import annotations

import os

import pytest

from airflow_provider_testerarmy.ui.safe_files import NotReadable, names_in, read_regular


@pytest.fixture
def folder(tmp_path):
    """A report's folder with a file, and a file outside of it."""
    (tmp_path / "outside.json").write_text("secret")
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "a.json").write_text("content")
    return folder


def fifo(folder):
    os.mkfifo(folder / "odd.json")


def directory(folder):
    (folder / "odd.json").mkdir()


def device(folder):
    (folder / "odd.json").symlink_to("/dev/zero")


def out(folder):
    (folder / "odd.json").symlink_to("../outside.json")


def chain(folder):
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to(folder.parent / "outside.json")
    (folder / "odd.json").symlink_to("one")


def loop(folder):
    (folder / "odd.json").symlink_to("odd.json")


def descriptor(folder):
    (folder / "odd.json").symlink_to("/proc/self/fd/0")


def link_to_fifo(folder):
    os.mkfifo(folder / "pipe")
    (folder / "odd.json").symlink_to("pipe")


def socket_file(folder):
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "odd.json"))


@pytest.mark.parametrize(
    "make", [fifo, directory, device, out, chain, loop, descriptor, link_to_fifo, socket_file]
)
def test_what_is_no_regular_file_of_the_folder(folder, make):
    """Pipes, devices, folders and links out of the folder are refused without blocking."""
    make(folder)
    with pytest.raises((NotReadable, OSError)):
        read_regular(str(folder / "odd.json"), 100)


def test_a_regular_file(folder):
    """A regular file is read, also through a link inside the folder or a folder that is a link."""
    (folder / "latest.json").symlink_to("a.json")
    (folder.parent / "elsewhere").symlink_to(folder)
    for path in (folder / "a.json", folder / "latest.json", folder.parent / "elsewhere" / "a.json"):
        assert read_regular(str(path), 7) == b"content"


def test_a_device_that_is_no_link():
    """A device is refused also without a link: /dev/zero never ends."""
    with pytest.raises(NotReadable, match="not a regular file"):
        read_regular("/dev/zero", 100)


@pytest.mark.parametrize("size", [8, 5_000_000])
def test_no_more_than_the_limit(folder, size):
    """A file that is one byte over the limit is refused."""
    with (folder / "a.json").open("wb") as file:
        file.truncate(size)
    with pytest.raises(NotReadable, match="larger than 7"):
        read_regular(str(folder / "a.json"), 7)


def test_a_file_that_the_kernel_makes_up():
    """A file in /proc reports a size of 0, so the limit applies to what is read."""
    with pytest.raises(NotReadable, match="larger"):
        read_regular("/proc/cpuinfo", 10)


def test_a_folder_that_leads_elsewhere(folder):
    """A folder that is a link out of its parent is not listed."""
    (folder / "a.screenshots").mkdir()
    (folder / "a.screenshots" / "x.png").touch()
    (folder / "b.screenshots").symlink_to(folder.parent)
    (folder / "c.screenshots").touch()
    assert names_in(str(folder / "a.screenshots"), 10) == ["x.png"]
    assert names_in(str(folder / "a.screenshots"), 0) == []
    for name in ("b.screenshots", "c.screenshots", "none"):
        with pytest.raises((NotReadable, OSError)):
            names_in(str(folder / name), 10)


def test_a_copy_by_a_link_out_of_the_report_folder(folder):
    """The folder of screenshot copies may be a link only if it stays inside the report's folder."""
    copies = folder / "a.screenshots"
    copies.symlink_to(folder.parent)
    with pytest.raises(NotReadable, match="out of its folder"):
        read_regular(str(copies / "outside.json"), 100, within=str(folder))
