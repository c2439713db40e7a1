"""What the dashboards have in common: where figures come from, how panels look, what colours mean.

Green: as it should be. Yellow: look at it today. Red: now. No value is grey and says why: a series that is not there is
never shown as 0, and lines break where nothing was heard.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog import builder as cog
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PROMETHEUS = model.DataSourceRef(type_val="prometheus", uid="stimfleet-prometheus")
SAMPLES = model.DataSourceRef(type_val="influxdb", uid="stimfleet-samples")
GREEN, YELLOW, RED, GREY, BLUE = "green", "yellow", "red", "text", "blue"
IDLE_PERIOD = "20s"  # a device at rest says something every 10 s at most: what is finer would show gaps that are none

Panel = TypeVar("Panel", stat.Panel, table.Panel, timeseries.Panel)


class Influx(variants.Dataquery):
    """A query in InfluxQL as it is typed; Grafana's SDK has no type for it."""

    def __init__(self, ref_id: str, query: str, alias: str, form: str) -> None:
        self._said = {
            "refId": ref_id,
            "datasource": SAMPLES,
            "query": query,
            "rawQuery": True,
            "alias": alias,
            "resultFormat": form,
        }

    def to_json(self) -> dict[str, object]:
        return self._said


class InfluxBuilder(cog.Builder[variants.Dataquery]):
    """As the SDK wants to be handed a query."""

    def __init__(self, query: Influx) -> None:
        self._query = query

    def build(self) -> variants.Dataquery:
        return self._query


def influx(query: str, alias: str = "", ref_id: str = "A", form: str = "time_series") -> InfluxBuilder:
    return InfluxBuilder(Influx(ref_id, query, alias, form))


def over_time(expression: str, legend: str = "", ref_id: str = "A") -> prometheus.Dataquery:
    """A line, or several."""
    return prometheus.Dataquery().expr(expression).legend_format(legend or "__auto").ref_id(ref_id).range()


def now(expression: str, legend: str = "", ref_id: str = "A") -> prometheus.Dataquery:
    """The value at the end of the time that is looked at."""
    return prometheus.Dataquery().expr(expression).legend_format(legend or "__auto").ref_id(ref_id).instant()


def as_table(expression: str, ref_id: str) -> prometheus.Dataquery:
    return now(expression, ref_id=ref_id).format(PromQueryFormat.TABLE)


def bands(*steps: tuple[float | None, str]) -> build.ThresholdsConfig:
    """Colours from their values upward; the first is for everything below."""
    thresholds = [model.Threshold(value, colour) for value, colour in steps]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(thresholds)


def words(**of: tuple[str, str]) -> model.ValueMap:
    """What a value is called, and its colour: `words(_1=("connected", GREEN))`."""
    return model.ValueMap(
        {
            value.removeprefix("_"): model.ValueMappingResult(text, colour, index=n)
            for n, (value, (text, colour)) in enumerate(of.items())
        }
    )


def figure(title: str, says: str, query: Any, *, unit: str = "short", no_value: str = "no data") -> stat.Panel:
    """One large number."""
    panel = stat.Panel().title(title).description(says).datasource(PROMETHEUS).with_target(query)
    panel.unit(unit).no_value(no_value).height(4).span(4)
    panel.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.graph_mode(common.BigValueGraphMode.NONE).color_mode(common.BigValueColorMode.BACKGROUND)
    return panel.color_scheme(_by_thresholds())


def lines(
    title: str,
    says: str,
    *queries: Any,
    source: model.DataSourceRef = PROMETHEUS,
    unit: str = "short",
    span: int = 12,
) -> timeseries.Panel:
    """Lines over time. Where nothing was heard they break."""
    panel = timeseries.Panel().title(title).description(says).datasource(source).targets(list(queries))
    panel.unit(unit).height(8).span(span).no_value("nothing was heard in this time")
    panel.span_nulls(False).insert_nulls(False).show_points(common.VisibilityMode.AUTO)
    panel.line_width(1).fill_opacity(0)
    panel.legend(
        common_builders.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["min", "max", "lastNotNull"])
    )
    panel.tooltip(
        common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    )
    return panel


def limited(panel: timeseries.Panel, *steps: tuple[float | None, str]) -> timeseries.Panel:
    """With the limits drawn across."""
    style = common_builders.GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.DASHED)
    return panel.thresholds(bands(*steps)).thresholds_style(style)


def bars(panel: timeseries.Panel) -> timeseries.Panel:
    """Stacked bars: for what is counted."""
    stacked = common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A")
    return panel.draw_style(common.GraphDrawStyle.BARS).fill_opacity(70).stacking(stacked)


def rows(title: str, says: str, source: model.DataSourceRef, queries: Iterable[Any], span: int = 24) -> table.Panel:
    """A table."""
    panel = table.Panel().title(title).description(says).datasource(source).targets(list(queries))
    return panel.height(8).span(span).no_value("nothing was heard in this time")


def column(
    panel: table.Panel, name: str, unit: str, *steps: tuple[float | None, str], decimals: int = 1
) -> table.Panel:
    """How a column is written, and from which value on it is coloured."""
    said: list[model.DynamicConfigValue] = [
        model.DynamicConfigValue(id_val="unit", value=unit),
        model.DynamicConfigValue(id_val="decimals", value=decimals),
        model.DynamicConfigValue(id_val="noValue", value="-"),
    ]
    if steps:
        coloured = [{"value": value, "color": colour} for value, colour in steps]
        said.append(model.DynamicConfigValue(id_val="thresholds", value={"mode": "absolute", "steps": coloured}))
        said.append(model.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}))
    return panel.override_by_name(name, said)


def in_one_row(panel: table.Panel, by: str, names: dict[str, str], hidden: Sequence[str] = ()) -> table.Panel:
    """Several queries as columns of one table, by a label; `names` from what Grafana calls them, in order."""
    order = {name: n for n, name in enumerate(names)}
    panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    organised = {
        "excludeByName": dict.fromkeys(("Time", *hidden), True),
        "indexByName": order,
        "renameByName": {old: new for old, new in names.items() if old != new},
    }
    return panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=organised))


def from_prometheus(name: str, label: str, query: str) -> build.QueryVariable:
    """A choice among the values of a label; several, or all."""
    variable = build.QueryVariable(name).label(label).datasource(PROMETHEUS)
    variable.query({"query": query, "refId": "variable"})
    variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)
    return variable.multi(True).include_all(True).all_value(".+")


def from_samples(name: str, label: str, query: str) -> build.QueryVariable:
    """A choice among the values of a tag."""
    variable = build.QueryVariable(name).label(label).datasource(SAMPLES).query(query)
    return variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)


def new_dashboard(uid: str, title: str, says: str, since: str) -> build.Dashboard:
    dashboard = build.Dashboard(title).uid(f"stimfleet-{uid}").description(says).tags(["stimfleet"]).readonly()
    dashboard.time(f"now-{since}", "now").timezone("browser").refresh("30s")
    others = build.DashboardLink("StimFleet").type(model.DashboardLinkType.DASHBOARDS).tags(["stimfleet"])
    return dashboard.link(others.as_dropdown(False).keep_time(True)).tooltip(model.DashboardCursorSync.CROSSHAIR)


def row(title: str) -> build.Row:
    return build.Row(title)


def _by_thresholds() -> build.FieldColor:
    return build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS)
