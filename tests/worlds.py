"""The simulated worlds of docs/verdicts.py, for tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_FILE = Path(__file__).resolve().parents[1] / "docs" / "verdicts.py"


def verdicts() -> ModuleType:
    """Return the module."""
    if "verdicts" not in sys.modules:
        spec = importlib.util.spec_from_file_location("verdicts", _FILE)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["verdicts"] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
    return sys.modules["verdicts"]
