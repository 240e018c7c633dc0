"""Makes Grafana's dashboards of the panels, by its typed builders."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from pipelines.errors import MissingExtra
from pipelines.local.prometheus.panels import Board, Chart

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders import stat, timeseries

    _P = TypeVar("_P", stat.Panel, timeseries.Panel)

WIDTH = 24
"""Of Grafana's grid."""


def dashboard_json(board: Board, datasource: str) -> str:
    """One dashboard as Grafana reads it.

    Args:
        board: What it shows.
        datasource: The id of the data source.

    Raises:
        MissingExtra: the builders are not installed.
    """
    try:
        from grafana_foundation_sdk.builders import dashboard
        from grafana_foundation_sdk.cog.encoder import JSONEncoder
        from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableRefresh, VariableSort
    except ImportError as error:
        raise MissingExtra.of("monitoring", "grafana_foundation_sdk", "making dashboards") from error
    source = DataSourceRef(type_val="prometheus", uid=datasource)
    made = (
        dashboard.Dashboard(board.title)
        .uid(f"turnout-{board.name}")
        .tags(["turnout"])
        .refresh("10s")
        .time("now-30m", "now")
        .readonly()
    )
    if board.by_model:
        made = made.with_variable(
            dashboard.QueryVariable("model")
            .label("Model")
            .query("label_values(turnout_model_phase, model)")
            .datasource(source)
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(VariableSort.ALPHABETICAL_ASC)
        )
    ids = count(1)
    for title, charts in board.rows:
        made = made.with_row(dashboard.Row(title).id(next(ids)))
        for chart in charts:
            made = made.with_panel(_panel(chart, source).id(next(ids)))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build())


def _panel(chart: Chart, source: Any) -> stat.Panel | timeseries.Panel:
    from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
    from grafana_foundation_sdk.models.common import LegendPlacement

    query = prometheus.Dataquery().expr(chart.query).legend_format(chart.legend).datasource(source).ref_id("A")
    if chart.is_number:
        number = stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        return _about(number, chart, source).span(WIDTH // 6).height(4).with_target(query)
    line = timeseries.Panel().legend(common.VizLegendOptions().placement(LegendPlacement.BOTTOM))
    return _about(line, chart, source).span(WIDTH // 3).height(8).with_target(query)


def _about(panel: _P, chart: Chart, source: Any) -> _P:
    return panel.title(chart.title).description(chart.says).datasource(source).unit(chart.unit)
