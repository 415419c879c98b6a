"""Notifiers with the fields of well-known ones, which keep what they send; and contexts of tasks."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, BaseNotifier

SENT: list = []


class Chat(BaseNotifier):
    """As Discord's notifier: a text, and templates in other fields."""

    template_fields = ("text", "room")

    def __init__(self, text="default", room=""):
        super().__init__()
        self.text, self.room = text, room

    def notify(self, context):
        SENT.append({"text": self.text, "room": self.room})


class Slack(Chat):
    """Its module has Slack's name."""

    __module__ = "airflow.providers.slack.notifications.slack"


class Mail(BaseNotifier):
    """As Airflow's notifier for e-mails."""

    template_fields = ("to", "subject", "html_content")

    def __init__(self, to, subject=None, html_content=None):
        super().__init__()
        self.to, self.subject, self.html_content = to, subject, html_content

    def notify(self, context):
        SENT.append({"subject": self.subject, "html": self.html_content, "to": self.to})


class Pager(BaseNotifier):
    """Has none of the known fields."""

    template_fields = ("payload",)

    def __init__(self, payload=None):
        super().__init__()
        self.payload = payload

    def notify(self, context):
        SENT.append(self.payload)


class Instance:
    """A task instance with the XComs of its DAG run."""

    dag_id, run_id, map_index = "nightly", "manual", -1

    def __init__(self, xcoms, task_id="tests"):
        self.xcoms, self.task_id = xcoms, task_id

    def xcom_pull(self, task_ids, key, map_indexes=None):
        return self.xcoms.get((task_ids, key))


def context_of(summary=None, reason="", **more):
    """The context of a task with this summary."""
    xcoms = {("tests", "return_value"): summary}
    if reason:
        xcoms["tests", "test_runs"] = {"reason": reason}
    return {"ti": Instance(xcoms | more), "run_id": "manual", "dag": DAG("nightly", schedule=None)}


def summary(verdict="passed", *titles, url="https://tester.army/r/1", outcome="failed", reasons=()):
    tests = [{"title": title, "outcome": outcome} for title in titles]
    counts = {"total": 8, "passed": 8 - len(titles)}
    return {"verdict": verdict, "counts": counts, "tests": tests, "url": url, "reasons": list(reasons)}
