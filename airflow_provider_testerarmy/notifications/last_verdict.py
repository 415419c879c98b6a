"""The last verdict that a notifier has sent or seen, in an Airflow Variable.

A Variable works in workers and in the DAG processor of every supported Airflow. XComs of an earlier DAG run do not:
Airflow has no public way to name that run which all versions share.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time

from airflow_provider_testerarmy import airflow_compat

log = logging.getLogger(__name__)

PREFIX = "testerarmy_verdict_"


class LastVerdict:
    """The verdict before this one, of the same task or DAG and for the same channel.

    :param parts: what tells apart the verdicts: the DAG, the task, the map index and the channel.
    """

    def __init__(self, *parts: object) -> None:
        self._key = (
            PREFIX + hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:24]
        )
        self._title = " ".join(str(part) for part in parts)[:200]

    def read(self) -> str | None:
        """The word of the verdict; None if there is none, or if Airflow does not return it."""
        try:
            stored = airflow_compat.get_variable(self._key) if airflow_compat.has_variables() else None
            return None if stored is None else str(json.loads(stored)["verdict"])
        # Too many messages are better than a lost one.
        except Exception as error:
            log.warning("The last verdict is unknown, so this one counts as a change: %s", error)
            return None

    def write(self, verdict: str) -> None:
        """Store the verdict. A failure is only logged, because the message has been sent."""
        value = json.dumps({"verdict": verdict, "at": int(time.time())})
        try:
            if airflow_compat.has_variables():
                airflow_compat.set_variable(self._key, value, f"The last verdict: {self._title}")
        except Exception as error:
            log.warning("The verdict was not stored, so the next one counts as a change: %s", error)
