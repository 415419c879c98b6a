"""Files in a local folder or an object store, as they are at this moment."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any, Final

LOCAL: Final = frozenset({"", "file", "local"})
#: Object stores whose folders are only parts of names. A client that creates a "folder" there creates a bucket.
_FLAT: Final = frozenset({"s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci"})

#: Object stores whose client sends conditions of a write (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
_CONDITIONAL: Final = frozenset({"s3", "s3a", "s3n"})


class ObjectChanged(Exception):
    """Another process has written the object meanwhile."""


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


def conditions_now(path: str) -> Mapping[str, str]:
    """The conditions of a write that must find what is there now; empty if the store knows none.

    Take them before the object is read. What is written in between then fails the write.
    """
    found = fresh_path(path)
    if found.protocol not in _CONDITIONAL:
        return {}
    try:
        return {"IfMatch": str(found.fs.info(found.path)["ETag"])}
    except FileNotFoundError:
        return {"IfNoneMatch": "*"}


def write_if(path: str, content: bytes, conditions: Mapping[str, str]) -> bool:
    """Write an object under the conditions of :func:`conditions_now`.

    :return: False if the store, or the installed client, knows no conditions. Then nothing was written.
    :raises ObjectChanged: if the conditions do not hold.
    """
    if not conditions:
        return False
    target = fresh_path(path)
    try:
        target.fs.pipe_file(target.path, content, **conditions)
    except OSError as error:
        if error.errno == errno.ENOSYS:
            return False
        # An object that is gone answers 404, and so does a missing bucket, which no other process has written.
        gone = isinstance(error, FileNotFoundError) and "IfMatch" in conditions
        if gone or isinstance(error, FileExistsError) or error.errno == errno.EINVAL:
            raise ObjectChanged(path) from error
        raise
    except Exception as error:
        # botocore before 1.36 does not know the condition.
        if type(error).__name__ != "ParamValidationError":
            raise
        return False
    return True
