#!/usr/bin/env python3
"""Writes three lists in every dialect, encoding and compression with the tools that people use.

    python3 -m venv venv && venv/bin/pip install polars pandas pyarrow duckdb
    venv/bin/python tests/exports/make.py [--records N] [--out DIR]

Besides Python it runs sqlite3, jq, iconv, gzip, bzip2, xz, lz4 and zstd, and PostgreSQL if PG_BIN names the folder of
its programs (the server is started as the user in PG_USER, on a socket in a temporary folder). MANIFEST.json says how
each file is read, by which tool it was written, and which list it is; the lists themselves are in *.json. The test
tests/it/exports.rs reads all of them. LISTFERRY_EXPORTS names another folder than this one, for larger lists.
"""
import argparse, bz2, csv, gzip, io, json, lzma, os, pathlib, random, shlex, sqlite3, subprocess, tempfile

import duckdb, pandas, polars, pyarrow, pyarrow.csv

HERE = pathlib.Path(__file__).parent
parser = argparse.ArgumentParser()
parser.add_argument("--records", type=int, default=120)
parser.add_argument("--out", type=pathlib.Path, default=HERE)
args = parser.parse_args()
out = args.out
out.mkdir(exist_ok=True)
COLUMNS = ["id", "email", "name", "note"]
manifest = []


def rows(alphabet, specials, seed):
    draw = random.Random(seed)
    word = lambda least: "".join(draw.choice(alphabet) for _ in range(draw.randint(least, 9)))
    for n in range(args.records):
        # each ninth has no id and is rejected
        yield ["" if n % 9 == 4 else f"C{n:06}", f"p{n}@example.com", word(1),
               draw.choice([word(0), *specials]) if draw.random() < 0.4 else ""]


FLAT = ['say "hi"', "a,b;c", "it's", "back\\slash", "\\N is not null", "x|y", "# hash", "tab? no"]
LISTS = {
    "latin": list(rows("abcdeéüßÀñ€", [*FLAT, "two\nlines", "a\ttab", '"'], 1)),
    "flat": list(rows("abcdeéüß", [text for text in FLAT if "\\N" not in text], 2)),
    "japanese": list(rows("abc表示漢字かなカナ", ["ソース\\表", "a,b", '"引用"'], 3)),
}
for name, table in LISTS.items():
    (out / f"{name}.json").write_text(json.dumps(table, ensure_ascii=False, indent=0) + "\n")


def add(file, tool, which, rejected=0, **source):
    """Notes a file; `rejected` more records than those without an id are rejected."""
    manifest.append({"file": file, "tool": tool, "list": which, "rejected_more": rejected, "source": source})


def write(file, content):
    (out / file).write_bytes(content if isinstance(content, bytes) else content.encode())


def run(command, content=None):
    content = content.encode() if isinstance(content, str) else content
    return subprocess.run(shlex.split(command), input=content, capture_output=True, check=True).stdout


def text_of(which, header=True, **dialect):
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, **dialect)
    if header:
        writer.writerow(COLUMNS)
    writer.writerows(LISTS[which])
    return stream.getvalue()


none = lambda value: value or None
frames = {name: polars.DataFrame([[none(v) for v in row] for row in table], schema=COLUMNS, orient="row")
          for name, table in LISTS.items()}
latin = frames["latin"]
bare = {"header": False, "columns": COLUMNS}

