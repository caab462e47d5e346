#!/usr/bin/env python3
"""Writes the files of this folder: one list in many formats, by the programs that people use, and files of every type
with the texts that the contract asks for.

    python3 -m venv venv && venv/bin/pip install pyarrow polars pandas duckdb XlsxWriter openpyxl
    venv/bin/python make.py

The texts of values come from pyarrow's own reading of the files (`to_pylist`), written out here by the rules of
docs/CONTRACT.md, and not from listferry.
"""

import csv
import datetime as dt
import json
import math
import sys
import uuid
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import xlsxwriter

HERE = Path(__file__).parent
ROWS = 300


def rows():
    """The list: text with quotes, delimiters, line ends and other alphabets; empty cells; numbers and dates."""
    names = ["Ann", "Zoë", 'Bo "the" Bear', "Köln, am Rhein", "two\nlines", "日本", "x" * 300, " padded ", "a\\b"]
    for n in range(ROWS):
        yield {
            "id": f"c-{n:04}" if n % 50 != 49 else "",
            "email": f"user{n}@example.com" if n % 7 else None,
            "name": names[n % len(names)],
            "visits": n * n if n % 11 else None,
            "joined": dt.date(2020, 1, 1) + dt.timedelta(days=n) if n % 5 else None,
            "active": n % 3 == 0,
        }


