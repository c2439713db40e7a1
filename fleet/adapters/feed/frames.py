"""The feed's frames: what goes over the socket, as bytes and back.

length (4 bytes, little endian, of what follows) | kind (1 byte) | body

A sample's body is when it left the socket (boot time of this host), the same by wall clock, and topic-less what came:
the device's id and the payload, byte for byte. Its MAC has been checked and it can be decoded.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

FRAME_BYTES_MAX = 16 * 1024  # a payload has 8 KiB at most


class FrameKind(IntEnum):
    """What a frame holds."""

    SAMPLE = 1
    MISSED = 2
    BEAT = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """One telemetry message. `received_s` is this host's boot time, `wall_s` Unix time."""

    device: str
    received_s: float
    wall_s: float
    payload: bytes


@dataclass(frozen=True, slots=True)
class Missed:
    """So many samples were not handed on to this reader, because it was too slow. They came before what follows."""

    samples: int


@dataclass(frozen=True, slots=True)
class Beat:
    """Nothing else was to be said; at `now_s` (boot time) the fleet was there."""

    now_s: float


Frame = Sample | Missed | Beat

_HEAD = struct.Struct("<IB")
_SAMPLE = struct.Struct("<ddB")
_MISSED = struct.Struct("<Q")
_BEAT = struct.Struct("<d")


class BadFrame(ValueError):
    """What came is no frame: whoever wrote it is no fleet of this version."""


def sample_frame(device: str, received_s: float, wall_s: float, payload: bytes) -> bytes:
    """The bytes of a `Sample`.

    >>> unpack(sample_frame("stim-01", 12.5, 1.0, b"{}")[4:])
    Sample(device='stim-01', received_s=12.5, wall_s=1.0, payload=b'{}')
    """
    name = device.encode()
    body = _SAMPLE.pack(received_s, wall_s, len(name)) + name + payload
    return _HEAD.pack(1 + len(body), FrameKind.SAMPLE) + body


def missed_frame(samples: int) -> bytes:
    """The bytes of a `Missed`."""
    return _HEAD.pack(1 + _MISSED.size, FrameKind.MISSED) + _MISSED.pack(samples)


def beat_frame(now_s: float) -> bytes:
    """The bytes of a `Beat`."""
    return _HEAD.pack(1 + _BEAT.size, FrameKind.BEAT) + _BEAT.pack(now_s)


def unpack(frame: bytes) -> Frame:
    """What a frame says, without its length.

    Raises:
        BadFrame
    """
    body = frame[1:]
    try:
        match FrameKind(frame[0]):
            case FrameKind.SAMPLE:
                received_s, wall_s, length = _SAMPLE.unpack_from(body)
                rest = body[_SAMPLE.size :]
                if len(rest) < length:
                    raise BadFrame("a sample's frame ends in the device's name")
                return Sample(rest[:length].decode(), received_s, wall_s, rest[length:])
            case FrameKind.MISSED:
                return Missed(*_MISSED.unpack(body))
            case FrameKind.BEAT:
                return Beat(*_BEAT.unpack(body))
    except (struct.error, IndexError, ValueError) as error:
        raise error if isinstance(error, BadFrame) else BadFrame(f"a frame cannot be read: {error}") from error
