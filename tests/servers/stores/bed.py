"""What the cases share: the list and what it must become, the binary, certificates, ports, processes, the table."""

import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PASSED, FAILED, SKIPPED = "passed", "FAILED", "skipped"


class Mismatch(Exception):
    """What a case saw is not what it must see."""


class Skip(Exception):
    """The case cannot run on this machine."""


def descendants(pid):
    """A process and what it and its children started, whatever their process group."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def free_port(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def has_ipv6():
    try:
        free_port("::1")
        return True
    except OSError:
        return False


def cell(text):
    """A delimited cell as the contract says: quoted if and only if it must be."""
    if any(special in text for special in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def rows(count):
    """Names with what breaks converters: commas, quotes, line ends, letters beyond ASCII."""
    for n in range(count):
        note = ["", "plain", "a, b", 'said "hello"', "two\nlines", "Żółć", "50% off; sent"][n % 7]
        yield [f"user{n}@example.com", f"Name {n}", note]


class List:
    """A source file, and the files that Yesmail and CleverTap must get of it, converted here and not by listferry."""

    def __init__(self, path, count):
        self.path, self.count = path, count
        source, yesmail, clevertap = ["email,name,note\n"], ["id,name,note\n"], ["Type,Identity\n"]
        for row in rows(count):
            line = ",".join(map(cell, row)) + "\n"
            source.append(line)
            yesmail.append(line)
            clevertap.append(f"i,{cell(row[0])}\n")
        path.write_text("".join(source), encoding="utf-8", newline="")
        self.yesmail = self._digest(yesmail)
        self.clevertap = self._digest(clevertap)

    @staticmethod
    def _digest(lines):
        content = "".join(lines).encode()
        return len(content), hashlib.sha256(content).hexdigest()


def digest(content):
    return len(content), hashlib.sha256(content).hexdigest()


class Run:
    """What came of a run of the binary."""

    def __init__(self, code, out, err):
        self.code, self.err = code, err
        try:
            self.report = json.loads(out)
        except ValueError:
            self.report = {}
        error = self.report.get("error") or {}
        self.message, self.hint = error.get("message") or "", error.get("hint") or ""

    def must_end(self, code, *words):
        """The exit code, and words that must be in message or hint."""
        said = f"{self.message} | {self.hint}"
        if self.code != code:
            raise Mismatch(f"exit {self.code} instead of {code}: {said or self.err[-300:]}")
        for word in words:
            if word.lower() not in said.lower():
                raise Mismatch(f"{word!r} is not in: {said}")
        return said if code else ""


class Bed:
    def __init__(self, binary, root, only):
        self.binary, self.root, self.only = binary, root, only
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="listferry-real-"))
        # servers that drop their privileges need to get through
        os.chmod(self.work, 0o755)
        self.table, self.processes, self.runs = [], [], 0
        self.list = List(self.work / "list.csv", 20_000)
        self.large = List(self.work / "large.csv", 600_000)
        self._certificates()

    # -- certificates

    def _certificates(self):
        """A CA of our own and a certificate of `localhost` and the loopback addresses signed by it."""
        self.ca, self.cert, self.key = (self.work / name for name in ("ca.pem", "cert.pem", "key.pem"))
        ca_key, request, names = self.work / "ca.key", self.work / "cert.csr", self.work / "names"
        names.write_text("subjectAltName=DNS:localhost,DNS:store.test,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1\n")

        def openssl(*arguments):
            subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

        pair = ("-newkey", "rsa:2048", "-nodes")
        openssl("req", "-x509", *pair, "-keyout", ca_key, "-out", self.ca, "-days", 2, "-subj", "/CN=real servers CA")
        openssl("req", *pair, "-keyout", self.key, "-out", request, "-subj", "/CN=localhost")
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial", "-out", self.cert,
                "-days", 2, "-extfile", names)
        os.chmod(self.key, 0o644)
        both = self.work / "both.pem"
        both.write_bytes(self.cert.read_bytes() + self.key.read_bytes())
        self.both = both

    # -- servers

    def tool(self, *names):
        """The path of a program: of the machine, or unpacked under the root."""
        places = os.environ.get("PATH", "").split(":") + ["/usr/sbin", "/sbin"]
        places += [str(self.root / "usr" / part) for part in ("sbin", "bin")]
        places += [str(self.root / "venv/bin"), str(self.root / "node_modules/.bin")]
        for name in names:
            found = shutil.which(name, path=":".join(places))
            if found:
                return found
        raise Skip(f"{names[0]} is not installed")

    def under(self, path):
        """A file of a package: of the machine, or unpacked under the root."""
        for base in (pathlib.Path("/"), self.root):
            if (base / path).exists():
                return str(base / path)
        raise Skip(f"{path} is not installed")

    def folder(self, name):
        folder = self.work / name
        folder.mkdir(parents=True, exist_ok=True)
        os.chmod(folder, 0o777)
        return folder

    def start(self, arguments, port, host="127.0.0.1", env=None, limit=None, **options):
        """Starts a server in the foreground and waits for its port. `limit`: bytes that it may write to a file, as with a
        full disk."""
        def before():
            os.setsid()
            if limit:
                import resource
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        libraries = self.root / "usr/lib/x86_64-linux-gnu"
        every = dict(os.environ, **(env or {}))
        if libraries.exists():
            every["LD_LIBRARY_PATH"] = str(libraries)
        log = open(self.work / f"server-{len(self.processes)}.log", "wb")
        process = subprocess.Popen(list(map(str, arguments)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   preexec_fn=before, env=every, cwd=self.work, **options)
        process.log = log.name
        self.processes.append(process)
        for _ in range(200):
            if process.poll() is not None:
                break
            try:
                socket.create_connection((host, port), timeout=1).close()
                return process
            except OSError:
                time.sleep(0.1)
        said = pathlib.Path(log.name).read_text(errors="replace")[-400:]
        self.stop(process)
        raise Mismatch(f"{arguments[0]} does not start: {said}")

    def stop(self, process, hard=False):
        """Ends a server that was started here, with what it started."""
        for how in ([signal.SIGKILL] if hard else [signal.SIGTERM, signal.SIGKILL]):
            for pid in descendants(process.pid):
                try:
                    os.kill(pid, how)
                except ProcessLookupError:
                    pass
            try:
                process.wait(5)
                if how == signal.SIGTERM:
                    continue
            except subprocess.TimeoutExpired:
                continue
        process.wait(5)

    # -- runs

    def write(self, job, name=None):
        """A job file of its own with a state directory of its own."""
        self.runs += 1
        folder = self.work / f"run-{self.runs}"
        folder.mkdir()
        path = folder / "job.yaml"
        path.write_text(json.dumps(job))
        return path

    def command(self, job, *more):
        return [str(self.binary), "run", str(job), "--output", "json", "--state-dir", str(job.parent / "state"),
                "--threads", "2", *more]

    @staticmethod
    def environment(env):
        clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        return dict(clean, **(env or {}))

    def run(self, job, *more, env=None, timeout=120):
        path = job if isinstance(job, pathlib.Path) else self.write(job)
        done = subprocess.run(self.command(path, *more), capture_output=True, text=True, timeout=timeout,
                              env=self.environment(env), cwd=path.parent)
        return Run(done.returncode, done.stdout, done.stderr)

    def begin(self, job, env=None):
        """A run that is not waited for, and its job file."""
        path = self.write(job)
        process = subprocess.Popen(self.command(path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=self.environment(env), cwd=path.parent)
        return process, path

    # -- the table

    def case(self, server, name, body, *arguments):
        """Runs a case and notes what came of it."""
        if self.only and not any(word in f"{server} {name}" for word in self.only):
            return None
        begun = time.monotonic()
        try:
            note, outcome = body(*arguments) or "", PASSED
        except Skip as skip:
            note, outcome = str(skip), SKIPPED
        except Exception as error:  # a case that breaks is a case that failed
            note, outcome = f"{type(error).__name__}: {error}", FAILED
        note = " ".join(str(note).split())
        self.table.append((server, name, outcome, time.monotonic() - begun, note))
        print(f"{outcome:8} {server:12} {name:52} {note[:200]}", flush=True)
        return outcome

    def skip(self, server, why):
        if not self.only or any(word in server for word in self.only):
            self.table.append((server, "", SKIPPED, 0.0, str(why)))
            print(f"{SKIPPED:8} {server:12} {'':52} {why}", flush=True)

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                self.stop(process)
        shutil.rmtree(self.work, ignore_errors=True)
