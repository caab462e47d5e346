"""Loads lists of people into the bulk imports of marketing platforms."""

from ._errors import (
    BlockedError,
    BusyError,
    CredentialsError,
    DataError,
    Error,
    ImportFailedError,
    InDoubtError,
    InterruptedError,
    LocalError,
    PendingError,
    RefusedError,
    TransientError,
    UsageError,
)
from ._job import Job, Sandbox, rejects, resume, runs
from ._listferry import __version__
from ._report import Progress, Report

__all__ = [
    "BlockedError",
    "BusyError",
    "CredentialsError",
    "DataError",
    "Error",
    "ImportFailedError",
    "InDoubtError",
    "InterruptedError",
    "Job",
    "LocalError",
    "PendingError",
    "Progress",
    "RefusedError",
    "Report",
    "Sandbox",
    "TransientError",
    "UsageError",
    "__version__",
    "rejects",
    "resume",
    "runs",
]
