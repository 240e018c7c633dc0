"""Results as text, HTML and JSON; nothing here reads, writes or knows a widget."""

from pipelines.views.alerts import AlertsTestView, AlertsView
from pipelines.views.base import View
from pipelines.views.caching import CacheView, ExplainView, VerifyView
from pipelines.views.compare import CompareView
from pipelines.views.diff import DiffView
from pipelines.views.doctor import DoctorView
from pipelines.views.drift import DriftView
from pipelines.views.fleet import ShipAllView
from pipelines.views.history import HistoryView
from pipelines.views.init import InitView
from pipelines.views.labels import LabelsView
from pipelines.views.lists import PruneView, VersionsView
from pipelines.views.logs import LogSummaryView, LogsView
from pipelines.views.monitor import MonitorView
from pipelines.views.monitoring import MonitoringView
from pipelines.views.problems import ErrorView
from pipelines.views.rollout import RolloutView
from pipelines.views.running import DeploymentView, DownView, PlanView, StatusView, UpView
from pipelines.views.service_code import ServiceCodeView
from pipelines.views.stages import ChecksView, PackageView, ReportView, ShipView, TrainView, VersionView
from pipelines.views.sweep import SweepBoard, SweepView
from pipelines.views.testing import NotebookTestsView
from pipelines.views.watching import WatchEventView, WatchView

__all__ = [
    "AlertsTestView",
    "AlertsView",
    "CacheView",
    "ChecksView",
    "CompareView",
    "DeploymentView",
    "DiffView",
    "DoctorView",
    "DownView",
    "DriftView",
    "ErrorView",
    "ExplainView",
    "HistoryView",
    "InitView",
    "LabelsView",
    "LogSummaryView",
    "LogsView",
    "MonitorView",
    "MonitoringView",
    "NotebookTestsView",
    "PackageView",
    "PlanView",
    "PruneView",
    "ReportView",
    "RolloutView",
    "ServiceCodeView",
    "ShipAllView",
    "ShipView",
    "StatusView",
    "SweepBoard",
    "SweepView",
    "TrainView",
    "UpView",
    "VerifyView",
    "VersionView",
    "VersionsView",
    "View",
    "WatchEventView",
    "WatchView",
]
