from __future__ import annotations

from tests.inference.conftest import encoder

__all__ = ["encoder"]
