"""Local files as they are safe to read: regular, in their own folder, and up to a limit. Blocking: for a thread."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

# Non-blocking: should a file be replaced by a pipe in between, opening it does not wait for a writer.
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_BLOCK: Final = 1024 * 1024


class NotReadable(Exception):
    """A file that is not read, and why."""


def read_regular(path: str, limit: int, *, within: str | None = None) -> bytes:
    """The content of a regular file.

    :param limit: in bytes.
    :param within: the folder that no link may lead out of; the file's own when None. That folder itself may be
        a link, because whoever configured the path chose it.
    :raises NotReadable: when it is no regular file, is outside of the folder, or is larger than the limit.
    :raises OSError: when it cannot be opened.
    """
    with _opened(path, within or str(Path(path).parent)) as file:
        content = bytearray()
        # Its size says nothing of a file that grows, or of one that the kernel makes up.
        while block := os.read(file, min(_BLOCK, limit + 1 - len(content))):
            content += block
            if len(content) > limit:
                raise NotReadable(f"it is larger than {limit} bytes")
    return bytes(content)


def names_in(folder: str, limit: int) -> list[str]:
    """The names in a folder beside a report, `limit` at the most.

    :raises NotReadable: when it is a link that leads out of the folder around it.
    :raises OSError: when it cannot be listed.
    """
    root, parts = _below(folder, str(Path(folder).parent))
    with _walked(root, parts) as (around, name):
        file = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=around)
    try:
        with os.scandir(file) as entries:
            return [entry.name for _, entry in zip(range(limit), entries, strict=False)]
    finally:
        os.close(file)


@contextmanager
def _opened(path: str, within: str) -> Iterator[int]:
    root, parts = _below(path, within)
    with _walked(root, parts) as (folder, name):
        # Opening a device may already do something.
        _check(os.stat(name, dir_fd=folder, follow_symlinks=False))
        file = os.open(name, _FLAGS, dir_fd=folder)
    try:
        _check(os.fstat(file))
        yield file
    finally:
        os.close(file)


def _check(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotReadable("it is no regular file")


def _below(path: str, within: str) -> tuple[str, tuple[str, ...]]:
    """The folder, and the way from it to what a path leads to, both without links."""
    root = os.path.realpath(within or ".", strict=True)
    real = os.path.realpath(path, strict=True)
    try:
        parts = Path(real).relative_to(root).parts
    except ValueError:
        parts = ()
    if not parts:
        raise NotReadable("it leads out of its folder")
    return root, parts


@contextmanager
def _walked(root: str, parts: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """The last folder on the way, opened step by step so that no link that appears meanwhile is followed."""
    folder = os.open(root, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder, parts[-1]
    finally:
        os.close(folder)
