from __future__ import annotations

import pytest

from tests.integration.conftest import Seen

pytestmark = pytest.mark.integration

CASES = {
    "malformed_id": "group_id 'nightly' is not a TesterArmy id",
    "unknown_id": "not found",
    "empty_id": "test_id is empty; a template may have rendered to nothing",
    "unknown_platform": "platform: ",
    "no_url": "target_url: ",
    "empty_prompt": "prompt: is empty; a template may have rendered to nothing",
    "no_report_path": "report_path 'night.pdf' must end in one of",
    "gate_field": "min_pas_rate",
    "gate_rate": "min_pass_rate: Input should be less than or equal to 1",
    "wrong_key": "Check the password of the connection",
    "forbidden_key": "Check the password of the connection",
    "plain_http": "is plain http: the API key would be sent unencrypted",
    "broken_key": "The API key contains a line break",
    "no_key": "The API key is empty: enter it as the password of the connection",
    "sensor_empty": "run_ids is empty; a template may have rendered to nothing",
    "sensor_wrong_key": "Check the password of the connection",
}


def test_every_case_is_looked_at(refused: Seen) -> None:
    """A task without expectations would go unseen."""
    assert refused.states.keys() == CASES.keys()


@pytest.mark.parametrize(("task_id", "words"), CASES.items())
def test_a_mistake_fails_the_task_at_once_and_says_what_to_mend(
    refused: Seen, task_id: str, words: str
) -> None:
    """The same mistake would be made again, so there is no retry."""
    assert refused.tries(task_id) == ["failed"]
    assert words in refused.log(task_id)


def test_a_mistake_starts_nothing(refused: Seen) -> None:
    """No request to start runs was sent. The listener may still cancel the runs of a DAG that ran before."""
    posts = [call.path for call in refused.calls if call.method == "POST"]
    assert [path for path in posts if not path.endswith("/cancel")] == []
