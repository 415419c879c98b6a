"""The tests of decorators use the fixtures of the lifecycle's tests."""

from tests.lifecycle.conftest import airflow_says, connections, no_pauses, tries, variables

__all__ = ["airflow_says", "connections", "no_pauses", "tries", "variables"]
