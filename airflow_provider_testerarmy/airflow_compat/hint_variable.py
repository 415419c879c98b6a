"""The hints that runs have ended, in one Airflow Variable: the API server writes it, triggerers read it.

A triggerer has no store of its own that the API server can write, and may not use Airflow's database directly since
3.0. It can read a Variable through its parent process on every version.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from airflow.providers.common.compat.sdk import conf

from airflow_provider_testerarmy.airflow_compat.features import UI_TAB
from airflow_provider_testerarmy.airflow_compat.tasks import own_session
from airflow_provider_testerarmy.airflow_compat.variables import get_variable

#: The name of the Variable. It has no word by which Airflow takes its value for a secret and masks it in logs.
NAME: Final = "testerarmy_hints"
_DESCRIPTION: Final = (
    "Runs that the services say have ended. Written by the TesterArmy provider; safe to delete."
)


def are_hints_on() -> bool:
    """Whether the deployment takes webhooks: ``push_hints`` in the section ``testerarmy`` of its configuration."""
    return UI_TAB.available and conf.getboolean("testerarmy", "push_hints", fallback=False)


async def aread_hints() -> str | None:
    """In a triggerer: the stored hints; None if there are none.

    :raises Exception: if Airflow cannot read them.
    """
    from asgiref.sync import sync_to_async

    # In a thread: the call waits for the triggerer's parent process, and would block all other triggers.
    return await sync_to_async(get_variable)(NAME)


def change_hints(change: Callable[[str | None], str]) -> None:
    """In the API server: change the stored hints; other API servers wait until this change is stored.

    :raises Exception: if Airflow cannot store them, or if two API servers create them at once.
    """
    from airflow.models.variable import Variable
    from sqlalchemy import select

    with own_session() as session:
        found = session.scalar(select(Variable).where(Variable.key == NAME).with_for_update())
        if found is None:
            session.add(Variable(key=NAME, val=change(None), description=_DESCRIPTION))
        else:
            found.set_val(change(found.get_val()))
