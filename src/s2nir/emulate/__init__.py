"""The emulator: runs only the image, bit for bit as the published arithmetic has it."""

from .keep import Kept
from .memory import Program, decode
from .queueing import EventTiming, Overflow, Queueing, queueing_text
from .recording import Recording
from .reference import Reference, reference
from .routes import Reach
from .run import program, run
from .stream import Stream, Ticks

__all__ = [
    "EventTiming",
    "Kept",
    "Overflow",
    "Program",
    "Queueing",
    "Reach",
    "Recording",
    "Reference",
    "Stream",
    "Ticks",
    "decode",
    "program",
    "queueing_text",
    "reference",
    "run",
]
