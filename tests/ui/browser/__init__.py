"""Browser tests of what people see: the tab in a real Airflow, and the HTML report."""