def text(value):
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def write_list():
    table = pa.Table.from_pylist(list(rows()))
    with open(HERE / "list.csv", "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(table.column_names)
        writer.writerows([text(value) for value in row.values()] for row in rows())
    frame = table.to_pandas(date_as_object=True, types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    frame_pl = pl.from_arrow(table)

    pq.write_table(table, HERE / "list-pyarrow.parquet", row_group_size=70)
    pq.write_table(table, HERE / "list-pyarrow-v2.parquet", data_page_version="2.0", compression="zstd",
                   use_dictionary=["name"], column_encoding={"id": "DELTA_BYTE_ARRAY", "visits": "DELTA_BINARY_PACKED",
                                                            "email": "DELTA_LENGTH_BYTE_ARRAY"},
                   write_page_index=True, data_page_size=1000)
    pq.write_table(table, HERE / "list-pyarrow-gzip.parquet", compression="gzip", use_dictionary=False, row_group_size=100)
    write_checksums(table)
    write_empty_groups(table)
    frame_pl.write_parquet(HERE / "list-polars.parquet", compression="lz4")
    frame.to_parquet(HERE / "list-pandas.parquet")
    duckdb.from_arrow(table).write_parquet(str(HERE / "list-duckdb.parquet"), compression="snappy", row_group_size=2048)

    dictionary = table.set_column(2, "name", table["name"].dictionary_encode())
    views = table.cast(pa.schema([field.with_type(pa.string_view()) if field.type == pa.string() else field for field in table.schema]))
    large = table.cast(pa.schema([field.with_type(pa.large_string()) if field.type == pa.string() else field for field in table.schema]))
    for name, data, codec in [("pyarrow", table, None), ("pyarrow-dictionary", dictionary, "zstd"),
                              ("pyarrow-view", views, None), ("pyarrow-large", large, "lz4")]:
        options = ipc.IpcWriteOptions(compression=codec)
        with ipc.new_file(HERE / f"list-{name}.arrow", data.schema, options=options) as out:
            out.write_table(data, max_chunksize=70)
        with ipc.new_stream(HERE / f"list-{name}.arrows", data.schema, options=options) as out:
            out.write_table(data, max_chunksize=70)
    frame_pl.write_ipc(HERE / "list-polars.arrow")
    frame_pl.with_columns(pl.col("name").cast(pl.Categorical)).write_ipc_stream(HERE / "list-polars.arrows", compression="zstd")
    frame.to_feather(HERE / "list-pandas.arrow")
    write_sheets(table, frame)


def write_sheets(table, frame):
    for name, options in [("xlsxwriter", {}), ("xlsxwriter-inline", {"constant_memory": True}),
                          ("xlsxwriter-1904", {"date_1904": True})]:
        book = xlsxwriter.Workbook(HERE / f"list-{name}.xlsx", options)
        sheet = book.add_worksheet("Kunden & Co")
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, table.column_names)
        for at, row in enumerate(rows(), 1):
            for column, value in enumerate(row.values()):
                if value is None or value == "":
                    sheet.write_blank(at, column, None)
                elif isinstance(value, dt.date):
                    sheet.write_datetime(at, column, dt.datetime(value.year, value.month, value.day), day)
                elif isinstance(value, str):
                    sheet.write_string(at, column, value)
                else:
                    sheet.write(at, column, value)
        book.close()
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(table.column_names)
    for row in rows():
        sheet.append(list(row.values()))
    book.save(HERE / "list-openpyxl.xlsx")
    frame.to_excel(HERE / "list-pandas.xlsx", index=False, engine="openpyxl")


# ---- every type

NAN = float("nan")


def float_text(value, shortest=repr):
    if math.isnan(value) or math.isinf(value):
        return {"rejected": "not_finite"}
    if value == 0:
        return "0"
    digits, _, exponent = shortest(value).partition("e")
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    whole, _, fraction = digits.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    if 1e-5 <= abs(value) < 1e15:
        if point <= 0:
            return f"{sign}0.{'0' * -point}{digits}"
        if point >= len(digits):
            return sign + digits + "0" * (point - len(digits))
        return f"{sign}{digits[:point]}.{digits[point:]}"
    mantissa = digits[0] + ("." + digits[1:] if digits[1:] else "")
    return f"{sign}{mantissa}e{point - 1}"


def fraction(nanos):
    return f".{nanos:09}".rstrip("0") if nanos else ""


def timestamp_text(value, unit, zone):
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    seconds, rest = divmod(value, per_second)
    days, second = divmod(seconds, 86400)
    day = dt.date(1970, 1, 1) + dt.timedelta(days=days)
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"{day.year:04}-{day.month:02}-{day.day:02}T{clock}{fraction(rest * (10**9 // per_second))}{'Z' if zone else ''}"


def value_text(value, kind):
    if value is None:
        return None
    if pa.types.is_dictionary(kind):
        return value_text(value, kind.value_type)
    if pa.types.is_floating(kind):
        width = {16: np.float16, 32: np.float32, 64: float}[kind.bit_width]
        return float_text(float(value), lambda _: str(width(value)))
    if pa.types.is_boolean(kind):
        return "true" if value else "false"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_binary_view(kind):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return {"rejected": "invalid_utf8"}
    if pa.types.is_decimal(kind):
        return f"{value:f}"
    return str(value)


def json_of(value, kind):
    """The JSON text of a list or an object."""
    if value is None:
        return "null"
    if pa.types.is_struct(kind):
        members = (f"{json.dumps(field.name)}:{json_of(value[field.name], field.type)}" for field in kind)
        return "{" + ",".join(members) + "}"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return "[" + ",".join(json_of(element, kind.value_type) for element in value) + "]"
    shown = value_text(value, kind)
    is_bare = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_boolean(kind)
    return shown if is_bare else json.dumps(shown, ensure_ascii=False)


def texts(column):
    kind = column.type
    if pa.types.is_timestamp(kind):
        numbers = column.cast(pa.int64()).to_pylist()
        return [None if number is None else timestamp_text(number, kind.unit, kind.tz) for number in numbers]
    if pa.types.is_nested(kind):
        return [None if value is None else json_of(value, kind) for value in column.to_pylist()]
    return [value_text(value, kind) for value in column.to_pylist()]


def types():
    cells = {
        "int8": pa.array([-128, 127, None, 0], pa.int8()), "int16": pa.array([-(2**15), 2**15 - 1, None, 7], pa.int16()),
        "int32": pa.array([-(2**31), 2**31 - 1, None, 7], pa.int32()), "int64": pa.array([-(2**63), 2**63 - 1, None, 7], pa.int64()),
        "uint8": pa.array([0, 255, None, 7], pa.uint8()), "uint16": pa.array([0, 2**16 - 1, None, 7], pa.uint16()),
        "uint32": pa.array([0, 2**32 - 1, None, 7], pa.uint32()), "uint64": pa.array([0, 2**64 - 1, None, 7], pa.uint64()),
        "bool": pa.array([True, False, None, True]),
        "half": pa.array(np.array([0.1, -65504, 5.96e-8, 1000.5], np.float16)),
        "float": pa.array([0.1, -3.4e38, None, 16777216.0], pa.float32()),
        "double": pa.array([0.1, 1e300, -0.0, 123456789012345.6]),
        "double2": pa.array([1e-5, 9.9e-6, 1e15, 999999999999999.0]),
        "nan": pa.array([NAN, math.inf, -math.inf, 5e-324], from_pandas=False),
        "decimal": pa.array([Decimal("1.10"), Decimal("-0.05"), None, Decimal("12345678.00")], pa.decimal128(10, 2)),
        "decimal38": pa.array([Decimal(10) ** 37, Decimal(-1), None, Decimal(0)], pa.decimal128(38, 0)),
        "decimal256": pa.array([Decimal("1e60"), Decimal("-0.5"), None, Decimal("0.25")], pa.decimal256(70, 5)),
        "date": pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31), None, dt.date(2024, 2, 29)]),
        "date64": pa.array([dt.date(1969, 12, 31), dt.date(9999, 12, 31), None, dt.date(2024, 2, 29)], pa.date64()),
        "text": pa.array(["", 'quote " and \\', None, "日本\n"]),
        "large": pa.array(["", "a,b", None, "é" * 40], pa.large_string()),
        "binary": pa.array([b"ascii", b"\xff\xfe", None, "é".encode()]),
        "fixed": pa.array([b"abcd", b"\x80abc", None, b"1234"], pa.binary(4)),
        "category": pa.array(["a", None, "b", "a"]).dictionary_encode(),
        "nothing": pa.nulls(4),
        "tags": pa.array([["a", 'b"'], [], None, ["é"]]),
        "numbers": pa.array([[1, -2], [], None, [2**62]]),
        "floats": pa.array([[1.5, 1e300], [], None, [0.25]]),
        "dates": pa.array([[dt.date(2024, 1, 2)], [], None, [dt.date(1, 1, 1)]]),
        "address": pa.array([{"city": "Köln", "zip": 50667}, {"city": None, "zip": 1}, None, {"city": 'a"b', "zip": None}]),
        "people": pa.array([[{"n": 1, "t": ["x"]}], [{"n": None, "t": None}], None, [{"n": 3, "t": []}, {"n": 4, "t": ["y", "z"]}]]),
    }
    for unit in ("s", "ms", "us", "ns"):
        far = 0 if unit == "ns" else 253402300799 * {"s": 1, "ms": 10**3, "us": 10**6}[unit]
        near = 1_700_000_000 * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit] + (0 if unit == "s" else 120)
        cells[f"time_{unit}"] = pa.array([near, -1, None, far], pa.timestamp(unit))
        cells[f"time_{unit}_zone"] = pa.array([near, -1, None, far], pa.timestamp(unit, tz="Europe/Berlin"))
    return pa.table(cells)


