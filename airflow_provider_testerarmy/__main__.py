"""The command line where Airflow does not offer it: `python -m airflow_provider_testerarmy memory show`."""

from __future__ import annotations

from airflow_provider_testerarmy.cli.definition import main

if __name__ == "__main__":
    main()
