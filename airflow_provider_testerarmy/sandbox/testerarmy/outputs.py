"""The `output` field of a run, for each possible course of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunContext:
    """The facts that an output mentions: the test, the page under test, and the URL of the sandbox."""

    title: str
    url: str
    origin: str
    seconds: float
    login: bool = False

    def screenshot(self, name: str) -> str:
        """Return the URL of a screenshot; the sandbox serves it."""
        return f"{self.origin}/screenshots/{name}.png"


def plan(title: str, *, login: bool) -> list[Json]:
    """Return the planned steps of a test with this title."""
    steps: list[Json] = [{"title": "Open the page", "type": "act"}]
    if login:
        steps.append({"title": "Sign in as the test customer", "type": "login"})
    steps.append({"title": f"Do: {title}"[:500], "type": "act"})
    steps.append({"title": "Take a picture of the result", "type": "screenshot"})
    steps.append({"title": "The page shows what was asked for", "type": "assert"})
    return steps


def _passed_steps(context: RunContext) -> list[Json]:
    """Return the planned steps as passed steps, spread evenly over the run's duration."""
    steps = plan(context.title, login=context.login)
    share = int(context.seconds * 1000) // len(steps)
    return [
        {
            "stepIndex": index,
            "title": step["title"],
            "type": step["type"],
            "status": "passed",
            "summary": f"{step['title']}: done.",
            "error": None,
            "startedAtMs": index * share,
            "completedAtMs": (index + 1) * share,
        }
        for index, step in enumerate(steps)
    ]


def passed(context: RunContext) -> Json:
    """Return a clean pass."""
    return {
        "featureName": context.title,
        "result": "PASS",
        "description": f"{context.title}: works as described.",
        "issues": [],
        "screenshots": [context.screenshot("start"), context.screenshot("result")],
        "steps": _passed_steps(context),
    }


def passed_with_warning(context: RunContext) -> Json:
    """Return a pass with a warning, which does not block."""
    warning = _issue(
        context,
        kind="warning",
        name="Total jumps while the gift card is checked",
        severity=2,
        expected="The total changes once.",
        actual="The total shows 0.00 for about a second.",
    )
    return passed(context) | {"issues": [warning]}


def passed_with_severe_issue(context: RunContext) -> Json:
    """Return a pass that reports a confirmed issue of severity 4."""
    issue = _issue(
        context,
        name="Price without tax for companies",
        severity=4,
        expected="Company customers see prices with tax.",
        actual="The price is shown without tax and without a note.",
    )
    return passed(context) | {"issues": [issue]}


def failed(context: RunContext) -> Json:
    """Return a failure with issues of several severities and a failed login step."""
    steps = _passed_steps(context)
    index = next((i for i, step in enumerate(steps) if step["type"] == "login"), 1)
    error = "The shop answered 'wrong e-mail or password' to the stored credential."
    steps[index] |= {
        "status": "failed",
        "summary": "Could not sign in.",
        "error": error,
        "errorCode": "AUTH_CREDENTIAL_INVALID",
    }
    return {
        "featureName": context.title,
        "result": "FAILED",
        "description": "The order cannot be paid: the payment button does nothing.",
        "issues": _failed_issues(context),
        "screenshots": [context.screenshot(name) for name in ("start", "payment", "error")],
        "steps": steps,
    }


def _failed_issues(context: RunContext) -> list[Json]:
    return [
        _issue(
            context,
            name="Payment button does nothing",
            severity=5,
            expected="The order is paid and a confirmation is shown.",
            actual="Nothing happens; the browser console shows a TypeError.",
        ),
        _issue(
            context,
            name="Card number is not grouped",
            severity=3,
            expected="The card number is shown in groups of four digits.",
            actual="It is shown as one long number.",
        ),
        _issue(
            context,
            name="Typing error on the button",
            severity=1,
            expected="The button reads 'Pay now'.",
            actual="The button reads 'Pay nwo'.",
        ),
        _issue(
            context,
            kind="warning",
            name="Slow address look-up",
            severity=2,
            expected="Addresses are suggested at once.",
            actual="Suggestions take four seconds.",
        ),
    ]


def _issue(
    context: RunContext, *, name: str, severity: int, expected: str, actual: str, kind: str = "issue"
) -> Json:
    return {
        "type": kind,
        "name": name,
        "description": f"{expected} Instead: {actual}",
        "url": context.url,
        "severity": severity,
        "reproductionSteps": [f"Open {context.url}", f"Do: {context.title}", "Look at the page"],
        "expectedBehavior": expected,
        "actualBehavior": actual,
        "screenshotUrl": context.screenshot("error" if kind == "issue" else "warning"),
        "tMs": int(context.seconds * 500),
    }


def skipped(context: RunContext) -> Json:
    """Return the output of a run whose planner found nothing to test (`kind: planner_skipped`)."""
    # The OpenAPI document has a separate output schema for this: `kind` and `reason`, without a `result`.
    return {
        "kind": "planner_skipped",
        "reason": f"{context.title}: the change touches no page of the shop.",
    }


def nothing(context: RunContext) -> None:
    """Return no output, as when a worker lost its result."""


def unknown_result(context: RunContext) -> Json:
    """Return a `result` that no client knows."""
    return passed(context) | {"result": "INCONCLUSIVE"}


def sparse(context: RunContext) -> Json:
    """Return only the required fields of the OpenAPI document."""
    return {"featureName": context.title, "result": "PASS", "description": "", "screenshots": []}


def unknown_values(context: RunContext) -> Json:
    """Return what a later version of the service could send: new enumeration values and new fields."""
    output = passed(context)
    output["steps"][0] |= {"type": "voice", "errorCode": "MICROPHONE_MUTED", "mood": {"happy": True}}
    output["steps"][1] |= {"status": "skipped"}
    warning = _issue(
        context, kind="idea", name="Offer a dark mode", severity=1, expected="Dark.", actual="Light."
    )
    return output | {"issues": [warning], "confidence": 0.93, "videos": [{"url": None}]}
