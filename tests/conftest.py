"""Makes tests/ importable, so that every test can say `from strategies import ...`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
