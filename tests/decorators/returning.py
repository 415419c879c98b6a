"""Decorated tasks whose function returns another value on each call."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_testerarmy.decorators.testerarmy import task_testerarmy, task_testerarmy_group

WAITS_HERE = {"deferrable": False, "poll_interval": 0.05}


class Returns:
    """Returns one value after the other, and counts the calls.

    :param values: an exception is raised.
    """

    def __init__(self, *values):
        self.values = list(values)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        value = self.values[min(self.calls, len(self.values)) - 1]
        if isinstance(value, BaseException):
            raise value
        return value


def task_of(function, decorator=task_testerarmy, **parameters):
    """The task of a process. Each process builds its own from the DAG file."""

    def tests():
        return function()

    with DAG("dag", schedule=None):
        made = decorator(**{**WAITS_HERE, **parameters})(tests)()
    return made.operator


def group_of(function, **parameters):
    return task_of(function, task_testerarmy_group, **parameters)
