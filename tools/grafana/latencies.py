"""Safety latencies: how fast stops are, how much permission is left, what the machinery loses. For engineers."""

from grafana_foundation_sdk.builders import dashboard as build

from tools.grafana import pieces as p

ROOM = 'room=~"$room"'
STOPS = "stimfleet_stop_latency_seconds"
NOT_KEPT = 'what=~"lost|missed|unreadable|dead_lettered"'
MARGIN = "stimfleet_lease_margin_seconds"


def safety_latencies() -> build.Dashboard:
    board = p.new_dashboard(
        "latencies",
        "Safety latencies",
        "How long a stop takes to measured zero, and how thin permission gets. By the fleet service's own clock.",
        "24h",
    )
    board.with_variable(p.from_prometheus("room", "Room", "label_values(stimfleet_devices, room)"))
    _stops(board)
    _permission(board)
    _machinery(board)
    return board


def _quantile(quantile: float, histogram: str, window: str, by: str, where: str = "") -> str:
    """Nothing, and not 0, where nothing was counted."""
    counted = f"sum by ({by}) (increase({histogram}_count{where}[{window}])) > 0"
    buckets = f"sum by ({by}, le) (increase({histogram}_bucket{where}[{window}]))"
    return f"histogram_quantile({quantile}, {buckets}) and {counted}"


def _stops(board: build.Dashboard) -> None:
    board.with_row(p.row("Stops, over the chosen time"))
    count = p.figure(
        "Stops to zero",
        "Stops that ended with zero current measured, per device, in the chosen time.",
        p.now(f'sum(increase({STOPS}_count{{phase="sent_to_zero"}}[$__range]))'),
    )
    board.with_panel(count.decimals(0).thresholds(p.bands((None, p.BLUE))))
    for title, phase, yellow, red in (
        ("Cause to sent, p99", "cause_to_sent", 0.25, 1.0),
        ("Sent to received, p99", "sent_to_received", 0.5, 1.0),
        ("Sent to zero, p99", "sent_to_zero", 1.5, 2.5),
    ):
        latency = p.figure(
            title,
            "99 of 100 stops were faster. Zero is measured, not assumed; a soft cause ramps down for a second first.",
            p.now(_quantile(0.99, STOPS, "$__range", "phase", f'{{phase="{phase}"}}')),
            unit="s",
            no_value="no stop",
        )
        board.with_panel(latency.thresholds(p.bands((None, p.GREEN), (yellow, p.YELLOW), (red, p.RED))))
    open_now = p.figure(
        "Stops open",
        "Stops with a device on which zero has not been measured yet, at this moment.",
        p.now("stimfleet_stops_open"),
    )
    board.with_panel(open_now.thresholds(p.bands((None, p.GREEN), (1, p.YELLOW))))
    unconfirmed = p.figure(
        "Zero not confirmed",
        "Devices that somebody has to switch off at the wall, at this moment.",
        p.now("stimfleet_stops_unconfirmed"),
    )
    board.with_panel(unconfirmed.thresholds(p.bands((None, p.GREEN), (1, p.RED))))
    trend = p.lines(
        "Stop latency of the day before",
        "Each point: the stops of the 24 hours before it. No line: there was none.",
        p.over_time("phase:stimfleet_stop_latency_seconds:p99_1d", "{{phase}} p99"),
        p.over_time("phase:stimfleet_stop_latency_seconds:p50_1d", "{{phase}} p50", ref_id="B"),
        unit="s",
        span=24,
    )
    board.with_panel(p.limited(trend.min(0), (None, p.GREEN), (2.5, p.RED)))


