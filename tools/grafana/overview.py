"""Clinic overview: is everything there, where is treated, what is wrong, how was the week. For managers."""

from grafana_foundation_sdk.builders import dashboard as build

from tools.grafana import pieces as p

ROOM = 'room=~"$room"'


def clinic_overview() -> build.Dashboard:
    board = p.new_dashboard("overview", "Clinic overview", "All rooms of one site at a glance.", "12h")
    board.with_variable(p.from_prometheus("room", "Room", "label_values(stimfleet_devices, room)"))
    _now(board)
    _rooms(board)
    _counted(board)
    return board


def _now(board: build.Dashboard) -> None:
    board.with_row(p.row("Now"))
    connected = p.figure(
        "Fleet service",
        "Whether the fleet service answers, and has its broker. Without either nobody is treated.",
        p.now('min(stimfleet_connected or up{job="stimfleet", process="fleet"})'),
        no_value="NOT ASKED",
    )
    board.with_panel(
        connected.mappings([p.words(_1=("leads", p.GREEN), _0=("NOBODY IS TREATED", p.RED))]).thresholds(
            p.bands((None, p.RED), (1, p.GREEN))
        )
    )
    heard = p.figure(
        "Devices not heard",
        "Devices of the registry in the chosen rooms without a fresh sample. Switched off ones are among them.",
        p.now(f'sum(stimfleet_devices{{presence!="fresh", {ROOM}}})'),
    )
    board.with_panel(heard.thresholds(p.bands((None, p.GREEN), (1, p.YELLOW))))
    running = p.figure(
        "Sessions running",
        "In the chosen rooms, at this moment.",
        p.now(f'sum(stimfleet_sessions{{state="running", {ROOM}}})'),
    )
    board.with_panel(running.thresholds(p.bands((None, p.BLUE))))
    for title, priority, colour in (("High alarms", "high", p.RED), ("Medium alarms", "medium", p.YELLOW)):
        alarms = p.figure(
            title,
            "Open at this moment in the whole site. Who is told, and what to do, is the page's and the pager's: "
            "this figure may be half a minute old.",
            p.now(f'sum(stimfleet_alarms{{priority="{priority}"}})'),
        )
        board.with_panel(alarms.thresholds(p.bands((None, p.GREEN), (1, colour))))
    unconfirmed = p.figure(
        "Zero not confirmed",
        "Devices on which a stop has not led to measured zero in its time: switch them off at the wall.",
        p.now("stimfleet_stops_unconfirmed"),
    )
    board.with_panel(unconfirmed.thresholds(p.bands((None, p.GREEN), (1, p.RED))))


def _rooms(board: build.Dashboard) -> None:
    board.with_row(p.row("Rooms"))
    queries = [
        p.as_table(f"sum by (room) (stimfleet_devices{{{ROOM}}})", "A"),
        p.as_table(f"room:stimfleet_devices:fresh{{{ROOM}}}", "B"),
        p.as_table(f"room:stimfleet_sessions:running{{{ROOM}}}", "C"),
        p.as_table(f"room:stimfleet_samples_missed:ratio_rate5m{{{ROOM}}}", "D"),
        p.as_table(f"room:stimfleet_lease_margin_seconds:p01_5m{{{ROOM}}}", "E"),
    ]
    table = p.rows(
        "Rooms",
        "Missing: samples of the last five minutes that did not come live. Margin: what one sample in a hundred had "
        "less than of permission, of usually more than 4 s; '-' where nobody was treated in these five minutes.",
        p.PROMETHEUS,
        queries,
    )
    names = {
        "room": "Room",
        "Value #A": "Devices",
        "Value #B": "Heard",
        "Value #C": "Running",
        "Value #D": "Missing",
        "Value #E": "Margin",
    }
    p.in_one_row(table, "room", names)
    for name in ("Devices", "Heard", "Running"):
        p.column(table, name, "short", decimals=0)
    p.column(table, "Missing", "percentunit", (None, p.GREEN), (0.01, p.YELLOW), (0.05, p.RED), decimals=2)
    p.column(table, "Margin", "s", (None, p.RED), (2, p.YELLOW), (3.5, p.GREEN), decimals=2)
    board.with_panel(table)
    running = p.lines(
        "Sessions running",
        "By room. A stacked bar: its height is the whole site's.",
        p.over_time(f'sum by (room) (stimfleet_sessions{{state="running", {ROOM}}})', "{{room}}"),
    )
    board.with_panel(p.bars(running).decimals(0).min(0))
    away = p.lines(
        "Devices not heard",
        "By room. All of a room at once is its access point, its power or its end of work.",
        p.over_time(f'sum by (room) (stimfleet_devices{{presence!="fresh", {ROOM}}})', "{{room}}"),
    )
    board.with_panel(away.decimals(0).min(0))


def _counted(board: build.Dashboard) -> None:
    board.with_row(p.row("What happened (whole site, per hour and per day)"))
    kinds = 'kind=~"SessionAuthorised|SessionRefused|SessionEnded|SessionLost"'
    sessions = p.lines(
        "Sessions per hour",
        "Authorised, refused, ended, and lost (the agent gone). A bar is the hour before it.",
        p.over_time(f"sum by (kind) (increase(stimfleet_events_total{{{kinds}}}[1h]))", "{{kind}}"),
    )
    board.with_panel(p.bars(sessions).decimals(0).min(0).interval("1h"))
    alarms = p.lines(
        "Alarms raised per device and day",
        "Of every code. Above 1 nobody looks any more: find the noisiest condition on the page and mend its cause.",
        p.over_time(
            'sum(increase(stimfleet_events_total{kind="AlarmRaised"}[1d])) / (sum(stimfleet_devices) > 0)', "alarms"
        ),
    )
    board.with_panel(p.limited(alarms.decimals(2).min(0), (None, p.GREEN), (1, p.YELLOW)))
    stops = p.lines(
        "Stops per hour",
        "Ordered by people and by rules, confirmed at zero, and not confirmed in time.",
        p.over_time(
            'sum by (kind) (increase(stimfleet_events_total{kind=~"StopOrdered|StopConfirmed|StopUnconfirmed"}[1h]))',
            "{{kind}}",
        ),
    )
    board.with_panel(p.bars(stops).decimals(0).min(0).interval("1h"))
    lost = p.lines(
        "Devices lost and back per hour",
        "A device that comes and goes has a bad network or a bad supply.",
        p.over_time(
            'sum by (kind) (increase(stimfleet_events_total{kind=~"DeviceLost|DeviceReturned"}[1h]))', "{{kind}}"
        ),
    )
    board.with_panel(p.bars(lost).decimals(0).min(0).interval("1h"))
