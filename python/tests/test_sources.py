"""The same list from every kind of source gives the same digest."""

from __future__ import annotations

import datetime
import decimal
import io
from pathlib import Path
from typing import Any, Callable, Iterator

import duckdb
import listferry
import pandas
import polars
import pyarrow
import pytest

ROWS = 40_000


def names() -> list[str]:
    return [f"käufer{n}@example.com" for n in range(ROWS)]


def as_csv() -> bytes:
    return ("id,n\n" + "".join(f"{name},{n}\n" for n, name in enumerate(names()))).encode()


def table() -> pyarrow.Table:
    return pyarrow.table({"id": names(), "n": list(range(ROWS))})


def dicts() -> Iterator[dict[str, Any]]:
    return ({"id": name, "n": n} for n, name in enumerate(names()))


def reader() -> pyarrow.RecordBatchReader:
    return table().to_reader(max_chunksize=3000)


def duck() -> Any:
    people = table()
    return duckdb.sql("select id, n from people order by n")


SOURCES: dict[str, Callable[[], Any]] = {
    "file object": lambda: io.BytesIO(as_csv()),
    "dicts": dicts,
    "pyarrow": table,
    "pyarrow reader": reader,
    "polars": lambda: polars.DataFrame({"id": names(), "n": list(range(ROWS))}),
    "polars categorical": lambda: polars.DataFrame({"id": names()}).with_columns(polars.col("id").cast(polars.Categorical)),
    "pandas": lambda: pandas.DataFrame({"id": names(), "n": range(ROWS)}),
    "pandas category": lambda: pandas.DataFrame({"id": names()}).astype("category"),
    "duckdb": duck,
}


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory, sandbox: listferry.Sandbox) -> str:
    path = tmp_path_factory.mktemp("list") / "list.csv"
    path.write_bytes(as_csv())
    job = listferry.Job(
        {
            "name": "x",
            "source": {"path": str(path)},
            "map": {"identity": "id"},
            "destination": {
                "platform": "clevertap", "region": "in1", "account_id": "a", "passcode": "p", "segment": "s",
                "creator": "c", "email": "e@example.com",
            },
        }
    )  # fmt: skip
    report = job.check(state_dir=path.parent / "state").raise_for_status()
    assert report.records.written == ROWS
    return str(report.digest)


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_is_sent_as_its_csv_is(
    name: str, digest: str, tree: dict[str, Any], options: dict[str, Any], sandbox: listferry.Sandbox
) -> None:
    job = listferry.Job(tree)
    assert job.check(SOURCES[name](), **options).digest == digest
    before = len(sandbox.ledger())
    report = job.run(SOURCES[name](), **options).raise_for_status()
    assert (report.records.written, report.digest, report.status) == (ROWS, digest, "done")
    puts = [entry for entry in sandbox.ledger()[before:] if entry["method"] == "PUT"]
    assert [(put["length"], put["digest"]) for put in puts] == [(report.bytes.body, digest)]
    spool = Path(options["state_dir"]) / "spool"
    assert not spool.exists() or not list(spool.iterdir())


def test_a_path_is_relative_to_the_working_directory(
    tree: dict[str, Any], options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "list.csv").write_text("id\n17\n")
    monkeypatch.chdir(tmp_path)
    job = listferry.Job(tree, folder="/")
    for path in ["list.csv", Path("list.csv")]:
        assert job.check(path, **options).records.written == 1


def test_frames_in_memory_are_not_copied_to_the_disk(
    tree: dict[str, Any], options: dict[str, Any], tmp_path: Path
) -> None:
    # a copy could not be made
    tree["spool"] = {"dir": str(tmp_path / "none"), "max": 1}
    frame = polars.DataFrame({"id": names()})
    assert listferry.Job(tree).run(frame, **options).status == "done"
    report = listferry.Job(tree).run(dicts(), **options)
    assert report.exit_code == 10 and "spool.max" in report.error.message


def test_values_keep_their_digits(tree: dict[str, Any], options: dict[str, Any], tmp_path: Path) -> None:
    values: list[Any] = [
        12345678901234567890123, decimal.Decimal("1.10"), 1.5, 12.0, True, datetime.date(2026, 11, 30),
        datetime.datetime(2026, 11, 30, 1, 2, 3), "a\u2028\"\\", 1e300, -0.25,
    ]  # fmt: skip
    out = tmp_path / "out.csv"
    report = listferry.Job(tree).convert(out, ({"id": value} for value in values), **options)
    assert report.raise_for_status().records.written == len(values)
    lines = out.read_text(encoding="utf-8").split("\n")[1:-1]
    assert [line.removeprefix("i,") for line in lines] == [
        "12345678901234567890123", "1.10", "1.5", "12", "true", "2026-11-30", "2026-11-30T01:02:03",
        '"a\u2028""\\"', "1e+300", "-0.25",
    ]  # fmt: skip


def test_lists_and_nested_values_are_columns(tree: dict[str, Any], options: dict[str, Any], tmp_path: Path) -> None:
    tree["map"] = {
        "customer_id": "id",
        "changes": [
            {"op": "assign", "attr": "tags", "column": "tags"},
            {"op": "assign", "attr": "city", "column": "/address/city"},
        ],
    }
    tree["destination"] = {"platform": "localytics-profiles", "org_id": 1, "api_key": "k", "api_secret": "s"}
    rows = [{"id": 1, "tags": ["a", "b"], "address": {"city": "Y"}}, {"id": 2, "tags": None, "address": {"city": "Z"}}]
    outputs = []
    for source in [rows, pyarrow.Table.from_pylist(rows), polars.DataFrame(rows)]:
        out = tmp_path / "out.ndjson"
        listferry.Job(tree).convert(out, source, **options).raise_for_status()
        outputs.append(out.read_text())
    assert outputs[0].startswith('{"customer_id":"1","changes":[{"op":"assign","attr":"tags","value":["a","b"]},')
    assert outputs == [outputs[0]] * 3