# plain and quoted text
write("python.csv", text_of("latin"))
add("python.csv", "python csv", "latin")
write("python-all-quoted.csv", text_of("latin", delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\n"))
add("python-all-quoted.csv", "python csv", "latin", csv={"delimiter": ";"})
write("python-single-quotes.csv", text_of("latin", delimiter="|", quotechar="'"))
add("python-single-quotes.csv", "python csv", "latin", csv={"delimiter": "|", "quote": "'"})
write("python-escaped.tsv", text_of("latin", delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, escapechar="\\", lineterminator="\n"))
add("python-escaped.tsv", "python csv", "latin", csv={"delimiter": "\t", "quote": None, "escape": "\\"})
write("python-escaped-quotes.csv", text_of("latin", doublequote=False, escapechar="\\", lineterminator="\n", quoting=csv.QUOTE_ALL))
add("python-escaped-quotes.csv", "python csv", "latin", csv={"escape": "\\"})
write("excel.csv", "\ufeffsep=;\r\n" + text_of("latin", delimiter=";"))
add("excel.csv", "python csv, as Excel", "latin", csv={"preset": "excel"})
write("report.csv", "List of customers\n\n# made by \"a tool\n" + text_of("flat", lineterminator="\n"))
add("report.csv", "python csv", "flat", csv={"skip_lines": 2, "comment": "#"})
latin.write_csv(out / "polars.csv")
add("polars.csv", "polars", "latin")
frames["flat"].write_csv(out / "polars.hive", separator="\x01", quote_style="never", null_value="\\N", include_header=False)
add("polars.hive", "polars", "flat", csv={"preset": "hive", **bare})
latin.to_pandas().to_csv(out / "pandas.tsv", sep="\t", index=False, na_rep="NULL")
add("pandas.tsv", "pandas", "latin", csv={"delimiter": "\t", "nulls": ["NULL"]})
pyarrow.csv.write_csv(latin.to_arrow(), out / "pyarrow.csv")
add("pyarrow.csv", "pyarrow", "latin")
duckdb.sql("select * from latin").write_csv(str(out / "duckdb.csv"))
add("duckdb.csv", "duckdb", "latin")
database = out / "lists.sqlite"
database.unlink(missing_ok=True)
with sqlite3.connect(database) as sqlite:
    sqlite.execute("create table latin (id, email, name, note)")
    sqlite.executemany("insert into latin values (?, ?, ?, ?)", [[none(v) for v in row] for row in LISTS["latin"]])
write("sqlite.csv", run(f"sqlite3 -header -csv {database} 'select * from latin'"))
add("sqlite.csv", "sqlite3 -csv", "latin")
database.unlink()

# NDJSON
latin.write_ndjson(out / "polars.ndjson")
add("polars.ndjson", "polars", "latin")
latin.to_pandas().to_json(out / "pandas.jsonl", orient="records", lines=True)
add("pandas.jsonl", "pandas", "latin")
duckdb.sql(f"copy (select * from latin) to '{out / 'duckdb.ndjson'}' (format json)")
add("duckdb.ndjson", "duckdb", "latin")
objects = json.dumps([dict(zip(COLUMNS, row)) for row in LISTS["latin"]])
write("jq.ndjson", run("jq -ca '.[]'", objects))
add("jq.ndjson", "jq", "latin")
write("jq.tsv", "\t".join(COLUMNS).encode() + b"\n" + run("jq -r '.[] | [.id, .email, .name, .note] | @tsv'", objects))
add("jq.tsv", "jq @tsv", "latin", csv={"delimiter": "\t", "quote": None, "escape": "\\"})

# encodings
latin.to_pandas().to_csv(out / "pandas-utf16.csv", index=False, encoding="utf-16")
add("pandas-utf16.csv", "pandas", "latin")
for label in ["UTF-16BE", "UTF-16LE", "WINDOWS-1252", "ISO-8859-15"]:
    # € is in both of the last two
    write(f"iconv-{label.lower()}.csv", run(f"iconv -f UTF-8 -t {label}", text_of("latin")))
    add(f"iconv-{label.lower()}.csv", "iconv", "latin", encoding=label.lower())
for label, ours in [("SHIFT_JIS", "shift_jis"), ("EUC-JP", "euc-jp"), ("ISO-2022-JP", "iso-2022-jp"), ("GB18030", "gb18030"), ("UTF-8", "utf-8")]:
    text = text_of("japanese", lineterminator="\n")
    content = run(f"iconv -f UTF-8 -t {label}", text) if label != "SHIFT_JIS" else text.encode("cp932")
    write(f"iconv-{ours}.csv", content)
    add(f"iconv-{ours}.csv", "python" if label == "SHIFT_JIS" else "iconv", "japanese", encoding=ours)

# compressions
plain = text_of("latin").encode()
half = len(plain) // 2
write("python.csv.gz", gzip.compress(plain[:half], mtime=0) + gzip.compress(plain[half:], mtime=0))
write("python.csv.bz2", bz2.compress(plain[:half]) + bz2.compress(plain[half:]))
write("python.csv.xz", lzma.compress(plain[:half]) + lzma.compress(plain[half:]))
for file, command in [("gzip.csv.gz", "gzip -9nc"), ("bzip2.csv.bz2", "bzip2 -c"), ("xz.csv.xz", "xz -c"),
                      ("lz4.csv.lz4", "lz4 -c"), ("lz4-linked.csv.lz4", "lz4 -9 -BD -c"), ("zstd.csv.zst", "zstd -qc")]:
    write(file, run(command, plain))
write("zstd-two.csv.zst", run("zstd -qc", plain[:half]) + run("zstd -qc", plain[half:]))
# a skippable frame before the data
write("lz4-skippable.csv.lz4", b"\x51\x2a\x4d\x18\x03\0\0\0abc" + run("lz4 -c", plain))
for file in ["python.csv.gz", "python.csv.bz2", "python.csv.xz", "gzip.csv.gz", "bzip2.csv.bz2", "xz.csv.xz", "lz4.csv.lz4",
             "lz4-linked.csv.lz4", "zstd.csv.zst", "zstd-two.csv.zst", "lz4-skippable.csv.lz4"]:
    add(file, file.split(".")[0], "latin")
write("utf16.ndjson.zst", run("zstd -qc", run("iconv -f UTF-8 -t UTF-16", (out / "polars.ndjson").read_bytes())))
add("utf16.ndjson.zst", "polars, iconv, zstd", "latin")


def postgres(programs, user):
    folder = tempfile.mkdtemp(dir="/tmp")
    os.chmod(folder, 0o777)
    as_user = lambda command: subprocess.run(["runuser", "-u", user, "--", *shlex.split(command)], check=True, capture_output=True)
    as_user(f"{programs}/initdb -D {folder}/data -E UTF8 --locale=C.UTF-8 -A trust")
    as_user(f"{programs}/pg_ctl -D {folder}/data -o \"-k {folder} -h ''\" -l {folder}/log -w start")
    try:
        psql = f"psql -h {folder} -U {user} -q -v ON_ERROR_STOP=1 postgres"
        copy = lambda sql, more="": run(f"{psql} {more} -c {shlex.quote(sql)}")
        for which in ["latin", "flat"]:
            run(f"{psql} -c 'create table {which} (n serial, id text, email text, name text, note text)'")
            columns = "(id, email, name, note)"
            nulls = text_of(which, header=False)
            run(f"{psql} -c \"copy {which} {columns} from stdin (format csv)\"", nulls)
        rows = "(select id, email, name, note from latin order by n)"
        write("postgres.csv", copy(f"copy {rows} to stdout (format csv, header)"))
        add("postgres.csv", "PostgreSQL COPY csv", "latin")
        write("postgres.txt", copy(f"copy {rows} to stdout"))
        add("postgres.txt", "PostgreSQL COPY text", "latin", format="csv", csv={"preset": "postgres-text", **bare})
        write("psql.csv", run(f"{psql} --csv -c \"select id, email, name, note from latin order by n\""))
        add("psql.csv", "psql --csv", "latin")
        write("psql.txt", run(f"{psql} -A -F '|' -c \"select id, email, name, replace(note, '|', '') as note from flat where note not like '%|%' or note is null order by n\""))
        kept = [row for row in LISTS["flat"] if "|" not in row[3]]
        (out / "psql.json").write_text(json.dumps(kept, ensure_ascii=False, indent=0) + "\n")
        add("psql.txt", "psql -A", "psql", rejected=1, format="csv", csv={"delimiter": "|", "quote": None})
    finally:
        as_user(f"{programs}/pg_ctl -D {folder}/data -m immediate stop")


if os.environ.get("PG_BIN"):
    postgres(os.environ["PG_BIN"], os.environ.get("PG_USER", "postgres"))
else:
    print("without PostgreSQL: set PG_BIN")
(out / "MANIFEST.json").write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n")
print(f"{len(manifest)} files in {out}")
