"""Every night, run a group of tests; when it does not pass, send what broke to whoever has to know.

The summary has it in Markdown, as ``report_markdown``, ready for any notifier: here an e-mail, by Airflow's own
``SmtpNotifier``. In ``SlackNotifier(text=...)`` or a comment on GitHub it is the same template.

For a real account: put your group's id and addresses here, your API key into the connection ``testerarmy_default``,
and the mail server into ``smtp_default``. The notifier is in the package ``apache-airflow-providers-smtp``.
"""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import dag

from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator

try:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier
except ImportError:  # then the tests run, and nobody is told
    SmtpNotifier = None

GROUP_ID = "30000000-0000-4000-8000-000000000003"

# A task that started nothing, or timed out, has no summary; its log says why.
NEWS = "{{ (ti.xcom_pull(task_ids=ti.task_id) or {}).report_markdown or 'There is no verdict.' }}"

tell = SmtpNotifier and SmtpNotifier(
    from_email="airflow@shop.example",
    to="qa@shop.example",
    subject="{{ dag.dag_id }}: the tests did not pass",
    # In HTML it has to be escaped: parts of it were written by the site under test.
    html_content="<pre>{% filter e %}" + NEWS + "{% endfilter %}</pre>",
)


@dag(
    schedule="0 2 * * *",
    max_active_runs=1,  # a scheduled and a manual run never test at the same time
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
        on_failure_callback=[tell] if tell else None,
    )


regression_news()