def _permission(board: build.Dashboard) -> None:
    board.with_row(p.row("Permission"))
    margin = p.lines(
        "Permission left, one sample in a hundred",
        "A lease is 5 s unless the clinic set another. At 0 s a session ends. No line: nobody was treated.",
        p.over_time(f"room:stimfleet_lease_margin_seconds:p01_5m{{{ROOM}}}", "{{room}}"),
        unit="s",
    )
    board.with_panel(p.limited(margin.min(0), (None, p.RED), (2, p.YELLOW), (3.5, p.GREEN)))
    usual = p.lines(
        "Permission left, usually",
        "The median: half of the samples had more.",
        p.over_time(_quantile(0.5, MARGIN, "5m", "room", f"{{{ROOM}}}"), "{{room}}"),
        unit="s",
    )
    board.with_panel(usual.min(0))
    missed = p.lines(
        "Samples that do not come live",
        "Of five minutes. Above 5 % sessions begin to end for it.",
        p.over_time(f"room:stimfleet_samples_missed:ratio_rate5m{{{ROOM}}}", "{{room}}"),
        unit="percentunit",
    )
    board.with_panel(p.limited(missed.min(0), (None, p.GREEN), (0.01, p.YELLOW), (0.05, p.RED)))
    leases = p.lines(
        "Samples and leases per second",
        "Every sample in a session inside all limits is answered with a lease.",
        p.over_time(f"sum(rate(stimfleet_samples_total{{{ROOM}}}[$__rate_interval]))", "samples"),
        p.over_time(f"sum(rate(stimfleet_leases_total{{{ROOM}}}[$__rate_interval]))", "leases", ref_id="B"),
        unit="cps",
    )
    board.with_panel(leases.min(0))


def _machinery(board: build.Dashboard) -> None:
    board.with_row(p.row("Machinery"))
    queues = p.lines(
        "Waiting",
        "Messages to decide on, messages that the broker has not acknowledged, rows not on disk. Near 0 always.",
        p.over_time("stimfleet_inbox_items", "inbox"),
        p.over_time("stimfleet_outbox_messages", "outbox", ref_id="B"),
        p.over_time("stimfleet_journal_lag_rows", "journal", ref_id="C"),
    )
    board.with_panel(queues.min(0).decimals(0))
    lag = p.lines(
        "Journal behind",
        "Age of the oldest row that is not on disk. Above half a second authorisations and receipts are late.",
        p.over_time("stimfleet_journal_lag_seconds", "journal"),
        unit="s",
    )
    board.with_panel(p.limited(lag.min(0), (None, p.GREEN), (0.5, p.YELLOW)))
    lost = p.lines(
        "Connections lost per hour",
        "echo: what was sent did not come back. closed: by broker or network. unreachable: no broker.",
        p.over_time("sum by (why) (increase(stimfleet_connections_lost_total[1h]))", "{{why}}"),
    )
    board.with_panel(p.bars(lost).decimals(0).min(0).interval("1h"))
    refused = p.lines(
        "Refused messages per hour",
        "What came in and was not believed or not of use: forged, malformed, replayed, late. A09 says which device.",
        p.over_time("sum by (channel, reason) (increase(stimfleet_refused_total[1h])) > 0", "{{channel}} {{reason}}"),
    )
    board.with_panel(p.bars(refused).decimals(0).min(0).interval("1h"))
    kept = p.lines(
        "Samples that are not kept",
        "By the feed: a reader was too slow. By the recorder: no room, unreadable, or called unfit by the store.",
        p.over_time("increase(stimfleet_feed_missed_total[1h])", "feed"),
        p.over_time(
            f"sum by (what) (increase(stimfleet_recorder_samples_total{{{NOT_KEPT}}}[1h]))",
            "recorder {{what}}",
            ref_id="B",
        ),
    )
    board.with_panel(p.bars(kept).decimals(0).min(0).interval("1h"))
    waits = p.lines(
        "Samples that wait for the store",
        "In memory and on disk. On disk they wait because the store takes nothing.",
        p.over_time("stimfleet_recorder_waiting_samples", "{{where}}"),
    )
    board.with_panel(waits.decimals(0).min(0))
