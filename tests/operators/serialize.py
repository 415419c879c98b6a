"""Prints a digest of each serialized DAG, one per form of a gate and way to map a task."""

from __future__ import annotations

import hashlib
import json
from itertools import product

from airflow.providers.common.compat.sdk import DAG
from airflow.serialization import serialized_objects

from airflow_provider_testerarmy.decorators.testerarmy import task_testerarmy
from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunTestOperator
from airflow_provider_testerarmy.runs.gate import QualityGate
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor

TEST = "20000000-0000-4000-8000-000000000001"
IDS = {f"20000000-0000-4000-8000-00000000000{n}" for n in range(9)}

GATES = {
    "model": QualityGate(non_blocking_tests=frozenset(IDS)),
    "dict with a set": {"non_blocking_tests": IDS, "min_pass_rate": 0.9},
    "dict with a frozenset": {"non_blocking_tests": frozenset(IDS)},
    "dict with a tuple": {"non_blocking_tests": tuple(sorted(IDS))},
}


def plain(gate):
    TesterArmyRunTestOperator(task_id="tests", test_id=TEST, gate=gate)


def partial(gate):
    TesterArmyRunTestOperator.partial(task_id="tests", gate=gate).expand(test_id=[TEST, TEST])


def expand(gate):
    TesterArmyRunTestOperator.partial(task_id="tests", test_id=TEST).expand(gate=[gate])


def expand_kwargs(gate):
    TesterArmyRunTestOperator.partial(task_id="tests").expand_kwargs([{"test_id": TEST, "gate": gate}])


def sensor(gate):
    TesterArmyRunSensor(task_id="tests", run_ids=frozenset(IDS), gate=gate, report_path={"b.md", "a.xml"})


def mapped_sensor(gate):
    TesterArmyRunSensor.partial(task_id="tests", run_ids=IDS).expand(gate=[gate])


def docket(gate):
    DocketRunTestsOperator(task_id="tests", test_blueprint_ids=frozenset(range(180, 190)), gate=gate)


def mapped_docket(gate):
    ids = frozenset(map(str, range(180, 190)))
    DocketRunTestsOperator.partial(task_id="tests", gate=gate, test_blueprint_ids=ids).expand(
        poll_interval=[5]
    )


def decorated(gate):
    task_testerarmy(gate=gate)(of_test)(TEST)


def mapped_decorated(gate):
    task_testerarmy(gate=gate)(of_test).expand(test_id=[TEST, TEST])


def of_test(test_id):
    return test_id


WAYS = (
    plain,
    partial,
    expand,
    expand_kwargs,
    sensor,
    mapped_sensor,
    docket,
    mapped_docket,
    decorated,
    mapped_decorated,
)


def main():
    serializer = getattr(serialized_objects, "DagSerialization", serialized_objects.SerializedDAG)
    for (name, gate), way in product(GATES.items(), WAYS):
        with DAG("stable", schedule=None) as dag:
            way(gate)
        text = json.dumps(serializer.to_dict(dag), sort_keys=True)
        print("DAG", name, way.__name__, hashlib.sha256(text.encode()).hexdigest(), sep="\t")


if __name__ == "__main__":
    main()
