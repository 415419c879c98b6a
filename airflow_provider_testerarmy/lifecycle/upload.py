"""Uploads a file to an object store, piece by piece, from a local path or another object store."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from airflow_provider_testerarmy.exceptions import RequestRefused, ServiceUnavailable
from airflow_provider_testerarmy.lifecycle.object_paths import fresh_path
from airflow_provider_testerarmy.runs.text import one_line

#: Bytes that are read at once. Some object stores read 50 MiB ahead by default.
PIECE: Final = 1024 * 1024
_AHEAD: Final = 4 * PIECE
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """A file to upload.

    :param path: a local path or a URL that Airflow's ``ObjectStoragePath`` understands.
    """

    path: str
    size: int = field(default=0)

    @classmethod
    def of(cls, path: str) -> Source:
        """The file at a path.

        :raises RequestRefused: if there is no file, or if it is empty.
        """
        path = str(Path(path).expanduser()) if path.startswith("~") else path
        with _readable(path):
            size = int(fresh_path(path).stat().st_size)
            if not size:
                raise RequestRefused(f"The file {path!r} is empty. Nothing was sent.")
            return cls(path, size)

    @property
    def name(self) -> str:
        """Its name without its folders."""
        return self.path.rstrip("/").rpartition("/")[2]

    def open(self) -> BinaryIO:
        """Open it at its beginning."""
        with _readable(self.path):
            opened: BinaryIO = fresh_path(self.path).open("rb", block_size=_AHEAD)
            return opened


@dataclass(frozen=True, slots=True)
class Checksum:
    """The checksums of a file: SHA-256 in hexadecimal, and MD5 in Base64 as ``Content-MD5`` has it."""

    sha256: str
    md5: str


def checksum_of(source: Source, check: Callable[[], None]) -> Checksum:
    """Read a file once.

    :param check: is called before each piece; it raises if the task must stop.
    """
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with source.open() as file, _readable(source.path):
        while piece := file.read(PIECE):
            check()
            sha256.update(piece)
            md5.update(piece)
    return Checksum(sha256.hexdigest(), base64.b64encode(md5.digest()).decode())


class Reader(io.RawIOBase):
    """Reads a file for an upload, reports the progress, and verifies that the file is the one that was checked.

    :param check: is called before each piece; it raises if the task must stop.
    """

    def __init__(self, source: Source, expected: Checksum, check: Callable[[], None], log: Any) -> None:
        self._source = source
        self._expected = expected
        self._check = check
        self._log = log
        self._file = source.open()
        self._sha256 = hashlib.sha256()
        self._sent = 0
        self._tenths = 0

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """The next piece.

        :raises ServiceUnavailable: if the file has changed.
        """
        self._check()
        with _readable(self._source.path):
            piece = self._file.read(min(size, PIECE) if size > 0 else PIECE)
        self._sha256.update(piece)
        self._sent += len(piece)
        too_much = self._sent > self._source.size
        if too_much or (
            self._sent == self._source.size and self._sha256.hexdigest() != self._expected.sha256
        ):
            raise changed(self._source)
        if not piece and self._sent < self._source.size:
            raise changed(self._source)
        self._report()
        return piece

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _report(self) -> None:
        tenths = 10 * self._sent // self._source.size
        if tenths > self._tenths:
            self._tenths = tenths
            self._log.info(
                "Uploaded %d%% (%.1f of %.1f MiB).",
                *(10 * tenths, self._sent / _MIB, self._source.size / _MIB),
            )


def changed(source: Source) -> ServiceUnavailable:
    """The exception for a file that changes while it is read."""
    return ServiceUnavailable(
        f"The file {source.path!r} changed during the upload, so it was not confirmed. The next try uploads it "
        "again."
    )


class _readable:  # noqa: N801 - a context manager
    """Converts errors of a file to exceptions of the task."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError | PermissionError):
            raise RequestRefused(
                f"The file {self._path!r} cannot be read ({type(error).__name__})."
            ) from error
        if isinstance(error, ValueError):
            # Airflow knows no object store for the scheme of the URL.
            raise RequestRefused(
                f"The file {self._path!r} cannot be read ({one_line(str(error), 200)})."
            ) from error
        if isinstance(error, OSError):
            raise ServiceUnavailable(
                f"The file {self._path!r} cannot be read now ({type(error).__name__}). The next try reads it "
                "again."
            ) from error
