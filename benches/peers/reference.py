"""The four jobs in plain Python: what every other output is compared with."""
import csv
import json
import sys


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def j1(records, out):
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["Type", "Identity"])
    for row in records:
        writer.writerow(["i", row["customer_id"]])


def j2(records, out):
    for row in records:
        changes = [("assign", "first_name", row["first_name"]), ("assign", "ltv", row["ltv"]),
                   ("set-add", "tags", row["tags"].split("|") if row["tags"] else ""), ("assign", "plan", row["plan"])]
        changes = [{"op": op, "attr": attr, "value": value} for op, attr, value in changes if value]
        if changes:
            line = {"customer_id": row["customer_id"], "changes": changes}
            out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def j3(records, out):
    for row in records:
        line = {"operation": "UPDATE", "compartment_id": "1000", "user_account_id": row["customer_id"],
                "segment_id": "42", "expiration_duration": 0}
        out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def j4(records, out):
    writer = csv.writer(out, delimiter="|", lineterminator="\n")
    writer.writerow(["id", "email", "firstname", "lastname"])
    for row in records:
        writer.writerow([row["customer_id"], row["email"].lower(), row["first_name"], row["last_name"]])


if __name__ == "__main__":
    job, path, out = sys.argv[1:4]
    with open(out, "w", encoding="utf-8", newline="") as file:
        {"j1": j1, "j2": j2, "j3": j3, "j4": j4}[job](rows(path), file)
