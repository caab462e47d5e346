#!/usr/bin/env python3
"""Compares what listferry reads of workbooks with what openpyxl reads of them: types, dates, empty rows, random texts.

Opt-in, since it needs openpyxl and XlsxWriter and a built binary:

    venv/bin/python tests/files/check_xlsx.py target/debug/listferry [SEED [BOOKS]]
"""

import csv
import datetime as dt
import io
import json
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import openpyxl
import xlsxwriter

JOB = """
source: {{ path: list.xlsx, xlsx: {{ sheet: {sheet}, header_row: {header} }} }}
map: {{ {map} }}
rejects: {{ max: 1000000 }}
destination: {{ platform: yesmail, list: l, api_user: u, api_key: k, separator: ",",
  host: {{ put: {{ url: "http://127.0.0.1/a", fetch_url: "http://127.0.0.1/a" }} }} }}
"""
COLUMNS = ["id", "c_b", "c_c", "c_d", "c_e", "c_f"]
FORMATS = {"yyyy-mm-dd": "date", "dd.mm.yyyy hh:mm": "timestamp", "h:mm:ss": "time", "General": None, "0.00": None}


def value(dice):
    kind = dice.randrange(9)
    if kind < 2:
        alphabet = "abcXYZ 0123456789@._-,;'<>&é日\U0001f600"
        return "".join(dice.choice(alphabet) for _ in range(dice.randrange(1, 40))).strip() or "x"
    if kind == 2:
        return dice.randrange(-10**9, 10**9)
    if kind == 3:
        return dice.choice([0.1, 1e-7, -2.5, 1e20, 123456.789, 3.0, dice.random()])
    if kind == 4:
        return dice.random() < 0.5
    if kind == 5:
        return dt.datetime(1900, 3, 1) + dt.timedelta(days=dice.randrange(70000))
    if kind == 6:
        return dt.datetime(1950, 1, 1) + dt.timedelta(seconds=dice.randrange(3 * 10**9))
    if kind == 7:
        return dt.time(dice.randrange(24), dice.randrange(60), dice.randrange(60))
    return None


def write(path, dice):
    """Writes a workbook with either program; returns the name of the sheet and the row of the header."""
    name, header = dice.choice(["Sheet1", "Kunden & Co", "日本"]), dice.choice([1, 1, 3])
    rows = [[f"id-{n}"] + [value(dice) for _ in COLUMNS[1:]] if dice.random() > 0.1 else [None] * 6 for n in range(dice.randrange(1, 60))]
    if dice.random() < 0.5:
        options = {"constant_memory": dice.random() < 0.5, "date_1904": dice.random() < 0.3}
        book = xlsxwriter.Workbook(path, options)
        sheet = book.add_worksheet(name)
        style = {code: book.add_format({"num_format": code}) for code in FORMATS}
        sheet.write_row(header - 1, 0, COLUMNS)
        for at, row in enumerate(rows, header):
            for column, one in enumerate(row):
                if isinstance(one, dt.datetime):
                    code = "yyyy-mm-dd" if one.time() == dt.time(0) else "dd.mm.yyyy hh:mm"
                    # the system of 1904 begins later
                    one = max(one, dt.datetime(1904, 1, 2)) if options["date_1904"] else one
                    sheet.write_datetime(at, column, one, style[code])
                elif isinstance(one, dt.time):
                    sheet.write_datetime(at, column, one, style["h:mm:ss"])
                elif isinstance(one, str):
                    sheet.write_string(at, column, one)
                elif one is not None:
                    sheet.write(at, column, one)
        book.close()
    else:
        book = openpyxl.Workbook()
        sheet = book.active
        sheet.title = name
        for _ in range(header - 1):
            sheet.append(["a title"])
        sheet.append(COLUMNS)
        for row in rows:
            sheet.append(row)
        book.save(path)
    return name, header


def float_text(number):
    if number == 0:
        return "0"
    if 1e-5 <= abs(number) < 1e15:
        text = f"{number:.17f}" if abs(number) < 1e-4 else repr(float(number))
        if "e" in text or abs(number) < 1e-4:
            from decimal import Decimal
            text = format(Decimal(repr(float(number))), "f")
        return text[:-2] if text.endswith(".0") else text
    mantissa, exponent = repr(float(number)).split("e") if "e" in repr(float(number)) else (None, None)
    if mantissa is None:
        digits = repr(float(number)).rstrip("0").rstrip(".")
        sign = "-" if digits.startswith("-") else ""
        digits = digits.lstrip("-")
        exponent = len(digits.split(".")[0]) - 1
        digits = digits.replace(".", "").rstrip("0")
        mantissa = sign + digits[0] + ("." + digits[1:] if digits[1:] else "")
    return f"{mantissa}e{int(exponent)}"


def rounded(moment):
    return moment + dt.timedelta(seconds=1 if moment.microsecond >= 500_000 else 0) - dt.timedelta(microseconds=moment.microsecond)


def text(cell):
    one = cell.value
    if one is None:
        return ""
    if isinstance(one, bool):
        return "true" if one else "false"
    if isinstance(one, dt.datetime):
        has_time = re.search("h", cell.number_format, re.I)
        return rounded(one).strftime("%Y-%m-%dT%H:%M:%S" if has_time else "%Y-%m-%d")
    if isinstance(one, dt.time):
        return rounded(dt.datetime.combine(dt.date(2000, 1, 1), one)).strftime("%H:%M:%S")
    if isinstance(one, (int, float)):
        return float_text(one)
    return str(one)


def compare(binary, folder, seed):
    dice = random.Random(seed)
    path = folder / "list.xlsx"
    name, header = write(path, dice)
    columns = ", ".join(["id: id"] + [f"{column}: {{ column: {column}, empty: keep }}" for column in COLUMNS[1:]])
    (folder / "job.yaml").write_text(JOB.format(sheet=json.dumps(name), header=header, map=columns), encoding="utf-8")
    done = subprocess.run([binary, "convert", "job.yaml", "-q", "--threads", str(1 + seed % 2)], cwd=folder, capture_output=True)
    assert done.returncode in (0, 10), (seed, done.stderr)
    ours = list(csv.reader(io.StringIO(done.stdout.decode())))
    sheet = openpyxl.load_workbook(path, data_only=True)[name]
    theirs = [[text(cell) for cell in row] for row in sheet.iter_rows(min_row=header)]
    theirs = [row for row in theirs if any(row)]
    if done.returncode == 10:
        assert len(theirs) == 1, (seed, done.stderr)
        return 0
    assert ours == theirs, (seed, next((pair for pair in zip(ours, theirs) if pair[0] != pair[1]), (len(ours), len(theirs))))
    return len(theirs) - 1


if __name__ == "__main__":
    binary = str(Path(sys.argv[1]).resolve())
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    books = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    with tempfile.TemporaryDirectory() as folder:
        rows = sum(compare(binary, Path(folder), seed) for seed in range(first, first + books))
    print(f"{books} workbooks, {rows} rows: the same as openpyxl")
