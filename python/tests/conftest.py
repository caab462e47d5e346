from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import listferry
import pytest


@pytest.fixture(scope="module")
def sandbox() -> Iterator[listferry.Sandbox]:
    with listferry.Sandbox() as running:
        yield running


@pytest.fixture
def tree(sandbox: listferry.Sandbox) -> dict[str, Any]:
    """A job whose list replaces the one before it."""
    return {
        "name": "vip",
        "map": {"identity": {"column": "id", "apply": ["trim"]}},
        "destination": {
            "platform": "clevertap",
            "region": "in1",
            "base_url": sandbox.url,
            "account_id": {"env": "CT_ACCOUNT"},
            "passcode": {"env": "CT_PASSCODE"},
            "segment": "VIP",
            "creator": "etl",
            "email": "admin@example.com",
            "replace": True,
        },
    }


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    return {"state_dir": tmp_path / "state", "sandbox": True}
