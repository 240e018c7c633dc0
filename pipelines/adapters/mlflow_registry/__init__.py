"""Runs, versions and their facts in MLflow, in one SQLite file below `.turnout/`.

Reading goes straight to the file with the standard library, in milliseconds: importing MLflow takes four seconds.
Writing goes through MLflow's client, which knows what belongs together.
"""

from pipelines.adapters.mlflow_registry.registry import MlflowRegistry

__all__ = ["MlflowRegistry"]
