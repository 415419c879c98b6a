"""What `make demo` prints at its end."""

from tests.rig.demo import next_steps
from tests.rig.settings import REPOSITORY


def test_it_names_the_tab_and_what_to_try_next():
    text = next_steps("http://127.0.0.1:8080", "manual__2026-01-01T00:00:00+00:00", "admin", "abc")
    assert (
        "http://127.0.0.1:8080/dags/nightly_regression/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00/tasks/"
        "run_regression/plugin/test-runs\n" in text
    )
    assert "admin, password abc" in text
    pages = [word for word in text.split() if word.startswith("docs/")]
    assert len(pages) == 2
    assert all((REPOSITORY / page).exists() for page in pages)
