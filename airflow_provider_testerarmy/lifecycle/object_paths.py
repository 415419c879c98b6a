"""Files in a local folder or an object store, as they are at this moment."""

from __future__ import annotations

from typing import Any, Final

LOCAL: Final = frozenset({"", "file", "local"})
#: Object stores whose folders are only parts of names. A client that creates a "folder" there creates a bucket.
_FLAT: Final = frozenset({"s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci"})


def fresh_path(path: str) -> Any:
    """Airflow's path of a file or folder, which shows what other processes have written.

    :param path: a local path or a URL that Airflow's ``ObjectStoragePath`` understands.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    found = ObjectStoragePath(path)
    # fsspec's file systems live as long as their process, and keep the names and sizes of each list without a limit
    # of time. A file is then read with its old size, or not found.
    found.fs.invalidate_cache()
    return found


def has_folders(path: Any) -> bool:
    """Whether a file of this path may need a folder that does not exist yet."""
    return path.protocol not in _FLAT
