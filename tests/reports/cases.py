"""Results for the report tests: a usual night, a thousand tests, and texts that an attacker would write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.results import Issue, Outcome, Phase, RunResult, Step
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate
from airflow_provider_testerarmy.runs.verdict.summary import summarize
from airflow_provider_testerarmy.sandbox.core import hostile

NOON = datetime(2026, 2, 11, 12, tzinfo=UTC)
NAME = "shop.nightly"

NASTY = (
    "]]> <script>alert(1)</script> </style></title> @everyone #7 https://evil.example/x www.evil.example "
    f"[a](https://evil.example) ![b](//evil.example/b.png) \ufffe\x85\ud83d {hostile.NASTY_TEXT} "
    "[[PROPERTY|run_id=x]]"
)
LONG = NASTY + "<b>" * 1_000_000
SCRIPT_URLS = (
    hostile.SCRIPT_URL,
    "JAVASCRIPT:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "http://plain.example/",
    "https://user:pass@evil.example/",
    'https://x.example/"onmouseover="alert(1)',
    "https://x.example/a b",
    "https://x.example/\u202e",
    "//evil.example",
    "https:evil.example",
    "https://",
    "",
)


def summary_of(results, **gate):
    return summarize(
        QualityGate.of(gate).judge(results),
        results,
        run_ids=[run.run_id for run in results],
        batch_id="b-7",
        url="https://tester.army/batches/b-7",
    )


def run(number, outcome=Outcome.PASSED, **fields):
    """A finished run that started `number` seconds after noon."""
    start = NOON + timedelta(seconds=number)
    given = {
        "test_id": f"t{number}",
        "title": f"Test {number}",
        "url": f"https://tester.army/runs/{number}",
        "duration": 30.0,
        "started_at": start,
        "finished_at": start + timedelta(seconds=30),
    }
    return RunResult(f"r{number}", "completed", Phase.FINISHED, outcome, **given | fields)


ISSUE = Issue(
    "Total is wrong",
    True,
    5,
    "A hundred times too high.",
    "https://shop.example/cart",
    "24.80",
    "2480",
    ("Open the cart", "Read the total"),
    "https://cdn.example/shot.png?sig=a&b=c",
)
WARNING = Issue("Search is slow", False, 2)
STEPS = (
    Step("Open the shop", True, "navigate", "It opened.", started=0.0, ended=2.0),
    Step("Pay", False, "act", "", "Expected 24.80\nfound 2480", "ASSERTION", "Compare.", 2.0, 4.0),
)
NIGHT = (
    run(0, title="Search", issues=(WARNING,), steps=STEPS[:1]),
    run(1, Outcome.FAILED, title="Checkout", reason="Wrong total.", issues=(WARNING, ISSUE), steps=STEPS),
    run(2, title="Log in", flaky=True),
    run(3, Outcome.ERRORED, title="Upload", reason="No browser.", error_code="BROWSER"),
    run(4, Outcome.CANCELLED, title="Newsletter"),
    run(5, Outcome.SKIPPED, title="Gift cards", reason="Nothing to test."),
    run(6, Outcome.UNKNOWN, title="Returns"),
)
THOUSAND = tuple(
    run(
        n,
        Outcome.PASSED if n % 20 else Outcome.FAILED,
        steps=STEPS[:1] * 8,
        issues=() if n % 20 else (ISSUE,),
    )
    for n in range(1000)
)


def hostile_run(number, text=NASTY, outcome=Outcome.FAILED, urls=SCRIPT_URLS, copies=1):
    """A run in which every text is hostile and no URL is safe to link to."""
    issues = tuple(
        Issue(text, confirmed, 9, text, url, text, text, (text,) * 3, url)
        for url in urls
        for confirmed in (True, False)
    )
    step = Step(text, False, text, text, text, text, text, -1.0, float(2**53))
    return RunResult(
        f"{number} {text[:300]}",
        text,
        Phase.FINISHED,
        outcome,
        test_id=text,
        project_id=text,
        title=f"{number} {text}",
        reason=text,
        error_code=text,
        url=urls[number % len(urls)],
        issues=issues * copies,
        steps=(step,) * 3 * copies,
        screenshots=urls * copies,
        duration=float("inf"),
        started_at=NOON,
        finished_at=NOON,
        flaky=True,
        video_url=urls[number % len(urls)],
    )


URLS = st.sampled_from([*SCRIPT_URLS, "https://cdn.example/a.png?x=(1)&y=[2]"]) | st.text()
TEXTS = st.text(max_size=300) | st.sampled_from([NASTY, hostile.MARKUP, hostile.CONTROL, hostile.CUT_EMOJI])
TIMES = st.none() | st.floats()
RUNS = st.lists(
    st.builds(
        RunResult,
        TEXTS | st.integers(),
        TEXTS,
        st.sampled_from(Phase),
        st.none() | st.sampled_from(Outcome),
        test_id=TEXTS,
        title=TEXTS,
        reason=TEXTS,
        error_code=TEXTS,
        url=URLS,
        issues=st.lists(
            st.builds(Issue, TEXTS, st.booleans(), st.none() | st.integers(), TEXTS, URLS, TEXTS), max_size=2
        ).map(tuple),
        steps=st.lists(
            st.builds(Step, TEXTS, st.booleans(), TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TIMES, TIMES), max_size=2
        ).map(tuple),
        screenshots=st.lists(URLS, max_size=2).map(tuple),
        duration=TIMES,
        started_at=st.none() | st.datetimes(),
        finished_at=st.none() | st.datetimes(timezones=st.just(UTC)),
        flaky=st.booleans(),
        video_url=URLS,
    ),
    max_size=4,
)
