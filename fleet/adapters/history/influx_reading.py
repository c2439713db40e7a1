"""InfluxDB, read in InfluxQL over `/query`, which its versions 1.8, 2 and 3 all answer.

Names stand in a query as they are: they are the wire's, which have nothing in them that a query could end with.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp

from fleet.adapters.history.folding import (
    GROUP_MS,
    HOUR_MS,
    LOOK_BACK_MS,
    MINUTE_MS,
    Span,
    Summary,
    rollups,
    whole_spans,
)
from fleet.adapters.history.lines import FIELDS, NS_OF_MS, SAMPLE, SESSION_MINUTE, columns_of
from fleet.adapters.history.port import (
    QUANTITIES,
    ROWS_MAX,
    HistoryRefuses,
    Resolution,
    Rollup,
    TooManySamples,
    Trace,
    device_name,
    gaps_between,
    session_name,
)

ANSWER_S_MAX = 30.0
AT_ONCE_MS = 7 * 24 * HOUR_MS  # rolled up in one query: it reads every point
_SELECTED = ", ".join(f'"{name}"' for name in ("boot_n", *FIELDS))
_SUMMED = 'min("seq"), max("seq"), count("seq"), sum("late"), ' + ", ".join(
    f'{part}("{name}")' for name in QUANTITIES for part in ("count", "sum", "min", "max")
)

MEANING = {
    401: "the token is not accepted",
    403: "the token may not do that",
    404: "there is no such bucket",
    413: "a proxy before it takes no request of that size",
}
"""What a status is a sign of, where the words of the store do not say it."""


@dataclass(frozen=True, slots=True)
class Where:
    """An InfluxDB: `token` is None where it asks for none."""

    url: str
    org: str
    bucket: str
    token: str | None = field(default=None, repr=False)


class InfluxReader:
    """A `HistoryReader` of one bucket. `zone`: the clinic's."""

    def __init__(self, where: Where, zone: ZoneInfo, rows_max: int = ROWS_MAX) -> None:
        self._where = where
        self._zone = zone
        self._rows_max = rows_max
        self._session: aiohttp.ClientSession | None = None

    async def trace(self, device: str, session_id: str) -> Trace:
        named = f"\"device\" = '{device_name(device)}' AND \"session_id\" = '{session_name(session_id)}'"
        found = await self._query(f'SELECT "session_id" FROM "{SESSION_MINUTE}" WHERE {named}')
        minutes = [row[0] // NS_OF_MS // MINUTE_MS for _, row in found]
        if not minutes:
            return await self._trace(device, named, (0, 0))
        return await self._trace(device, named, (min(minutes) * MINUTE_MS, (max(minutes) + 1) * MINUTE_MS))

    async def samples(self, device: str, from_s: float, to_s: float) -> Trace:
        named = f"\"device\" = '{device_name(device)}'"
        return await self._trace(device, named, (round(from_s * 1000), round(to_s * 1000)))

    async def rollups(self, device: str, from_s: float, to_s: float, by: Resolution) -> tuple[Rollup, ...]:
        device_name(device)
        span = whole_spans(from_s, to_s, by, self._zone)
        together: list[Summary] = []
        for begin_ms in range(span[0] - LOOK_BACK_MS, span[1], AT_ONCE_MS):
            part = (begin_ms, min(begin_ms + AT_ONCE_MS, span[1]))
            found = await self._query(
                f'SELECT {_SUMMED} FROM "{SAMPLE}" WHERE "device" = \'{device}\' AND {_between(part)} '
                f'GROUP BY time({GROUP_MS[by] // MINUTE_MS}m), "boot_n" fill(none)'
            )
            together += [_summary(int(tags["boot_n"]), row) for tags, row in found]
        together.sort(key=lambda one: (one.begin_ms, one.boot_n))
        return tuple(rollups(together, span, by, self._zone))

    async def numbers(self, device: str, boot_n: int, span: Span) -> list[int]:
        """The sequence numbers of a boot's samples that were taken in a time.

        Raises:
            HistoryRefuses
        """
        named = f"\"device\" = '{device_name(device)}' AND \"boot_n\" = '{boot_n:d}'"
        found = await self._query(f'SELECT "seq" FROM "{SAMPLE}" WHERE {named} AND {_between(span)}')
        return [int(row[1]) for _, row in found]

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _trace(self, device: str, named: str, span: Span) -> Trace:
        asked = f'SELECT {_SELECTED} FROM "{SAMPLE}" WHERE {named} AND {_between(span)} LIMIT {self._rows_max + 1}'
        rows = [row for _, row in await self._query(asked)] if span[0] < span[1] else []
        if len(rows) > self._rows_max:
            raise TooManySamples(f"There are more than {self._rows_max} samples: ask for less, or for rollups.")
        columns = columns_of(("time", "boot_n", *FIELDS), rows)
        return Trace(device, columns, gaps_between(columns["boot_n"], columns["seq"], columns["time_s"]))

    async def _query(self, asked: str) -> list[tuple[dict[str, str], Sequence[Any]]]:
        """Every row of the answer with its series' tags.

        Raises:
            HistoryRefuses: there is no answer.
        """
        try:
            async with self._http().get(
                f"{self._where.url.rstrip('/')}/query", params={"db": self._where.bucket, "q": asked, "epoch": "ns"}
            ) as answer:
                said = await answer.json(content_type=None) if answer.status == 200 else {}
                if answer.status != 200:
                    why = MEANING.get(answer.status, "see its log")
                    raise HistoryRefuses(f"InfluxDB answers {answer.status} to a query: {why}.")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise HistoryRefuses(f"InfluxDB cannot be asked: {error or type(error).__name__}.") from error
        return list(_rows(said))

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            token = self._where.token
            headers = {} if token is None else {"Authorization": f"Token {token}"}
            timeout = aiohttp.ClientTimeout(total=ANSWER_S_MAX)
            self._session = aiohttp.ClientSession(headers=headers, timeout=timeout, loop=asyncio.get_running_loop())
        return self._session


def _rows(said: dict[str, Any]) -> Iterator[tuple[dict[str, str], Sequence[Any]]]:
    for result in said.get("results", ()):
        if "error" in result:
            raise HistoryRefuses(f"InfluxDB cannot answer: {result['error']}.")
        for series in result.get("series", ()):
            for row in series["values"]:
                yield series.get("tags", {}), row


def _between(span: Span) -> str:
    return f"time >= {span[0] * NS_OF_MS} AND time < {span[1] * NS_OF_MS}"


def _summary(boot_n: int, row: Sequence[Any]) -> Summary:
    time_ns, first_seq, last_seq, count, late, *rest = row
    readings = tuple(
        (rest[n] or 0, *(None if value is None else round(value * 1000) for value in rest[n + 1 : n + 4]))
        for n in range(0, 4 * len(QUANTITIES), 4)
    )
    return Summary(time_ns // NS_OF_MS, boot_n, first_seq, last_seq, count, late, readings)  # type: ignore[arg-type]
