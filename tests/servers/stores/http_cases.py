"""What is asked of each HTTP server: Yesmail's `host.put`."""

import base64
import time

from bed import Mismatch, Run, Skip, digest, free_port
from http_servers import PASSWORD, SERVERS, USER
from vendors import Yesmail


def run(bed, kind):
    try:
        print(f"-- {kind.version(bed)}", flush=True)
        server = kind(bed)
    except (Skip, Mismatch, OSError) as why:
        bed.skip(kind.name, why)
        return
    vendor = Yesmail(bed.list.count)
    cases = Cases(bed, server, vendor)
    for name, body in cases.all():
        bed.case(kind.name, name, body)
    vendor.close()
    server.end()
    full(bed, kind)


def full(bed, kind):
    """The server may write only 300 kB to a file."""
    try:
        server = kind(bed, limit=300_000)
    except (Skip, Mismatch, OSError) as why:
        bed.skip(kind.name, why)
        return
    vendor = Yesmail(bed.list.count)
    cases = Cases(bed, server, vendor)
    bed.case(kind.name, "no room for the file: refused or out of attempts", cases.full_disk)
    vendor.close()
    server.end()


class Cases:
    def __init__(self, bed, server, vendor):
        self.bed, self.server, self.vendor = bed, server, vendor

    def all(self):
        yield "PUT with the exact length", self.put
        yield "PUT again: the file is replaced", self.again
        yield "TLS, CA of network.ca_file", self.tls
        yield "TLS, CA unknown: nothing is sent", self.unknown_ca
        yield "IPv6 [::1]", self.ipv6
        yield "password in the URL", self.password
        yield "Authorization in host.put.headers", self.header
        yield "wrong password: 30", self.wrong_password
        yield "403: 30", self.closed
        yield "1,000 bytes at most", self.too_large
        if self.server.no_put:
            yield "no PUT there: 12", self.no_put
        yield "no process listens: 20", self.no_listener
        yield "killed in the middle, back after 2 s", self.killed

    def job(self, url, source=None, put=None, **more):
        host = {"put": {"url": {"env": "PUT_URL"}, "fetch_url": "http://127.0.0.1/list.csv", **(put or {})}}
        self.url = url
        return self.vendor.job((source or self.bed.list).path, host, **more)

    def run(self, job):
        done = self.bed.run(job, env={"PUT_URL": self.url})
        for secret in (PASSWORD, "p%40ss"):
            if secret in done.message + done.err + str(done.report):
                raise Mismatch("the password is shown")
        return done

    def whole(self, path, source=None):
        want = (source or self.bed.list).yesmail
        got = digest(self.server.stored(path))
        if got != want:
            raise Mismatch(f"{got} is stored instead of {want}")
        # logs are written after the answer
        for _ in range(100):
            lengths = self.server.lengths(path)
            if lengths:
                break
            time.sleep(0.1)
        if not lengths or lengths[-1] not in [(str(want[0]), "-"), (str(want[0]), "--")]:
            raise Mismatch(f"by the server's log the PUT had (Content-Length, Transfer-Encoding) {lengths}")

    def put(self):
        self.run(self.job(self.server.url("/put/a.csv"))).must_end(0)
        self.whole("/put/a.csv")

    def again(self):
        self.run(self.job(self.server.url("/put/a.csv"), put={"fetch_url": "http://127.0.0.1/again.csv"})).must_end(0)
        self.whole("/put/a.csv")

    def tls(self):
        network = {"ca_file": str(self.bed.ca)}
        self.run(self.job(self.server.url("/put/tls.csv", tls=True), network=network)).must_end(0)
        self.whole("/put/tls.csv")

    def unknown_ca(self):
        done = self.run(self.job(self.server.url("/put/unknown.csv", tls=True)))
        said = done.must_end(12, "certificate", "ca_file")
        if (self.server.place / "put/unknown.csv").exists():
            raise Mismatch("something was stored")
        return said

    def ipv6(self):
        if not self.server.v6_port:
            raise Skip("no IPv6 here")
        self.run(self.job(self.server.url("/put/v6.csv", v6=True))).must_end(0)
        self.whole("/put/v6.csv")

    def password(self):
        url = self.server.url("/secret/a.csv", who=f"{USER}:p%40ss%20word@")
        self.run(self.job(url)).must_end(0)
        self.whole("/secret/a.csv")

    def header(self):
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        put = {"headers": {"Authorization": f"Basic {token}"}}
        self.run(self.job(self.server.url("/secret/b.csv"), put=put)).must_end(0)
        self.whole("/secret/b.csv")

    def wrong_password(self):
        url = self.server.url("/secret/c.csv", who=f"{USER}:other@")
        return self.run(self.job(url)).must_end(30, "401")

    def closed(self):
        return self.run(self.job(self.server.url("/closed/a.csv"))).must_end(30, "403")

    def too_large(self):
        return self.run(self.job(self.server.url("/small/a.csv"))).must_end(*self.server.too_large)

    def no_put(self):
        return self.run(self.job(self.server.url("/plain/a.csv"))).must_end(12, self.server.no_put)

    def no_listener(self):
        return self.run(self.job(f"http://127.0.0.1:{free_port()}/a.csv")).must_end(20, "connect")

    def killed(self):
        large = self.bed.large
        job = self.job(self.server.url("/put/large.csv"), source=large)
        # attempts enough for a server that starts slowly
        job["upload"].update(max_rate="8MB", attempts=10)
        self.vendor.records = large.count
        process, path = self.bed.begin(job, env={"PUT_URL": self.url})
        time.sleep(2.5)
        self.server.crash()
        time.sleep(2)
        self.server.begin()
        out, err = process.communicate(timeout=120)
        self.vendor.records = self.bed.list.count
        done = Run(process.returncode, out, err)
        done.must_end(0)
        self.whole("/put/large.csv", large)
        attempts = done.report["parts"][0]["attempts"]
        if attempts < 2:
            raise Mismatch(f"{attempts} attempt: the server was killed too late")
        return f"attempts {attempts}"

    def full_disk(self):
        done = self.run(self.job(self.server.url("/put/full.csv")))
        if done.code not in (12, 20):
            done.must_end(20)
        return done.must_end(done.code)
