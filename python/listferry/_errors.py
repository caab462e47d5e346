"""Exceptions, by the kind of the error."""

from __future__ import annotations

import json
from typing import Any, Optional


class Error(Exception):
    """An error of listferry.

    ``kind`` is the kind of the error in reports, ``exit_code`` the exit code that the program would have, ``hint`` what
    to do, and ``retryable`` whether the same command may succeed later. ``others`` has further errors that were found
    together with it, and ``report`` the report of the command, if there is one.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str = "local",
        exit_code: int = 1,
        retryable: bool = False,
        hint: Optional[str] = None,
        others: Optional[list[str]] = None,
        report: Any = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.exit_code = exit_code
        self.retryable = retryable
        self.hint = hint
        self.others = others or []
        self.report = report

    def __str__(self) -> str:
        lines = [self.message, *self.others]
        if self.hint:
            lines.append(f"help: {self.hint}")
        return "\n".join(lines)


class LocalError(Error):
    """A local fault: disk full, source missing or unreadable, or a bug (exit code 1)."""


class UsageError(Error):
    """The usage, the job or the environment is wrong (exit code 2)."""


class BusyError(Error):
    """The job is already running, or its state cannot be read (exit code 3)."""


class BlockedError(Error):
    """An earlier run of this job is partly accepted and cannot be continued as things are (exit code 23)."""


class DataError(Error):
    """The data is at fault, or the source changed between the passes (exit code 10)."""


class ImportFailedError(Error):
    """The platform accepted the list and reports failed rows or a failed import (exit code 11)."""


class RefusedError(Error):
    """The platform refused (exit code 12)."""


class TransientError(Error):
    """Temporary faults outlasted the attempts (exit code 20)."""


class InDoubtError(Error):
    """A call that must not be repeated got no answer (exit code 21)."""


class PendingError(Error):
    """Every part was accepted, but no verdict came in time (exit code 22)."""


class CredentialsError(Error):
    """The credentials or permissions were refused (exit code 30)."""


class InterruptedError(Error):
    """The command was stopped (exit code 130 or 143)."""


KINDS: dict[str, type[Error]] = {
    "local": LocalError,
    "usage": UsageError,
    "busy": BusyError,
    "blocked": BlockedError,
    "data": DataError,
    "source_changed": DataError,
    "import_failed": ImportFailedError,
    "refused": RefusedError,
    "transient": TransientError,
    "in_doubt": InDoubtError,
    "pending": PendingError,
    "credentials": CredentialsError,
    "interrupted": InterruptedError,
    "terminated": InterruptedError,
}

RETRYABLE = frozenset({"local", "busy", "transient", "pending", "interrupted", "terminated"})


def make(
    kind: str,
    exit_code: int,
    retryable: bool,
    message: str,
    hint: Optional[str],
    others: list[str],
    report: Optional[str],
) -> Error:
    """Makes the exception of an error; called by the native half."""
    from ._report import Report

    made = KINDS.get(kind, Error)
    return made(
        message,
        kind=kind,
        exit_code=exit_code,
        retryable=retryable,
        hint=hint,
        others=others,
        report=Report(json.loads(report)) if report else None,
    )
