"""Jobs, reports, exceptions, progress and interruption."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import listferry
import pytest


def test_a_job_file_is_opened_with_overrides(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "list.csv").write_text("id,email\n1,A@example.com\n")
    (tmp_path / "vip.yaml").write_text(
        "source: { path: list.csv }\nmap: { identity: email }\ndestination: { platform: clevertap, region: in1, "
        "account_id: { env: A }, passcode: { env: P }, segment: s, creator: c, email: e@example.com }\n"
    )
    job = listferry.Job.open(tmp_path / "vip.yaml", set={"map.identity": {"column": "email", "apply": ["lower"]}})
    assert (job.name, job.platform) == ("vip", "clevertap")
    [row] = job.preview(n=10, **options)
    assert row["output"] == "i,a@example.com" and row["rejected"] is None
    out = tmp_path / "out.csv"
    assert job.convert(out, **options).ok
    assert out.read_text() == "Type,Identity\ni,a@example.com\n"
    with pytest.raises(listferry.UsageError, match="--set map.identity: ") as raised:
        listferry.Job.open(tmp_path / "vip.yaml", set={"map.identity": "mail"}).check(**options)
    assert (raised.value.exit_code, raised.value.kind, raised.value.retryable) == (2, "usage", False)
    assert 'did you mean "email"' in (raised.value.hint or "")


def test_everything_that_is_wrong_with_a_job_is_raised_at_once(tree: dict[str, Any]) -> None:
    tree["wait"] = "soon"
    tree["destination"]["regoin"] = "in1"
    with pytest.raises(listferry.Error) as raised:
        listferry.Job(tree)
    assert "regoin" in str(raised.value) and "wait must be a duration" in str(raised.value)
    assert len(raised.value.others) == 1


def test_a_report_has_attributes_rejects_and_an_error(tree: dict[str, Any], options: dict[str, Any]) -> None:
    rows = [{"id": "1", "n": "x"}, {"id": " ", "n": "y"}, {"id": None, "n": "z"}]
    report = listferry.Job(tree).run(rows, **options)
    assert (report.exit_code, report.status, report.ok, report.records.rejected) == (10, "rejected", False, 2)
    assert report.to_dict()["records"]["read"] == 3
    assert [row["_code"] for row in report.rejects()] == ["empty", "empty"]
    with pytest.raises(listferry.DataError, match="2 rows were rejected") as raised:
        report.raise_for_status()
    assert raised.value.report is report
    with pytest.raises(AttributeError):
        report.no_such_key
    state = options["state_dir"]
    [listed] = listferry.runs(state_dir=state)
    assert listed.run_id == report.run_id
    assert [row["_code"] for row in listferry.rejects("last", state_dir=state)] == ["empty", "empty"]
    assert listferry.runs(job="other", state_dir=state) == []


def test_the_reports_of_runs_can_be_resumed(tree: dict[str, Any], options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("id\n1\n")
    job = listferry.Job({**tree, "source": {"path": "list.csv"}}, folder=tmp_path)
    report = job.run(**options)
    again = job.resume(report.run_id, **options)
    assert (again.run_id, again.digest, again.continued) == (report.run_id, report.digest, True)
    with pytest.raises(listferry.UsageError, match="not started from a job file"):
        listferry.resume("last", state_dir=options["state_dir"])
    with pytest.raises(listferry.UsageError, match="assume"):
        job.resume(report.run_id, assume="perhaps", **options)


def test_once_sends_once(tree: dict[str, Any], options: dict[str, Any], sandbox: listferry.Sandbox) -> None:
    job = listferry.Job(tree)
    first = job.run([{"id": 1}], once="2026-11-30", **options).raise_for_status()
    before = len(sandbox.ledger())
    second = job.run([{"id": 2}], once="2026-11-30", **options).raise_for_status()
    assert (second.run_id, len(sandbox.ledger())) == (first.run_id, before)


def test_an_exception_of_the_source_is_raised_and_nothing_is_sent(
    tree: dict[str, Any], options: dict[str, Any], sandbox: listferry.Sandbox
) -> None:
    def rows() -> Iterator[dict[str, int]]:
        yield {"id": 1}
        raise LookupError("the cursor is gone")

    before = len(sandbox.ledger())
    with pytest.raises(LookupError, match="the cursor is gone"):
        listferry.Job(tree).run(rows(), **options)
    for source, message in [
        ([1], "a row must be a dict, not int"),
        ([{"id": float("nan")}], "not finite"),
        ([{"id": object()}], "a value of type object cannot be sent"),
        (17, "a source is a path"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            listferry.Job(tree).run(source, **options)
    with open(__file__, encoding="utf-8") as text, pytest.raises(TypeError, match="binary mode"):
        listferry.Job(tree).run(text, **options)
    assert len(sandbox.ledger()) == before


def test_progress_is_reported_on_the_calling_thread(tree: dict[str, Any], options: dict[str, Any]) -> None:
    seen: list[listferry.Progress] = []
    threads = set()

    def progress(now: listferry.Progress) -> None:
        seen.append(now)
        threads.add(threading.get_ident())

    listferry.Job(tree).run(({"id": n} for n in range(50_000)), progress=progress, **options).raise_for_status()
    assert (seen[-1].stage, seen[-1].records, seen[-1].rejected) == ("end", 50_000, 0)
    assert threads == {threading.get_ident()}

    def failing(_: listferry.Progress) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        listferry.Job(tree).run([{"id": 1}], progress=failing, **options)


def test_other_threads_run_meanwhile(tree: dict[str, Any], options: dict[str, Any]) -> None:
    counts = {"other": 0}
    stop = threading.Event()

    def count() -> None:
        while not stop.is_set():
            counts["other"] += 1
            time.sleep(0.001)

    other = threading.Thread(target=count)
    other.start()
    listferry.Job(tree).check(({"id": n} for n in range(100_000)), **options).raise_for_status()
    stop.set()
    other.join()
    assert counts["other"] > 5


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_stops_cleanly(tree: dict[str, Any], options: dict[str, Any], sandbox: listferry.Sandbox) -> None:
    def rows() -> Iterator[dict[str, int]]:
        for n in range(10_000_000):
            yield {"id": n}
            if n == 2000:
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.0001 if n % 100 == 0 else 0)

    before = len(sandbox.ledger())
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        listferry.Job(tree).run(rows(), **options)
    assert time.monotonic() - began < 20 and len(sandbox.ledger()) == before
    # the job is not locked, and the next run works
    assert listferry.Job(tree).run([{"id": 1}], **options).ok
