"""The emulator: runs only the image, bit for bit as the published arithmetic has it."""

from .memory import Program, decode
from .recording import Recording
from .reference import Reference, reference
from .run import program, run

__all__ = ["Program", "Recording", "Reference", "decode", "program", "reference", "run"]
