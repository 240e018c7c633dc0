"""Who carries out commands for a sweep, a shipment of several models and a watch."""

from pipelines.adapters.crew.local import LocalCrew

__all__ = ["LocalCrew"]
