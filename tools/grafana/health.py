"""Device health: battery, pads, temperature, link of every device, over months. For whoever looks after the devices."""

from grafana_foundation_sdk.builders import dashboard as build

from tools.grafana import pieces as p

# Names in a query are Grafana's to fill in, from the store's own tags; nothing here is typed by anybody else.
# ruff: noqa: S608
OF_DEVICE = '"device" =~ /^${device:regex}$/ AND $timeFilter'


def device_health() -> build.Dashboard:
    board = p.new_dashboard(
        "health", "Device health", "Every sample that the recorder kept. A gap is where nothing was heard.", "7d"
    )
    devices = p.from_samples("device", "Device", 'SHOW TAG VALUES FROM "sample" WITH KEY = "device"')
    board.with_variable(devices.multi(True).include_all(True).all_value(".+"))
    _all_devices(board)
    _power(board)
    _pads(board)
    _link(board)
    return board


def _all_devices(board: build.Dashboard) -> None:
    board.with_row(p.row("All devices, over the chosen time"))
    query = (
        'SELECT last("battery_pct") AS "Battery", min("battery_pct") AS "Battery, lowest", max("temperature_c") AS '
        '"Temperature, highest", mean("impedance_ohm") AS "Impedance, mean", min("lease_margin_s") AS "Margin, least", '
        'count("seq") AS "Samples", sum("late") AS "Late" '
        f'FROM "sample" WHERE {OF_DEVICE} GROUP BY "device"'
    )
    table = p.rows(
        "Devices",
        "Late: sent after a link came back. Margin: permission that was left at a sample; only in sessions.",
        p.SAMPLES,
        [p.influx(query, form="table")],
    )
    p.in_one_row(table, "device", {"device": "Device"}, hidden=["time"])
    p.column(table, "Battery", "percent", (None, p.RED), (10, p.YELLOW), (20, p.GREEN), decimals=0)
    p.column(table, "Battery, lowest", "percent", (None, p.RED), (10, p.YELLOW), (20, p.GREEN), decimals=0)
    p.column(table, "Temperature, highest", "celsius")
    p.column(
        table, "Impedance, mean", "ohm", (None, p.RED), (150, p.GREEN), (3000, p.YELLOW), (5000, p.RED), decimals=0
    )
    p.column(table, "Margin, least", "s", (None, p.RED), (2, p.YELLOW), (3.5, p.GREEN), decimals=2)
    p.column(table, "Samples", "short", decimals=0)
    p.column(table, "Late", "short", (None, p.GREEN), (1, p.YELLOW), decimals=0)
    board.with_panel(table)


def _of(reading: str, where: str = "") -> str:
    """A reading over time, a line a device; `fill(null)` leaves a gap where there was none."""
    return f'SELECT {reading} FROM "sample" WHERE {OF_DEVICE}{where} GROUP BY time($__interval), "device" fill(null)'


def _power(board: build.Dashboard) -> None:
    board.with_row(p.row("Power and temperature"))
    battery = p.lines(
        "Battery",
        "The lowest reading of each interval. Below 20 % no session is started, below 5 % one ends.",
        p.influx(_of('min("battery_pct")'), "$tag_device"),
        source=p.SAMPLES,
        unit="percent",
    )
    board.with_panel(
        p.limited(battery.min(0).max(100).interval(p.IDLE_PERIOD), (None, p.RED), (5, p.YELLOW), (20, p.GREEN))
    )
    temperature = p.lines(
        "Temperature",
        "The highest reading of each interval, as the stimulator measures itself.",
        p.influx(_of('max("temperature_c")'), "$tag_device"),
        source=p.SAMPLES,
        unit="celsius",
    )
    board.with_panel(temperature.interval(p.IDLE_PERIOD))


def _pads(board: build.Dashboard) -> None:
    board.with_row(p.row("Pads and output, in sessions"))
    running = " AND \"phase\" = 'running'"
    impedance = p.lines(
        "Impedance",
        "Mean of each interval while a session ran. It rises as pads dry: above 3000 ohm they are degraded, above "
        "5000 the session pauses. A device whose line rises over weeks needs new leads or pads.",
        p.influx(_of('mean("impedance_ohm")', running), "$tag_device"),
        source=p.SAMPLES,
        unit="ohm",
    )
    board.with_panel(
        p.limited(impedance.min(0).interval("1m"), (None, p.RED), (150, p.GREEN), (3000, p.YELLOW), (5000, p.RED))
    )
    output = p.lines(
        "Output",
        "The highest measured peak of each interval, and the highest setting (dashed).",
        p.influx(_of('max("amplitude_ma")'), "$tag_device measured"),
        p.influx(_of('max("setting_ma")'), "$tag_device set", ref_id="B"),
        source=p.SAMPLES,
        unit="mA",
    )
    board.with_panel(output.unit("suffix: mA").min(0).interval(p.IDLE_PERIOD))


def _link(board: build.Dashboard) -> None:
    board.with_row(p.row("Link"))
    margin = p.lines(
        "Least permission left",
        "The least of each interval; at 0 s a session ends. Only while a session is on.",
        p.influx(_of('min("lease_margin_s")'), "$tag_device"),
        source=p.SAMPLES,
        unit="s",
    )
    board.with_panel(p.limited(margin.min(0).interval(p.IDLE_PERIOD), (None, p.RED), (2, p.YELLOW), (3.5, p.GREEN)))
    missing = (
        'SELECT sum("missing") FROM (SELECT max("seq") - min("seq") + 1 - count("seq") AS "missing" FROM "sample" '
        f'WHERE {OF_DEVICE} GROUP BY time($__interval), "device", "boot_n" fill(none)) '
        'WHERE $timeFilter GROUP BY time($__interval), "device" fill(null)'
    )
    late = _of('sum("late")')
    lost = p.lines(
        "Samples that are missing, or came late",
        "Missing: never came, by their count within each interval (those at its edges are not counted). Late: sent "
        "after a link came back; they are in the charts and paged nobody.",
        p.influx(missing, "$tag_device missing"),
        p.influx(late, "$tag_device late", ref_id="B"),
        source=p.SAMPLES,
    )
    board.with_panel(p.bars(lost).decimals(0).min(0).interval("1m"))
    per_minute = (
        f'SELECT mean("n") FROM (SELECT count("seq") AS "n" FROM "sample" WHERE {OF_DEVICE} '
        'GROUP BY time(1m), "device" fill(none)) WHERE $timeFilter GROUP BY time($__interval), "device" fill(null)'
    )
    heard = p.lines(
        "Samples per minute",
        "12 at rest, 120 in a session, unless the clinic set other periods. No line: nothing was heard.",
        p.influx(per_minute, "$tag_device"),
        source=p.SAMPLES,
        span=24,
    )
    board.with_panel(heard.decimals(0).min(0).interval("1m"))
