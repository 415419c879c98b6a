"""Run a group of tests every night, and send an e-mail if it does not pass.

The summary contains a Markdown report, ``report_markdown``, for any notifier. This DAG sends it by e-mail with
Airflow's ``SmtpNotifier``. ``SlackNotifier(text=...)`` or a comment on GitHub can use the same template.

To use it with your account, put your group's id and e-mail addresses here, your API key into the connection
``testerarmy_default``, and your mail server into ``smtp_default``. The notifier is in the package
``apache-airflow-providers-smtp``.
"""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import dag

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator

try:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier
except ImportError:  # the DAG still works, but sends no e-mail
    SmtpNotifier = None

GROUP_ID = "30000000-0000-4000-8000-000000000003"

# A task that started nothing, or timed out, has no summary.
REPORT = (
    "{{ (ti.xcom_pull(task_ids=ti.task_id) or {}).report_markdown or 'There is no verdict. See the log.' }}"
)

notify = SmtpNotifier and SmtpNotifier(
    from_email="airflow@shop.example",
    to="qa@shop.example",
    subject="{{ dag.dag_id }}: the tests did not pass",
    # Escape it for HTML, because it contains text from the site under test.
    html_content="<pre>{% filter e %}" + REPORT + "{% endfilter %}</pre>",
)


@dag(
    schedule="0 2 * * *",
    max_active_runs=1,  # a scheduled and a manual run never overlap
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["testerarmy"],
    doc_md=__doc__,
)
def regression_news():
    TesterArmyRunGroupOperator(
        task_id="run_regression",
        group_id=GROUP_ID,
        poll_interval=5,
        on_failure_callback=[notify] if notify else None,
    )


regression_news()
