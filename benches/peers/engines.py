"""The four jobs in polars, DuckDB and chdb: `engines.py ENGINE JOB LIST OUT THREADS`.

Each engine gets the form of the job that measured fastest among those that give the right output.
"""
import os
import sys

COLUMNS = "customer_id,email,first_name,last_name,country,plan,ltv,signup_date,tags,notes".split(",")


def polars(job, path, out, threads):
    os.environ["POLARS_MAX_THREADS"] = threads
    import polars as pl

    col, lit = pl.col, pl.lit
    frame = pl.scan_csv(path, infer_schema=False)

    def lines(expr):
        frame.select(expr).sink_csv(out, include_header=False, quote_style="never")

    # kinder than right: control characters are left as they are
    def escaped(name):
        return col(name).str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)

    # an empty cell is null here
    if job == "j1":
        frame.select(lit("i").alias("Type"), col("customer_id").alias("Identity")).sink_csv(out)
    elif job == "j2":
        def change(op, attr, value):
            return pl.concat_str([lit(f'{{"op":"{op}","attr":"{attr}","value":'), value, lit("}")])

        def text(name):
            return pl.concat_str([lit('"'), escaped(name), lit('"')])

        tags = pl.concat_str([lit('["'), escaped("tags").str.replace_all("|", '","', literal=True), lit('"]')])
        changes = pl.concat_str(
            [change("assign", "first_name", text("first_name")), change("assign", "ltv", text("ltv")),
             change("set-add", "tags", tags), change("assign", "plan", text("plan"))],
            separator=",", ignore_nulls=True)
        lines(pl.concat_str([lit('{"customer_id":"'), escaped("customer_id"), lit('","changes":['), changes, lit("]}")]))
    elif job == "j3":
        frame.select(
            lit("UPDATE").alias("operation"), lit("1000").alias("compartment_id"),
            col("customer_id").alias("user_account_id"), lit("42").alias("segment_id"),
            lit(0).alias("expiration_duration")).sink_ndjson(out)
    else:
        frame.select(
            col("customer_id").alias("id"), col("email").str.to_lowercase(), col("first_name").alias("firstname"),
            col("last_name").alias("lastname")).sink_csv(out, separator="|")


def duckdb(job, path, out, threads):
    import duckdb as db

    con = db.connect()
    con.execute(f"SET threads = {threads}")
    con.execute("SET enable_progress_bar = false")
    table = f"read_csv('{path}', header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"')"
    raw = "(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER E'\\x01')"
    if job == "j1":
        con.execute(f"COPY (SELECT 'i' AS \"Type\", customer_id AS \"Identity\" FROM {table}) TO '{out}' (FORMAT csv, HEADER)")
    elif job == "j2":
        def change(op, attr, value, column):
            return (f"CASE WHEN {column} <> '' THEN '{{\"op\":\"{op}\",\"attr\":\"{attr}\",\"value\":' || "
                    f"CAST({value} AS VARCHAR) || '}}' END")
        changes = ", ".join([
            change("assign", "first_name", "to_json(first_name)", "first_name"),
            change("assign", "ltv", "to_json(ltv)", "ltv"),
            change("set-add", "tags", "to_json(string_split(tags, '|'))", "tags"),
            change("assign", "plan", "to_json(plan)", "plan")])
        con.execute(
            f"COPY (SELECT '{{\"customer_id\":' || CAST(to_json(customer_id) AS VARCHAR) || ',\"changes\":[' || "
            f"concat_ws(',', {changes}) || ']}}' FROM {table}) TO '{out}' {raw}")
    elif job == "j3":
        con.execute(
            "COPY (SELECT 'UPDATE' AS operation, '1000' AS compartment_id, customer_id AS user_account_id, "
            f"'42' AS segment_id, 0 AS expiration_duration FROM {table}) TO '{out}' (FORMAT json)")
    else:
        con.execute(
            "COPY (SELECT customer_id AS id, lower(email) AS email, first_name AS firstname, last_name AS lastname "
            f"FROM {table}) TO '{out}' (FORMAT csv, HEADER, DELIMITER '|')")


def chdb(job, path, out, threads):
    import chdb as ch

    columns = ", ".join(f"{name} String" for name in COLUMNS)
    table = f"file('{path}', 'CSVWithNames', '{columns}')"
    settings = f"SETTINGS max_threads = {threads}, engine_file_truncate_on_insert = 1"
    if job == "j1":
        form, select = "CSVWithNames", 'SELECT \'i\' AS "Type", customer_id AS "Identity"'
    elif job == "j2":
        def change(op, attr, value, column):
            return f"if({column} = '', NULL, concat('{{\"op\":\"{op}\",\"attr\":\"{attr}\",\"value\":', {value}, '}}'))"
        changes = ", ".join([
            change("assign", "first_name", "toJSONString(first_name)", "first_name"),
            change("assign", "ltv", "toJSONString(ltv)", "ltv"),
            change("set-add", "tags", "toJSONString(splitByChar('|', tags))", "tags"),
            change("assign", "plan", "toJSONString(plan)", "plan")])
        form = "TSVRaw"
        select = ("SELECT concat('{\"customer_id\":', toJSONString(customer_id), ',\"changes\":[', "
                  f"arrayStringConcat(arrayFilter(c -> isNotNull(c), [{changes}]), ','), ']}}') AS line")
    elif job == "j3":
        form = "JSONEachRow"
        select = ("SELECT 'UPDATE' AS operation, '1000' AS compartment_id, customer_id AS user_account_id, "
                  "'42' AS segment_id, 0 AS expiration_duration")
    else:
        # one setting is the delimiter of what is read and of what is written: so the lines are put together by hand
        form = "TSVRaw"
        select = "SELECT concat(customer_id, '|', lowerUTF8(email), '|', first_name, '|', last_name) AS line"
    ch.query(f"INSERT INTO FUNCTION file('{out}', '{form}') {select} FROM {table} {settings}")


if __name__ == "__main__":
    engine, job, path, out, threads = sys.argv[1:6]
    {"polars": polars, "duckdb": duckdb, "chdb": chdb}[engine](job, path, out, threads)
