"""What the OpenLineage specification requires of an event, and the schemas of this package's own facets."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft202012Validator

OWN = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "lineage.json").read_text())
TEXT, URI = {"type": "string"}, {"type": "string", "format": "uri", "pattern": "^https?://"}
FACET = {
    "type": "object",
    "required": ["_producer", "_schemaURL"],
    "properties": {"_producer": URI, "_schemaURL": URI},
}
FACETS = {"type": "object", "additionalProperties": FACET}
DATASET = {
    "type": "object",
    "required": ["namespace", "name"],
    "properties": {
        "namespace": TEXT,
        "name": TEXT,
        "facets": FACETS,
        "inputFacets": FACETS,
        "outputFacets": FACETS,
    },
}
DATASETS = {"type": "array", "items": DATASET}
UUID = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
#: RunEvent of the specification 2-0-2.
EVENT = Draft202012Validator(
    {
        "type": "object",
        "required": ["eventTime", "producer", "schemaURL", "run", "job"],
        "properties": {
            "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
            "eventTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"},
            "producer": URI,
            "schemaURL": URI,
            "run": {"type": "object", "required": ["runId"], "properties": {"runId": UUID, "facets": FACETS}},
            "job": {
                "type": "object",
                "required": ["namespace", "name"],
                "properties": {"namespace": TEXT, "name": TEXT, "facets": FACETS},
            },
            "inputs": DATASETS,
            "outputs": DATASETS,
        },
    }
)
#: The facet `test` of the specification, 1-0-1.
TEST = Draft202012Validator(
    {
        "type": "object",
        "required": ["_producer", "_schemaURL", "tests"],
        "properties": {
            "tests": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name", "status"],
                    "properties": {
                        "name": TEXT,
                        "status": {"enum": ["pass", "fail", "skip"]},
                        "severity": {"enum": ["error", "warn"]},
                        **dict.fromkeys(("type", "description", "expected", "actual", "content"), TEXT),
                        "params": {"type": "object"},
                    },
                    "additionalProperties": False,
                },
            }
        },
    }
)


def own(name):
    """The validator of a facet of this package."""
    return Draft202012Validator({**OWN, "$ref": f"#/$defs/{name}"})


def check(event):
    """Validate an event with its facets.

    :raises jsonschema.ValidationError: if it is not valid.
    """
    EVENT.validate(event)
    run, job = event["run"].get("facets", {}), event["job"].get("facets", {})
    if "test" in run:
        TEST.validate(run["test"])
    if "testerarmy_verdict" in run:
        own("TestVerdictRunFacet").validate(run["testerarmy_verdict"])
    if "testerarmy_target" in job:
        own("TestTargetJobFacet").validate(job["testerarmy_target"])
