"""Browser tests of the tab in a real Airflow and of the HTML report."""
