"""Do the outputs say the same? Each is parsed and compared with what plain Python makes of a small list."""
import csv
import json
import os
import subprocess

JSON_JOBS = ("j2", "j3")


def meaning(job, path, head=True):
    """The records of an output, free of how they are written."""
    with open(path, encoding="utf-8", newline="") as file:
        if job in JSON_JOBS:
            return [json.loads(line) for line in file]
        records = list(csv.reader(file, delimiter="|" if job == "j4" else ","))
    return records[1:] if head else records


def same(ours, theirs):
    """"equal", "equal, in another order" or "differs"."""
    if ours == theirs:
        return "equal"
    order = lambda records: sorted(json.dumps(record) for record in records)
    return "equal, in another order" if order(ours) == order(theirs) else "differs"


def as_ndjson(path, out):
    with open(path, encoding="utf-8", newline="") as source, open(out, "w", encoding="utf-8") as to:
        for row in csv.DictReader(source):
            to.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def outputs(bench):
    """What each converter made of the small list, beside the reference; ours must be equal byte for byte."""
    found, work, small = {}, bench.args.work, bench.args.small
    here = os.path.dirname(os.path.abspath(__file__))
    as_ndjson(small, f"{work}/small.ndjson")
    for job in ("j1", "j2", "j3", "j4"):
        wanted, got = f"{work}/reference.out", f"{work}/got.out"
        subprocess.run(["python3", f"{here}/reference.py", job, small, wanted], check=True)
        reference = meaning(job, wanted)
        for threads in (1, 4):
            with open(got, "wb") as out:
                subprocess.run(bench.ours(job, small, threads), stdout=out, check=True)
            if open(got, "rb").read() != open(wanted, "rb").read():
                raise SystemExit(f"listferry's {job} on {threads} threads is not what plain Python writes")
        found[f"listferry/{job}"] = "the same bytes"
        for name in ("polars", "duckdb", "chdb"):
            if os.path.exists(got):
                os.remove(got)
            done = subprocess.run(bench.engine(name, job, small, got, 4), capture_output=True)
            if done.returncode:
                found[f"{name}/{job}"] = "fails"
                continue
            # chdb's J4 is put together by hand and has no header
            found[f"{name}/{job}"] = same(reference, meaning(job, got, head=not (name == "chdb" and job == "j4")))
        for name, its, command in bench.slow_cases(small, f"{work}/small.ndjson"):
            if its != job or name == "python csv":
                continue
            with open(got, "wb") as out:
                done = subprocess.run(["sh", "-c", command] if isinstance(command, str) else command, stdout=out)
            found[f"{name}/{job}"] = "fails" if done.returncode else same(reference, meaning(job, got))
    return found
