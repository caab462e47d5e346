"""Reports, previews and progress."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Any, Iterator, Optional

from ._errors import KINDS, RETRYABLE, Error


class Record:
    """An object of a report: its keys are attributes."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Any:
        try:
            value = self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(name) from None
        return Record(value) if isinstance(value, dict) and name != "platform_result" else value

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._values]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self._values == other._values

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._values!r})"

    def to_dict(self) -> dict[str, Any]:
        """Returns the object as a dict."""
        return self._values


class Report(Record):
    """The report of a command, with the keys of the JSON report as attributes."""

    @property
    def ok(self) -> bool:
        """Whether the command is done (exit code 0)."""
        return bool(self._values["exit_code"] == 0)

    def raise_for_status(self) -> Report:
        """Returns the report of a command that is done; raises the error of one that is not.

        The exception has this report as ``report``.
        """
        if self.ok:
            return self
        error = self._values.get("error") or {}
        kind = str(error.get("kind", "local"))
        message = error.get("message") or f"the command ended with exit code {self._values['exit_code']}"
        raise KINDS.get(kind, Error)(
            message,
            kind=kind,
            exit_code=self._values["exit_code"],
            retryable=kind in RETRYABLE,
            hint=error.get("hint"),
            report=self,
        )

    def rejects(self) -> Iterator[dict[str, str]]:
        """Iterates over the rejected rows, as dicts of their columns, with the reason in ``_code`` and ``_reason``."""
        path: Optional[str] = self._values.get("rejects_file")
        if path is None:
            return
        with open(path, newline="", encoding="utf-8", errors="backslashreplace") as file:
            yield from csv.DictReader(file)


@dataclass(frozen=True)
class Progress:
    """The counts of a command under way."""

    stage: str
    """``start``, ``measure``, ``send`` or ``end``."""
    bytes: int
    """Bytes of the source in the first pass, of the output in the second one."""
    total_bytes: Optional[int]
    """What ``bytes`` approaches, if it is known."""
    records: int
    """Records read in this pass."""
    rejected: int
    """Records rejected in this pass."""
