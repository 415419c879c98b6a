"""The notifier picks the verdict, and hands it to another notifier in that channel's form."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.notifications.testerarmy import TesterArmyVerdictNotifier
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunTestOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor
from tests.lifecycle.tries import group
from tests.notifications.channels import SENT, Chat, Instance, Mail, Pager, Slack, context_of, summary


@pytest.fixture(autouse=True)
def sent():
    SENT.clear()
    return SENT


def test_a_chat_gets_a_text_and_renders_its_own_fields(sent):
    TesterArmyVerdictNotifier(Chat(room="{{ run_id }}"))(context_of(summary("failed", "Checkout")))
    (message,) = sent
    assert message["room"] == "manual"
    assert message["text"].splitlines() == [
        "❌ Failed: nightly · manual",
        "tests: failed · 7 of 8 passed · https://tester.army/r/1",
        "• Checkout: failed",
    ]


def test_slack_gets_its_own_marks(sent):
    TesterArmyVerdictNotifier(Slack())(context_of(summary("failed", "Checkout")))
    assert sent[0]["text"].splitlines()[1] == (
        "*tests*: failed · 7 of 8 passed · <https://tester.army/r/1|dashboard>"
    )


def test_a_mail_gets_a_subject_and_html(sent):
    TesterArmyVerdictNotifier(Mail(to="{{ run_id }}@shop.example"))(context_of(summary("passed")))
    (mail,) = sent
    assert mail["subject"] == "Passed: nightly · manual"
    assert "<b>Passed</b>" in mail["html"]
    assert mail["to"] == "manual@shop.example"


def test_a_class_is_created_with_the_message(sent):
    TesterArmyVerdictNotifier(Chat)(context_of(summary("passed")))
    assert "Passed" in sent[0]["text"]


def test_a_function_sends_itself_or_returns_a_notifier(sent):
    def post(message, context):
        sent.append((message.verdict, message.markdown, context["run_id"]))

    TesterArmyVerdictNotifier(post)(context_of(summary("failed", "A")))
    TesterArmyVerdictNotifier(lambda message, _context: Pager(message.status))(context_of(summary("passed")))
    assert sent[0][0] == "failed"
    assert sent[1] == "Passed: 8 of 8 passed"


def test_an_unknown_field_is_named(sent):
    TesterArmyVerdictNotifier(Pager(), fields={"payload": "markdown"})(context_of(summary("passed")))
    assert sent[0].startswith("✅ **Passed**")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((Pager(),), "fields="),
        ((Chat(), "x"), "of must be"),
        ((7,), "channel must be"),
    ],
)
def test_a_mistake_fails_the_dag_file(arguments, said):
    channel, *of = arguments
    with pytest.raises((ValueError, TypeError), match=said):
        TesterArmyVerdictNotifier(channel, **({"of": of[0]} if of else {}))


def test_an_unknown_form_fails_the_dag_file():
    with pytest.raises(ValueError, match="not 'pdf'"):
        TesterArmyVerdictNotifier(Chat(), fields={"text": "pdf"})


def test_no_text_from_outside_is_a_template(sent):
    """Neither in a field that Airflow renders, nor in a notifier that a function returns."""
    hostile = "{{ conn.testerarmy_default.password }}{% raise %}"
    context = context_of(summary("failed", hostile))
    TesterArmyVerdictNotifier(Chat())(context)
    TesterArmyVerdictNotifier(Chat)(context)
    TesterArmyVerdictNotifier(lambda message, _context: Chat(message.text))(context)
    assert [hostile in message["text"] for message in sent] == [True] * 3


def test_the_given_notifier_stays_as_it_is(sent):
    """Airflow calls it again, for another DAG run."""
    channel = Chat(room="{{ run_id }}")
    TesterArmyVerdictNotifier(channel)(context_of(summary("passed")))
    assert (channel.text, channel.room) == ("default", "{{ run_id }}")


def test_a_task_without_a_verdict_says_why(sent):
    TesterArmyVerdictNotifier(Chat())(context_of(reason="The service rejected the key."))
    assert sent[0]["text"].splitlines()[1:] == ["tests: no verdict", "• The service rejected the key."]


@pytest.mark.parametrize("returned", [None, "text", {"rows": 3}, ["a"]])
def test_the_xcom_of_another_task_is_no_verdict(sent, returned):
    TesterArmyVerdictNotifier(Chat())(context_of(returned))
    assert "No verdict" in sent[0]["text"]


# -- all test tasks of a DAG run


@pytest.fixture
def nightly():
    with DAG("nightly", schedule=None) as dag:
        TesterArmyRunTestOperator(task_id="one", test_id=catalog.TEST_PASSES)
        TesterArmyRunTestOperator.partial(task_id="many").expand(test_id=[catalog.TEST_PASSES])
        TesterArmyRunSensor(task_id="wait", run_ids=["x"])
        BaseOperator(task_id="report")
    return dag


def dag_run(nightly, **xcoms):
    ti = Instance({(name, "return_value"): value for name, value in xcoms.items()}, "report")
    return {"ti": ti, "run_id": "manual", "dag": nightly}


def test_the_worst_verdict_counts(sent, nightly):
    many = [summary("passed"), summary("failed", "Cart")]
    found = dag_run(nightly, one=summary("passed"), many=many, wait=summary("passed"))
    TesterArmyVerdictNotifier(Chat(), of="dag_run")(found)
    lines = sent[0]["text"].splitlines()
    assert lines[0] == "❌ Failed: nightly · manual"
    assert lines[1].startswith("many [1]: failed")
    assert [row.partition(":")[0] for row in lines[3:]] == ["one", "many [0]", "wait"]


def test_a_task_that_did_not_run_is_not_passed(sent, nightly):
    """It has no XCom, as a task whose upstream failed."""
    found = dag_run(nightly, one=summary("passed"), many=[summary("passed")])
    TesterArmyVerdictNotifier(Chat(), of="dag_run")(found)
    assert sent[0]["text"].startswith("⚠️ No verdict")


def test_a_dag_run_without_test_tasks_is_not_passed(sent):
    TesterArmyVerdictNotifier(Chat(), of="dag_run")(context_of())
    assert sent[0]["text"].startswith("⚠️ No verdict")


def test_a_context_without_a_task_is_refused():
    with pytest.raises(ValueError, match="callback of a task"):
        TesterArmyVerdictNotifier(Chat(), of="dag_run").notify({"dag": DAG("nightly", schedule=None)})


# -- only on change


def test_only_a_change_is_sent(sent, variables):
    notifier = TesterArmyVerdictNotifier(Chat(), only_on_change=True)
    verdicts = ["passed", "passed", "failed", "failed", "passed"]
    for verdict in verdicts:
        notifier(context_of(summary(verdict)))
    assert [message["text"].split()[1] for message in sent] == ["Passed:", "Failed:", "Passed:"]


def test_two_channels_remember_for_themselves(sent, variables):
    """The first must not hide the change from the second."""
    for _ in range(2):
        TesterArmyVerdictNotifier(Chat(), only_on_change=True)(context_of(summary("failed")))
        TesterArmyVerdictNotifier(Slack(), only_on_change=True)(context_of(summary("failed")))
        TesterArmyVerdictNotifier(Chat(), only_on_change=True, name="b")(context_of(summary("failed")))
    assert len(sent) == 3
    assert len(variables) == 3


def test_a_message_that_was_not_sent_is_sent_the_next_time(sent, variables):
    def fails(_message, _context):
        if not sent:
            sent.append("tried")
            raise ConnectionError("no route")
        sent.append("sent")

    notifier = TesterArmyVerdictNotifier(fails, only_on_change=True)
    with pytest.raises(ConnectionError):
        notifier.notify(context_of(summary("failed")))
    notifier.notify(context_of(summary("failed")))
    assert sent == ["tried", "sent"]


@pytest.mark.parametrize("stored", ["[]", "x", "{}"])
def test_an_edited_variable_loses_no_message(sent, variables, stored):
    notifier = TesterArmyVerdictNotifier(Chat(), only_on_change=True)
    notifier(context_of(summary("passed")))
    variables.update(dict.fromkeys(variables, stored))
    notifier(context_of(summary("passed")))
    assert len(sent) == 2
    assert [json.loads(value)["verdict"] for value in variables.values()] == ["passed"]


def test_an_airflow_that_stores_nothing_loses_no_message(sent, monkeypatch, variables):
    def refuse(*_arguments):
        raise RuntimeError("the API server is away")

    monkeypatch.setattr(airflow_compat, "set_variable", refuse)
    notifier = TesterArmyVerdictNotifier(Chat(), only_on_change=True)
    notifier(context_of(summary("passed")))
    notifier(context_of(summary("passed")))
    assert len(sent) == 2


# -- with a task


@pytest.mark.parametrize("group_id", [catalog.GROUP_SEQUENTIAL, catalog.GROUP_HOSTILE])
def test_the_summary_of_a_real_task(sent, tries, no_pauses, group_id):
    """The hostile texts of the sandbox mention nobody and format nothing."""
    made = group(group_id)
    ended = tries.execute(made)
    if isinstance(ended, dict):
        tries.ti.xcom_push("return_value", ended)
    TesterArmyVerdictNotifier(Slack())(
        {**tries.context(made), "run_id": "manual", "dag": DAG("nightly", schedule=None)}
    )
    (message,) = sent
    text = message["text"].replace("<https://", "")
    assert "<" not in text
    assert len(message["text"]) <= 3000
