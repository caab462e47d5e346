"""Jobs, and the runs of the state directory."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from typing import Any, Callable, Iterator, Mapping, Optional, Union

from . import _listferry
from ._report import Progress, Report

OnProgress = Callable[[Progress], object]
PathLike = Union[str, "os.PathLike[str]"]


def _sets(set: Optional[Mapping[str, object]]) -> list[str]:
    # JSON is YAML
    return [f"{key}={json.dumps(value)}" for key, value in (set or {}).items()]


def _options(
    state_dir: Optional[PathLike] = None,
    threads: Optional[int] = None,
    show_values: bool = False,
    once: Optional[str] = None,
    new: Optional[str] = None,
    sandbox: bool = False,
) -> dict[str, object]:
    return {
        "state_dir": None if state_dir is None else os.fspath(state_dir),
        "threads": threads,
        "show_values": show_values,
        "once": once,
        "new": new,
        "sandbox": sandbox,
    }


def _called(progress: Optional[OnProgress]) -> Optional[Callable[..., object]]:
    if progress is None:
        return None
    call = progress
    return lambda *counts: call(Progress(*counts))


class Job:
    """A job: source, map and destination, read and validated.

    ``Job.open`` reads a job file, and ``Job({...})`` takes the same keys as a dict. Everything that is wrong is raised at
    once as a ``UsageError``.
    """

    def __init__(
        self,
        tree: Mapping[str, Any],
        *,
        folder: PathLike = ".",
        set: Optional[Mapping[str, object]] = None,
    ) -> None:
        self._native = _listferry.NativeJob.from_json(json.dumps(tree), os.fspath(folder), _sets(set))

    @classmethod
    def open(cls, path: PathLike, *, set: Optional[Mapping[str, object]] = None) -> Job:
        """Reads a job file. ``set`` overrides keys by their path: ``{"destination.segment": "VIP"}``."""
        job = cls.__new__(cls)
        job._native = _listferry.NativeJob.open(os.fspath(path), _sets(set))
        return job

    @property
    def name(self) -> str:
        """The name of the job."""
        return self._native.name

    @property
    def platform(self) -> Optional[str]:
        """The platform of the destination."""
        return self._native.platform

    def check(
        self, source: object = None, *, progress: Optional[OnProgress] = None, **options: Any
    ) -> Report:
        """Validates and measures every row. No platform is contacted."""
        return Report(json.loads(self._native.check(source, _options(**options), _called(progress))))

    def run(self, source: object = None, *, progress: Optional[OnProgress] = None, **options: Any) -> Report:
        """Measures, sends, waits for the platform's verdict. Continues an open run of the same job."""
        return Report(json.loads(self._native.run(source, _options(**options), _called(progress))))

    def convert(
        self,
        target: PathLike,
        source: object = None,
        *,
        progress: Optional[OnProgress] = None,
        **options: Any,
    ) -> Report:
        """Writes the converted list to a file, which is replaced only if the conversion succeeds."""
        native = self._native.convert(os.fspath(target), source, _options(**options), _called(progress))
        return Report(json.loads(native))

    def preview(self, n: int = 10, *, source: object = None, **options: Any) -> list[dict[str, Any]]:
        """Returns the first rows: each with ``source`` and either ``output`` or ``rejected``."""
        return [json.loads(row) for row in self._native.preview(n, source, _options(**options))]

    def resume(
        self,
        run: str,
        *,
        assume: Optional[str] = None,
        progress: Optional[OnProgress] = None,
        **options: Any,
    ) -> Report:
        """Continues a run of this job. ``assume`` (``done`` or ``repeat``) decides about a call in doubt."""
        native = self._native.resume(run, assume, _options(**options), _called(progress))
        return Report(json.loads(native))

    def __repr__(self) -> str:
        return f"Job(name={self.name!r}, platform={self.platform!r})"


def runs(
    *,
    job: Optional[str] = None,
    status: Optional[str] = None,
    limit: Optional[int] = None,
    state_dir: Optional[PathLike] = None,
) -> list[Report]:
    """Returns the reports of past runs, oldest first."""
    found = _listferry.runs(_options(state_dir), job, status, limit)
    return [Report(json.loads(report)) for report in found]


def resume(
    run: str,
    *,
    assume: Optional[str] = None,
    progress: Optional[OnProgress] = None,
    state_dir: Optional[PathLike] = None,
) -> Report:
    """Continues a run that was started from a job file: its id, the job file, or ``last``."""
    native = _listferry.job_of(_options(state_dir), run)
    return Report(json.loads(native.resume(run, assume, _options(state_dir), _called(progress))))


def rejects(run: str, *, state_dir: Optional[PathLike] = None) -> Iterator[dict[str, str]]:
    """Iterates over the rejected rows of a run: its id, a job file (its last run), or ``last``."""
    with tempfile.TemporaryDirectory(prefix="listferry-") as folder:
        path = os.path.join(folder, "rejects.csv")
        _listferry.copy_rejects(_options(state_dir), run, path)
        with open(path, newline="", encoding="utf-8", errors="backslashreplace") as file:
            yield from csv.DictReader(file)


class Sandbox:
    """Simulated platforms on this machine, for trying and testing.

    Use it as a context manager, and its ``url`` as the ``base_url`` of a destination.
    """

    def __init__(self, *faults: str) -> None:
        self._native = _listferry.Sandbox(list(faults))

    @property
    def url(self) -> str:
        """The address, for ``destination.base_url``."""
        return self._native.url

    def ledger(self) -> list[dict[str, Any]]:
        """Returns the requests received so far."""
        entries: list[dict[str, Any]] = json.loads(self._native.ledger())
        return entries

    def close(self) -> None:
        """Stops it."""
        self._native.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
