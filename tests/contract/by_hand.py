"""The contract's cryptography, lease arithmetic and limits a second time, by definition and standard library only.

Nothing here knows the code under test or its crypto library: P-256 is integer arithmetic, HKDF is two HMACs.
"""

import hashlib
import hmac
import math
from fractions import Fraction
from typing import Any

# P-256, FIPS 186-4 D.1.2.3
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
A = P - 3
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
GX = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
GY = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5

Point = tuple[int, int] | None


def added(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return one or other
    (x1, y1), (x2, y2) = one, other
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    slope = (3 * x1 * x1 + A) * pow(2 * y1, -1, P) if one == other else (y2 - y1) * pow(x2 - x1, -1, P)
    x3 = (slope * slope - x1 - x2) % P
    return x3, (slope * (x1 - x3) - y1) % P


def times(scalar: int, point: Point) -> tuple[int, int]:
    total: Point = None
    while scalar:
        if scalar & 1:
            total = added(total, point)
        point = added(point, point)
        scalar >>= 1
    assert total is not None
    return total


def point_bytes(point: tuple[int, int]) -> bytes:
    x, y = point
    assert (y * y - (x * x * x + A * x + B)) % P == 0
    return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")


def point_of(encoded: str) -> tuple[int, int]:
    assert (encoded[:2], len(encoded)) == ("04", 130)
    return int(encoded[2:66], 16), int(encoded[66:], 16)


def hkdf(shared: bytes, info: str) -> bytes:
    """RFC 5869 for 32 bytes, so one block."""
    secret = hmac.new(b"stimfleet v1", shared, hashlib.sha256).digest()
    return hmac.new(secret, info.encode() + b"\x01", hashlib.sha256).digest()


def derived(
    own_scalar: int, other_point: tuple[int, int], device_point: str, site_point: str, link: str
) -> dict[str, str]:
    """What contract.md derives, from either side's private key."""
    shared = times(own_scalar, other_point)[0].to_bytes(32, "big")
    both = bytes.fromhex(device_point) + bytes.fromhex(site_point)
    return {
        "shared_secret": shared.hex(),
        "kid": hashlib.sha256(both).hexdigest()[:8],
        "up_key": hkdf(shared, f"up|{link}").hex(),
        "down_key": hkdf(shared, f"down|{link}").hex(),
    }


def mac(key: str, topic: str, payload: str) -> str:
    message = f"{topic}\n{payload}".encode()
    return hmac.new(bytes.fromhex(key), message, hashlib.sha256).hexdigest()[:32]


def play(story: dict[str, Any]) -> list[Any]:
    """Until when output is allowed after each lease, or why not; whether each authorisation is fresh."""
    sent: dict[int, tuple[float, str | None]] = {}
    newest, until_s = -1, float("-inf")
    outcomes: list[Any] = []
    for step in story["steps"]:
        now_s = step["at_s"]
        if "sent" in step:
            sent[step["sent"]["seq"]] = (now_s, step["sent"]["live_session_id"])
            sent = {seq: sample for seq, sample in sent.items() if sample[0] >= now_s - 30.0}
            continue
        if "authorisation" in step:
            answered = sent.get(step["authorisation"]["answers"])
            if answered is None:
                outcomes.append({"refused": "unknown_sample"})
            else:
                outcomes.append({"fresh": True} if now_s < answered[0] + 30.0 else {"refused": "stale"})
            continue
        lease = step["lease"]
        answered = sent.get(lease["answers"])
        worth_s = min(lease["ttl_ms"], story["lease_ttl_ms"], 10_000) / 1000
        if lease["session_id"] != story["session_id"]:
            outcomes.append({"refused": "other_session"})
        elif answered is None:
            outcomes.append({"refused": "unknown_sample"})
        elif answered[1] != story["session_id"]:
            outcomes.append({"refused": "other_session"})
        elif lease["answers"] <= newest:
            outcomes.append({"refused": "not_newer"})
        elif answered[0] + worth_s <= now_s:
            outcomes.append({"refused": "stale"})
        else:
            newest, until_s = lease["answers"], max(until_s, answered[0] + worth_s)
            outcomes.append({"allowed_until_s": until_s})
    return outcomes


# --- limits: squares of exact fractions, so that nothing is rounded and no root is taken ------------------------------

ONE = Fraction(1)
TOLERANCE = Fraction(1, 10**9)


def exact(number: float) -> Fraction:
    return Fraction(repr(float(number)))


def peak_bounds(plan: dict[str, Any], limits: dict[str, Any]) -> list[tuple[str, Fraction, dict[str, Any]]]:
    """What bounds the peak: the quantity, the square of the peak in mA at its limit, and that limit."""
    width_s, frequency_hz = exact(plan["pulse_width_us"]) / 10**6, exact(plan["frequency_hz"])
    duty = 2 * width_s * frequency_hz  # the square of rms to peak
    area_cm2 = exact(plan["electrode_area_cm2"])
    standard: dict[str, Any] = {"value": 50.0, "layer": "envelope"}
    assert frequency_hz <= 400, "up to there IEC 60601-2-10 says 50 mA"
    rms, density, energy = (limits[name] for name in ("rms_ma_max", "density_ma_cm2_max", "pulse_energy_mj_max"))
    return [
        ("peak_ma", exact(limits["peak_ma_max"]["value"]) ** 2, limits["peak_ma_max"]),
        ("rms_ma", exact(rms["value"]) ** 2 / duty, rms),
        ("rms_ma", exact(standard["value"]) ** 2 / duty, standard),
        ("density_ma_cm2", (exact(density["value"]) * area_cm2) ** 2 / duty, density),
        # (I / 1000)^2 * 500 ohm * 2 * width, in J; 10^6 for mA squared and 10^-3 for mJ
        ("pulse_energy_mj", exact(energy["value"]) * 1000 / (500 * 2 * width_s), energy),
    ]


def broken(plan: dict[str, Any], limits: dict[str, Any]) -> set[tuple[str, float, str]]:
    """Quantity, limit and layer of everything that a plan breaks."""
    peak = exact(plan["setting_ma_max"])
    found = []
    for quantity, square, limit in peak_bounds(plan, limits):
        ceiling = square * (ONE + TOLERANCE) if quantity == "pulse_energy_mj" else square * (ONE + TOLERANCE) ** 2
        found += [(quantity, limit)] if peak**2 > ceiling else []
    for quantity, field, name in (
        ("pulse_width_us", "pulse_width_us", "pulse_width_us"),
        ("frequency_hz", "frequency_hz", "frequency_hz"),
        ("session_s", "duration_s", "session_s"),
        ("ramp_up_s", "ramp_up_s", "ramp_up_s"),
    ):
        value = exact(plan[field])
        high, low = limits.get(f"{name}_max"), limits.get(f"{name}_min")
        if quantity == "session_s":
            low = {"value": 300.0, "layer": "envelope"}
        found += [(quantity, high)] if high and value > exact(high["value"]) * (ONE + TOLERANCE) else []
        found += [(quantity, low)] if low and value < exact(low["value"]) * (ONE - TOLERANCE) else []
    return {(quantity, limit["value"], limit["layer"]) for quantity, limit in found}


def allowed_peak(plan: dict[str, Any], limits: dict[str, Any]) -> tuple[float, set[str]]:
    """The highest peak in mA, and the layers that say so."""
    squares = [(square, str(limit["layer"])) for _, square, limit in peak_bounds(plan, limits)]
    squares.append((exact(plan["setting_ma_max"]) ** 2, "plan"))
    least = min(square for square, _ in squares)
    layers = {layer for square, layer in squares if square <= least * (ONE + TOLERANCE) ** 2}
    return math.sqrt(least), layers


def strictest(outer: dict[str, Any], inner: dict[str, Any]) -> dict[str, Any]:
    best = {name: (max if name.endswith("_min") else min)(outer[name]["value"], inner[name]["value"]) for name in outer}
    return {name: outer[name] if outer[name]["value"] == value else inner[name] for name, value in best.items()}


def contact(impedance_ohm: float | None, baseline_ohm: float | None) -> str:
    """domain.md's row on impedance, worst first."""
    if impedance_ohm is None or impedance_ohm > 10_000:
        return "open"
    if impedance_ohm < 150:
        return "short"
    for word, absolute_ohm, percent in (("beyond_degraded", 5000, 200), ("degraded", 3000, 150)):
        relative_ohm = math.inf if baseline_ohm is None else baseline_ohm * percent / 100
        if impedance_ohm > min(absolute_ohm, relative_ohm):
            return word
    return "good"
