"""The tests of sensors share the fixtures of the lifecycle's."""

from tests.lifecycle.conftest import airflow_says, connections, tries

__all__ = ["airflow_says", "connections", "tries"]
