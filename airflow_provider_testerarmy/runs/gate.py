"""The documented import path of the quality gate, which is defined in ``runs/verdict/gate.py``."""

from airflow_provider_testerarmy.runs.verdict.gate import GateInvalid, QualityGate, Verdict, VerdictKind

__all__ = ["GateInvalid", "QualityGate", "Verdict", "VerdictKind"]