def note(name, table, extra=()):
    columns = {column: texts(table[column].combine_chunks()) for column in table.column_names}
    columns.update(extra)
    (HERE / f"{name}.json").write_text(json.dumps(columns, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_checksums(table):
    """Pages that are not compressed: only the checksum shows a change."""
    for version in ["1.0", "2.0"]:
        pq.write_table(table, HERE / f"list-pyarrow-checksum-v{version[0]}.parquet", row_group_size=150, compression="none",
                       data_page_version=version, use_dictionary=["name", "email"], write_page_checksum=True,
                       write_page_index=True, data_page_size=4000)


def write_empty_groups(table):
    empty = table.slice(0, 0)
    pq.write_table(empty, HERE / "empty-pyarrow.parquet")
    with pq.ParquetWriter(HERE / "list-pyarrow-empty-groups.parquet", table.schema) as out:
        for part in [empty, table.slice(0, 100), empty, empty, table.slice(100), empty]:
            out.write_table(part)


def write_uuids():
    """UUIDs as an extension type, also in structs and lists, and old timestamps in a struct."""
    ids = [uuid.UUID(int=0), None, uuid.UUID("123e4567-e89b-12d3-a456-426614174000")]
    id = pa.array([one and one.bytes for one in ids], pa.uuid())
    person = pa.StructArray.from_arrays([id], fields=[pa.field("id", pa.uuid())])
    each = pa.ListArray.from_arrays(pa.array([0, 1, 1, 2], pa.int32()), id.take(pa.array([0, 2])))
    table = pa.table({"id": id, "person": person, "ids": each})
    noted = {
        "id": [one and str(one) for one in ids],
        "person": [json.dumps({"id": one and str(one)}, separators=(",", ":")) for one in ids],
        "ids": [json.dumps([str(one)] if one else []) for one in ids],
    }
    with ipc.new_file(HERE / "types-uuid-pyarrow.arrow", table.schema) as out:
        out.write_table(table)
    pq.write_table(table, HERE / "types-uuid-pyarrow.parquet")
    for name in ["types-uuid-pyarrow.arrow", "types-uuid-pyarrow.parquet"]:
        (HERE / f"{name}.json").write_text(json.dumps(noted) + "\n")
    old = pa.StructArray.from_arrays([pa.array([0, 253402300799 * 10**6], pa.timestamp("us"))], ["old"])
    pq.write_table(pa.table({"person": old}), HERE / "types-int96-struct.parquet", use_deprecated_int96_timestamps=True)
    noted = {"person": ['{"old":"1970-01-01T00:00:00"}', '{"old":"9999-12-31T23:59:59"}']}
    (HERE / "types-int96-struct.parquet.json").write_text(json.dumps(noted) + "\n")


def write_unknown():
    """Integers of 128 bits, which only polars has, beside a list and a struct of them and a column that is known."""
    frame = pl.DataFrame({"id": ["a", "b"], "large": [1, None]}).with_columns(pl.col("large").cast(pl.Int128))
    frame = frame.with_columns(pl.concat_list("large").alias("many"), pl.struct("large").alias("person"))
    frame.with_columns(pl.Series("last", ["y", "z"])).write_ipc(HERE / "unknown-polars.arrow")


def write_types():
    table = types()
    pq.write_table(table.drop(["half"]), HERE / "types-pyarrow.parquet", row_group_size=3)
    note("types-pyarrow.parquet", pq.read_table(HERE / "types-pyarrow.parquet"))
    with ipc.new_stream(HERE / "types-pyarrow.arrows", table.schema) as out:
        out.write_table(table, max_chunksize=3)
    note("types-pyarrow.arrows", ipc.open_stream(HERE / "types-pyarrow.arrows").read_all())
    # Spark's timestamps, beyond the range of nanoseconds; pyarrow's nanoseconds would wrap
    legacy = pa.table({"old": pa.array([0, 253402300799 * 10**6, None, -62135596800 * 10**6], pa.timestamp("us"))})
    pq.write_table(legacy, HERE / "types-int96.parquet", use_deprecated_int96_timestamps=True)
    note("types-int96.parquet", pq.read_table(HERE / "types-int96.parquet", coerce_int96_timestamp_unit="us"))
    # UUID and half floats as DuckDB and pyarrow write them
    ids = [uuid.UUID(int=0), uuid.UUID("123e4567-e89b-12d3-a456-426614174000")]
    duckdb.sql(f"select unnest([{','.join(repr(str(one)) for one in ids)}]::uuid[]) as id").write_parquet(str(HERE / "types-uuid.parquet"))
    (HERE / "types-uuid.parquet.json").write_text(json.dumps({"id": [str(one) for one in ids]}) + "\n")


if __name__ == "__main__":
    write_list()
    write_types()
    write_uuids()
    write_unknown()
    sizes = {path.name: path.stat().st_size for path in sorted(HERE.iterdir())}
    print("\n".join(f"{size:8} {name}" for name, size in sizes.items()), file=sys.stderr)
