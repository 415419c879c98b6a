"""Hostile outputs of TesterArmy: texts that an attacker or a careless site under test would write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_testerarmy.sandbox.core.hostile import (
    CONTROL,
    CUT_EMOJI,
    MARKUP,
    NASTY_TEXT,
    RIGHT_TO_LEFT,
    SCRIPT_URL,
    VERY_LONG,
)
from airflow_provider_testerarmy.sandbox.testerarmy.outputs import passed

if TYPE_CHECKING:
    from airflow_provider_testerarmy.sandbox.testerarmy.outputs import Json, RunContext


def hostile(context: RunContext) -> Json:
    """Return an output in which every text is hostile and every URL is a script."""
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
    """Return a passed output with a text that was truncated in the middle of an emoji."""
    return passed(context) | {"description": CUT_EMOJI}
