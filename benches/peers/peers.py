"""Measures everything in interleaved rounds, checks the outputs, writes the table. Started by `run`."""
import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import verify
from measured import Cost, run
from table import write

HERE = os.path.dirname(os.path.abspath(__file__))
JOBS = ["j1", "j2", "j3", "j4"]
ENGINES = ["polars", "duckdb", "chdb"]
CORES = {1: "0", 4: "0-3"}
SECRETS = {"A": "bench", "P": "bench"}


@contextlib.contextmanager
def sink(*arguments):
    """The URL of a server that drops bodies."""
    server = subprocess.Popen([sys.executable, f"{HERE}/sink.py", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield f"http{'s' if arguments else ''}://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.stdin.close()
        server.wait(10)


class Bench:
    def __init__(self, args):
        self.args = args
        self.costs = {}
        self.notes = {}
        self.state = tempfile.mkdtemp(dir=args.work)

    def measure(self, key, command, **how):
        cost = self.costs.setdefault(key, Cost())
        if isinstance(command, str):
            command = ["sh", "-c", command]
        run(command, cost, self.args.work, **how)

    def rounds(self, cases, rounds):
        """Every case once a round, so that a disturbance hits all alike; a case that fails is left out, and said so."""
        for number in range(rounds):
            for key, command, how in list(cases):
                if key in self.notes.setdefault("failed", {}):
                    continue
                try:
                    self.measure(key, command, **how)
                except RuntimeError as error:
                    # some quote what they read
                    said = "".join(letter for letter in str(error).replace(self.args.work, "") if " " <= letter <= "~")
                    self.notes["failed"][key] = said[:120]
                    self.costs.pop(key, None)
            print(f"round {number + 1} of {rounds}", file=sys.stderr)

    def ours(self, job, path, threads, *more):
        return [self.args.listferry, "-q", "--threads", str(threads), "--state-dir", self.state,
                "--set", f"source.path={path}", *more, "convert", f"{HERE}/jobs/{job}.yaml"]

    def engine(self, name, job, path, out, threads):
        return [sys.executable, f"{HERE}/engines.py", name, job, path, out, str(threads)]

    def convert(self):
        path, cases = self.args.list, []
        for threads, cores in CORES.items():
            for job in JOBS:
                how = {"cores": cores}
                cases.append((f"convert/listferry/{job}/{threads}", self.ours(job, path, threads), how))
                for name in ENGINES:
                    cases.append((f"convert/{name}/{job}/{threads}", self.engine(name, job, path, "/dev/null", threads), how))
            cases.append((f"convert/cat/-/{threads}", ["cat", path], {"cores": cores}))
            cases.append((f"convert/wc -l/-/{threads}", ["wc", "-l", path], {"cores": cores}))
        cases.append(("convert/cp/-/1", ["cp", path, f"{self.args.work}/copy"], {"cores": "0"}))
        for threads in (2, 3):
            for job in JOBS:
                cases.append((f"convert/listferry/{job}/{threads}", self.ours(job, path, threads), {"cores": "0-3"}))
        self.rounds(cases, self.args.rounds)
        os.remove(f"{self.args.work}/copy")

    def slow_cases(self, path, ndjson):
        cases = []
        for job in JOBS:
            cases.append(("python csv", job, [sys.executable, f"{HERE}/reference.py", job, path, "/dev/null"]))
        if shutil.which("mlr"):
            put = {
                "j1": ["--ocsv", "put", '$* = {"Type": "i", "Identity": $customer_id}'],
                "j3": ["--ojsonl", "put", '$* = {"operation": "UPDATE", "compartment_id": "1000", "user_account_id": '
                       '$customer_id, "segment_id": "42", "expiration_duration": 0}'],
                "j4": ["--ocsv", "--ofs", "|", "put", '$* = {"id": $customer_id, "email": tolower($email), '
                       '"firstname": $first_name, "lastname": $last_name}'],
            }
            for job, rest in put.items():
                cases.append(("Miller", job, ["mlr", "-S", "--icsv", *rest, path]))
        if shutil.which("xan"):
            cases.append(("xan", "j1", f"xan select -e '\"i\" as Type, customer_id as Identity' {path}"))
            cases.append(("xan", "j4", "xan select -e 'customer_id as id, lower(email) as email, first_name as firstname, "
                          f"last_name as lastname' {path} | xan fmt -t '|'"))
        if shutil.which("jq"):
            change = '{op: "%s", attr: "%s", value: %s}'
            j2 = ", ".join(
                f'(select(.{c} != "") | {change % (op, c, value)})' for op, c, value in
                [("assign", "first_name", ".first_name"), ("assign", "ltv", ".ltv"),
                 ("set-add", "tags", '(.tags | split("|"))'), ("assign", "plan", ".plan")])
            cases.append(("jq (from NDJSON)", "j2", ["jq", "-c", f"{{customer_id, changes: [{j2}]}}", ndjson]))
            cases.append(("jq (from NDJSON)", "j3", ["jq", "-c", '{operation: "UPDATE", compartment_id: "1000", user_account_id: '
                          '.customer_id, segment_id: "42", expiration_duration: 0}', ndjson]))
        return cases

    def slow(self):
        """Those that would take minutes: on a smaller list, in MB/s of it."""
        path, ndjson = self.args.slow, f"{self.args.slow}.ndjson"
        verify.as_ndjson(path, ndjson)
        cases = [(f"slow/{name}/{job}/4", command, {"cores": "0-3"}) for name, job, command in self.slow_cases(path, ndjson)]
        cases += [(f"slow/listferry/{job}/1", self.ours(job, path, 1), {"cores": "0"}) for job in JOBS]
        self.rounds(cases, min(2, self.args.rounds))

    def packed_lists(self):
        """The list as others pack it, each with the tool that unpacks it; those whose tools are not here are left out."""
        stem = self.args.list.removesuffix(".csv")
        # the engines go by the end of the name
        lists = [
            ("gz", f"{stem}.csv.gz", "gzip -6 -c", ["gzip", "-dc"]),
            ("zst", f"{stem}.csv.zst", "zstd -q -3 -c", ["zstd", "-q", "-dc"]),
            ("gz, bgzip", f"{stem}.bgzip.csv.gz", "bgzip -@ 4 -c", ["bgzip", "-@", "4", "-dc"]),
            ("zst, pzstd", f"{stem}.pzstd.csv.zst", "pzstd -q -3 -p 4 -c", ["pzstd", "-q", "-p", "4", "-dc"]),
        ]
        for kind, packed, pack, unpack in lists:
            if not os.path.exists(packed) and shutil.which(pack.split()[0]):
                part = f"{packed}.part"
                subprocess.run(f"{pack} '{self.args.list}' > '{part}' && mv '{part}' '{packed}'", shell=True, check=True)
            if os.path.exists(packed) and shutil.which(unpack[0]):
                yield kind, packed, unpack

    def packed(self):
        cases = []
        for kind, packed, unpack in self.packed_lists():
            cases.append((f"packed/{unpack[0]} -dc/{kind}/4", [*unpack, packed], {"cores": "0-3"}))
            for threads, cores in CORES.items():
                cases.append((f"packed/listferry J2/{kind}/{threads}", self.ours("j2", packed, threads), {"cores": cores}))
            for name in ("duckdb", "polars"):
                cases.append((f"packed/{name} J2/{kind}/4", self.engine(name, "j2", packed, "/dev/null", 4), {"cores": "0-3"}))
        self.rounds(cases, min(2, self.args.rounds))

    def cold(self):
        """The list is not in the page cache: before each run the kernel is asked to forget it."""
        path, how = self.args.list, {"cores": "0-3", "forget": self.args.list}
        cases = [("cold/cat/-/4", ["cat", path], how),
                 ("cold/dd bs=1M iflag=direct/-/4", ["dd", f"if={path}", "of=/dev/null", "bs=1M", "iflag=direct"], how)]
        cases += [(f"cold/listferry J2/-/{threads}", self.ours("j2", path, threads), {**how, "cores": cores})
                  for threads, cores in CORES.items()]
        cases.append(("cold/polars J2/-/4", self.engine("polars", "j2", path, "/dev/null", 4), how))
        self.rounds(cases, self.args.rounds)

    def upload(self):
        work, path = self.args.work, self.args.list
        body = f"{work}/j3.ndjson"
        with open(body, "wb") as out:
            subprocess.run(self.ours("j3", path, 4), stdout=out, check=True)
        with sink() as url:
            self.upload_to(url, body)
        if shutil.which("openssl"):
            pem = f"{work}/loopback.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", pem,
                            "-out", f"{pem}.crt", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                            "-addext", "basicConstraints=critical,CA:FALSE"], check=True, stderr=subprocess.DEVNULL)
            with open(pem, "a", encoding="ascii") as both, open(f"{pem}.crt", encoding="ascii") as certificate:
                both.write(certificate.read())
            with sink(pem) as url:
                self.upload_by_tls(url, body, f"{pem}.crt")
        self.notes["body_bytes"] = os.path.getsize(body)
        os.remove(body)

    def deliver(self, url, job, threads, *more):
        return [self.args.listferry, "-q", "--threads", str(threads), "--state-dir", self.state,
                "--set", f"source.path={self.args.list}", "--set", "wait=0", "--set", f"destination.base_url={url}",
                *more, "run", "--new", f"{HERE}/jobs/{job}.yaml"]

    def upload_by_tls(self, url, body, certificate):
        env = {"cores": "0-3", "env": SECRETS}
        one = ["--set", "destination.max_part_bytes=1TB", "--set", f"network.ca_file={certificate}"]
        cases = [
            ("tls/curl -T of the finished file/-/4", f"curl -sS -f --cacert {certificate} -T {body} {url}/bucket/x", {"cores": "0-3"}),
            ("tls/listferry run (measure and upload, one body)/-/4", self.deliver(url, "j3", 4, *one), env),
            ("tls/listferry run (measure and upload, one body)/-/1", self.deliver(url, "j3", 1, *one), {**env, "cores": "0"}),
        ]
        self.rounds(cases, self.args.rounds)

    def upload_to(self, url, body):
        work, path = self.args.work, self.args.list
        temporary = f"{work}/converted"
        how = {"cores": "0-3"}
        put = f"curl -sS -f -T {{}} {url}/bucket/x"

        one = ["--set", "destination.max_part_bytes=1TB"]
        env = {**how, "env": SECRETS}
        cases = [
            ("upload/curl -T of the finished file/-/4", put.format(body), how),
            ("upload/Python requests of the finished file/-/4", [sys.executable, f"{HERE}/put.py", body, f"{url}/bucket/x"], how),
            ("upload/listferry run (measure and upload, one body)/-/4", self.deliver(url, "j3", 4, *one), env),
            ("upload/listferry run (measure and upload, parts of 95 MB)/-/4", self.deliver(url, "j3", 4), env),
            ("upload/listferry run (measure and upload, one body)/-/1", self.deliver(url, "j3", 1, *one), {**env, "cores": "0"}),
            ("upload/listferry convert, then curl -T/-/4",
             " ".join(self.ours("j3", path, 4)) + f" > {temporary} && {put.format(temporary)}; rm {temporary}", how),
        ]
        if shutil.which("java"):
            subprocess.run(["javac", "-d", work, f"{HERE}/Put.java"], check=True)
            cases.append(("upload/the vendor's Java sample of the finished file/-/4",
                          ["java", "-cp", work, "Put", body, f"{url}/bucket/x"], how))
        for name in ENGINES:
            command = " ".join(self.engine(name, "j3", path, temporary, 4))
            cases.append((f"upload/{name}, then curl -T/-/4", f"{command} && {put.format(temporary)}; rm {temporary}", how))
        self.rounds(cases, self.args.rounds)

    def small(self):
        """What starting costs: a list of one record. For listferry also the time to the first byte."""
        path = f"{self.args.work}/one.csv"
        with open(self.args.small, encoding="utf-8") as whole, open(path, "w", encoding="utf-8") as one:
            one.writelines([next(whole), next(whole)])
        cases = [("small/listferry/j1/4", self.ours("j1", path, 4), {})]
        cases += [(f"small/{name}/j1/4", self.engine(name, "j1", path, "/dev/null", 4), {}) for name in ENGINES]
        self.rounds(cases, max(5, self.args.rounds))
        first = []
        for _ in range(25):
            began = time.perf_counter()
            child = subprocess.Popen(self.ours("j2", self.args.list, 4), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            os.read(child.stdout.fileno(), 1)
            first.append(time.perf_counter() - began)
            child.kill()
            child.wait()
            child.stdout.close()
        self.notes["first_byte_ms"] = sorted(first)[len(first) // 2] * 1000

    def memory(self):
        """The same peak whatever the size: lists made on the fly, read through a FIFO."""
        fifo = f"{self.args.work}/fifo.csv"
        if os.path.exists(fifo):
            os.remove(fifo)
        os.mkfifo(fifo)
        sizes = ["256MiB", "1GiB", "16GiB"]
        for size in sizes:
            for threads, cores in CORES.items():
                maker = subprocess.Popen([self.args.generate, "--size", size, "--out", fifo])
                self.measure(f"memory/{size}/j3/{threads}", self.ours("j3", fifo, threads), cores=CORES[4])
                maker.wait()
        os.remove(fifo)


def main():
    parser = argparse.ArgumentParser()
    for name in ("listferry", "generate", "list", "small", "slow", "size", "work", "out", "only"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--rounds", type=int)
    args = parser.parse_args()
    bench = Bench(args)
    parts = args.only.split(",") if args.only else ["convert", "upload", "small", "packed", "cold", "slow", "memory"]
    try:
        bench.notes["verified"] = verify.outputs(bench)
        for part in parts:
            print(part, file=sys.stderr)
            getattr(bench, part)()
            # after each, so that an interrupted comparison leaves what it has
            keep(bench)
    finally:
        shutil.rmtree(bench.state)
    with open(args.out, encoding="utf-8") as file:
        print(file.read())


def keep(bench):
    """Adds what was measured to what earlier parts were, and writes the table from all."""
    args, kept = bench.args, f"{bench.args.work}/costs.json"
    earlier = {"costs": {}, "notes": {}}
    if args.only and os.path.exists(kept):
        with open(kept, encoding="utf-8") as file:
            earlier = json.load(file)
    earlier["costs"].update({key: vars(cost) for key, cost in bench.costs.items() if cost})
    for key, note in bench.notes.items():
        earlier["notes"][key] = {**earlier["notes"].get(key, {}), **note} if isinstance(note, dict) else note
    with open(kept, "w", encoding="utf-8") as file:
        json.dump(earlier, file)
    write(args, {key: Cost(**cost) for key, cost in earlier["costs"].items()}, earlier["notes"])


if __name__ == "__main__":
    main()
