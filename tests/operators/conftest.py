"""The tests of operators use the fixtures of the lifecycle's tests."""

from tests.lifecycle.conftest import airflow_says, connections, tries

__all__ = ["airflow_says", "connections", "tries"]
