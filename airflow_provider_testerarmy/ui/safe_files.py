"""Reads local files safely: regular files only, inside one folder, up to a size limit. Blocking: use a thread."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

# O_NONBLOCK: if the file is replaced by a named pipe after the check, open() does not wait for a writer.
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_BLOCK: Final = 1024 * 1024


class NotReadable(Exception):
    """The file is not safe to read; the message says why."""


def read_regular(path: str, limit: int, *, within: str | None = None) -> bytes:
    """The content of a regular file.

    :param limit: the largest size to read, in bytes.
    :param within: the folder that no symbolic link may lead out of; None for the file's own folder. The folder
        itself may be a link, because whoever configured the path chose it.
    :raises NotReadable: the file is not regular, is outside the folder, or is larger than the limit.
    :raises OSError: the file cannot be opened.
    """
    with _opened(path, within or str(Path(path).parent)) as file:
        content = bytearray()
        # st_size proves nothing: the file may grow, and for files in /proc it is 0.
        while block := os.read(file, min(_BLOCK, limit + 1 - len(content))):
            content += block
            if len(content) > limit:
                raise NotReadable(f"it is larger than {limit} bytes")
    return bytes(content)


def names_in(folder: str, limit: int) -> list[str]:
    """The names in a folder next to a report, `limit` at most.

    :raises NotReadable: the folder is a symbolic link that leads out of its parent.
    :raises OSError: the folder cannot be listed.
    """
    root, parts = _resolve_below(folder, str(Path(folder).parent))
    with _open_parent(root, parts) as (around, name):
        file = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=around)
    try:
        with os.scandir(file) as entries:
            return [entry.name for _, entry in zip(range(limit), entries, strict=False)]
    finally:
        os.close(file)


@contextmanager
def _opened(path: str, within: str) -> Iterator[int]:
    root, parts = _resolve_below(path, within)
    with _open_parent(root, parts) as (folder, name):
        # Checked before opening as well: opening a device can have side effects.
        _check(os.stat(name, dir_fd=folder, follow_symlinks=False))
        file = os.open(name, _FLAGS, dir_fd=folder)
    try:
        _check(os.fstat(file))
        yield file
    finally:
        os.close(file)


def _check(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotReadable("it is not a regular file")


def _resolve_below(path: str, within: str) -> tuple[str, tuple[str, ...]]:
    """The folder and the path's parts below it, both with all links resolved."""
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
def _open_parent(root: str, parts: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Open the parent folder part by part with O_NOFOLLOW, so that no link created meanwhile is followed."""
    folder = os.open(root, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder, parts[-1]
    finally:
        os.close(folder)
