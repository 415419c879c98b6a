"""The notifier that hands the verdict of a task or of a DAG run to any other notifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import BaseNotifier

from airflow_provider_testerarmy.notifications.github import (
    GitHubComment,
    GitHubCommitStatus,
    VerdictChannel,
)

# Imported inside methods, so that parsing a DAG file stays cheap; see lifecycle/task.py.
if TYPE_CHECKING:
    from airflow_provider_testerarmy.reports.message import Message

__all__ = ["GitHubComment", "GitHubCommitStatus", "TesterArmyVerdictNotifier"]

#: The fields of notifiers that hold a message, and the form that each gets.
FIELDS: Final = {
    "subject": "subject",
    "title": "subject",
    "html_content": "html",
    "text": "text",
    "body": "text",
    "message": "text",
    "content": "text",
}
FORMS: Final = ("subject", "status", "text", "slack", "markdown", "html")


class TesterArmyVerdictNotifier(BaseNotifier):
    """Sends the verdict through another notifier, in that channel's form.

    Set it as ``on_success_callback`` and ``on_failure_callback`` of a test task, a later task, or a DAG. No text
    from outside is rendered as a template.

    :param channel: one of these:

        * a notifier, e.g. ``SlackNotifier(channel="#qa")`` or ``SmtpNotifier(to="qa@shop.example")``. Its message
          fields are replaced, and its other fields are rendered as usual.
        * a class of a notifier that needs nothing but the message
        * a function of the message and the context. It sends the message, or returns a notifier that does, whose
          fields are not rendered.

    :param of: ``task`` for the verdict of the task itself, ``dag_run`` for all test tasks of the DAG run.
    :param only_on_change: bool. True sends nothing if the verdict is the same as the one before it.
    :param fields: dict or None; the fields of the notifier that get the message, each with the form: ``subject``,
        ``status``, ``text``, ``slack``, ``markdown`` or ``html``. None means the known fields of the notifier.
    :param name: str; tells apart two notifiers of the same task and kind, with ``only_on_change``.
    :raises ValueError: when the DAG file is parsed, for a channel without a known field, or an unknown form.
    :raises TypeError: when the DAG file is parsed, for a channel that is none of these.
    """

    def __init__(
        self,
        channel: Any,
        *,
        of: str = "task",
        only_on_change: bool = False,
        fields: Mapping[str, str] | None = None,
        name: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if of not in ("task", "dag_run"):
            raise ValueError(f"of must be task or dag_run, not {of!r}.")
        self.channel = channel
        self.of = of
        self.only_on_change = only_on_change
        self.name = name
        self.fields = dict(_known_fields(channel) if fields is None else fields)
        if unknown := sorted(set(self.fields.values()) - set(FORMS)):
            raise ValueError(f"A form must be one of {', '.join(FORMS)}, not {unknown[0]!r}.")

    def notify(self, context: Any) -> None:
        """Send the verdict.

        :raises ValueError: if the context names no task instance.
        """
        from airflow_provider_testerarmy.notifications.verdicts import verdict_of_dag_run, verdict_of_task

        message = (verdict_of_task if self.of == "task" else verdict_of_dag_run)(context)
        if not self.only_on_change:
            self._send(message, context)
            return
        last = self._last(context)
        before = last.read()
        if before == message.verdict:
            self.log.info("The verdict is the same as before (%s). Nothing is sent.", before)
            return
        self._send(message, context)
        # After the message: if it was not sent, the next verdict counts as a change again.
        last.write(message.verdict)

    def _last(self, context: Any) -> Any:
        from airflow_provider_testerarmy.notifications.last_verdict import LastVerdict

        ti = context.get("ti") or context["task_instance"]
        task = (ti.task_id, ti.map_index) if self.of == "task" else ()
        kind = type(self.channel) if isinstance(self.channel, BaseNotifier) else self.channel
        path = (getattr(kind, "__module__", ""), getattr(kind, "__qualname__", ""))
        return LastVerdict(ti.dag_id, *task, *path, self.name)

    def _send(self, message: Message, context: Any) -> None:
        channel = self.channel
        if isinstance(channel, BaseNotifier):
            # Airflow may call this notifier again, so the given one stays as it is.
            ready = copy(channel)
            ready.render_template_fields(context)
            if isinstance(ready, VerdictChannel):
                ready.message = message
            self._fill(ready, message)
            ready.notify(context)
        elif isinstance(channel, type):
            channel(**{name: getattr(message, form) for name, form in self.fields.items()}).notify(context)
        else:
            made = channel(message, context)
            if isinstance(made, BaseNotifier):
                made.notify(context)

    def _fill(self, notifier: BaseNotifier, message: Message) -> None:
        # After the rendering: a title that is a template must not read Airflow's connections.
        for name, form in self.fields.items():
            setattr(notifier, name, getattr(message, form))


def _known_fields(channel: Any) -> Mapping[str, str]:
    """The fields of the channel that hold a message, with the form of each.

    :raises ValueError: if there is none.
    """
    if isinstance(channel, VerdictChannel) or _is_function(channel):
        return {}
    kind = channel if isinstance(channel, type) else type(channel)
    if not issubclass(kind, BaseNotifier):
        raise TypeError(
            f"channel must be a notifier, a class of notifiers or a function, not a {kind.__name__}."
        )
    names = _parameters(kind) if isinstance(channel, type) else vars(channel)
    found = {name: form for name, form in FIELDS.items() if name in names}
    # An e-mail has one body.
    if "html_content" in found:
        found = {name: form for name, form in found.items() if form in ("subject", "html")}
    if not set(found) - {"subject", "title"}:
        raise ValueError(
            f"{kind.__name__} has none of the known fields for a message ({', '.join(FIELDS)}). Name its "
            'field, e.g. fields={"payload": "text"}.'
        )
    if "slack" in kind.__module__.lower():
        found = {name: "slack" if form == "text" else form for name, form in found.items()}
    return found


def _parameters(kind: type) -> list[str]:
    import inspect

    return list(inspect.signature(kind.__init__).parameters)  # type: ignore[misc]


def _is_function(channel: Any) -> bool:
    return isinstance(channel, Callable) and not isinstance(channel, type | BaseNotifier)  # type: ignore[arg-type]
