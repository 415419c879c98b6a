"""`make bench-history`: measures the history's answers over 3,000 and 100,000 test tasks."""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from airflow_provider_testerarmy.ui import history_requests
from airflow_provider_testerarmy.ui.history_index import HistoryIndex
from tests.ui.history_database import airflow_database, client, nights, store_nights

SIZES = ((3_000, 50), (100_000, 50))
SERVER = "postgresql+psycopg2://postgres@127.0.0.1:5432/postgres"
DATABASES = {"SQLite": None, "PostgreSQL": SERVER}
REPEATS = 15
QUERIES = {
    "all": {},
    "one DAG": {"dag_id": "shop_007"},
    "failed": {"verdict": "failed"},
    "search": {"search": "test 3 of shop 11"},
    "one test": {"test": "id-Test 9 of shop 7"},
}


def main() -> int:
    """Print seconds: the first answers of a new process with and without a filter, and the median of the next."""
    columns = "".join(f"{name:>10}" for name in ("filtered", *QUERIES))
    print(f"{'database':<12}{'tasks':>9}{'first':>9}{'whole':>9}{columns}", flush=True)
    for name, url in DATABASES.items():
        for count, dags in SIZES:
            with (
                tempfile.TemporaryDirectory() as home,
                airflow_database(Path(home), url) as engine,
            ):
                store_nights(engine, nights(count, dags))
                with engine.connect() as connection:
                    connection.exec_driver_sql("ANALYZE")
                    connection.commit()
                first, whole, medians = asyncio.run(_measure(count))
                filtered = asyncio.run(_first_filtered())
                cells = "".join(f"{median:>10.3f}" for median in medians)
                print(f"{name:<12}{count:>9,}{first:>9.2f}{whole:>9.2f}{filtered:>10.2f}{cells}", flush=True)
    return 0


async def _measure(count: int) -> tuple[float, float, list[float]]:
    history_requests.index = HistoryIndex()
    with client() as asked:
        async with asked:
            begin = time.perf_counter()
            (await asked.get("/api/history")).raise_for_status()
            first = time.perf_counter() - begin
            await asyncio.to_thread(history_requests.index.wait)
            answer = await asked.get("/api/history")
            whole = time.perf_counter() - begin
            assert answer.json()["figures"]["tasks"] == count, answer.text[:400]
            medians = []
            for query in QUERIES.values():
                times = []
                for _ in range(REPEATS):
                    begin = time.perf_counter()
                    (await asked.get("/api/history", params=query)).raise_for_status()
                    times.append(time.perf_counter() - begin)
                medians.append(statistics.median(times))
    return first, whole, medians


async def _first_filtered() -> float:
    history_requests.index = HistoryIndex()
    with client() as asked:
        async with asked:
            begin = time.perf_counter()
            (await asked.get("/api/history", params=QUERIES["one test"])).raise_for_status()
            seconds = time.perf_counter() - begin
            await asyncio.to_thread(history_requests.index.wait)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
