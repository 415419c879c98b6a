"""Apache Airflow provider for TesterArmy and Docket: AI agents that test web and mobile products end to end."""

__version__ = "0.1.0"
