"""What is asked of each FTP server: Yesmail's `host.ftp`."""

import os
import time

from bed import Mismatch, Run, Skip, digest, free_port, has_ipv6
from ftp_servers import PASSWORD, SERVERS, unprivileged
from vendors import Yesmail


def run(bed):
    for kind in SERVERS:
        try:
            print(f"-- {kind.version(bed)}", flush=True)
        except (Skip, OSError) as why:
            bed.skip(kind.name, why)
            continue
        vendor = Yesmail(bed.list.count)
        cases = Cases(bed, kind, vendor)
        for name, body in cases.all():
            bed.case(kind.name, name, body)
        vendor.close()


class Cases:
    def __init__(self, bed, kind, vendor):
        self.bed, self.kind, self.vendor = bed, kind, vendor

    def all(self):
        yield "stored, renamed, nothing else left", self.stored
        yield "a list that is there is replaced", self.replaced
        yield "wrong password: 30", self.wrong_password
        yield "a folder that is not there: 12", self.no_folder
        yield "IPv6 [::1]", self.ipv6
        if self.kind.can_deny_epsv:
            yield "no EPSV: PASV", self.pasv
        if self.kind.has_tls:
            yield "explicit TLS, CA of network.ca_file", self.tls
            yield "explicit TLS, CA unknown: nothing is sent", self.unknown_ca
            yield "plain FTP where TLS is required: refused", self.tls_required
        yield "TLS asked of a server without it", self.no_tls
        yield "no room for the file: refused or out of attempts", self.full_disk
        yield "server killed in the middle, back after 1 s", self.killed
        yield "listferry killed in the middle, run again", self.run_killed
        yield "no process listens: 20", self.no_listener

    def job(self, url, source=None, password=PASSWORD, **more):
        host = {"ftp": {"url": url, "password": {"env": "FTP_PASSWORD"}, "fetch_url": "http://127.0.0.1/list.csv"}}
        self.env = {"FTP_PASSWORD": password}
        return self.vendor.job((source or self.bed.list).path, host, **more)

    def run(self, job):
        done = self.bed.run(job, env=self.env)
        if PASSWORD in done.message + done.err + str(done.report):
            raise Mismatch("the password is shown")
        return done

    def whole(self, server, name, source=None):
        want = (source or self.bed.list).yesmail
        there = sorted(path.name for path in server.lists.iterdir())
        if there != [name]:
            raise Mismatch(f"the folder has {there}")
        got = digest((server.lists / name).read_bytes())
        if got != want:
            raise Mismatch(f"{got} is stored instead of {want}")

    def with_server(self, body, **options):
        server = self.kind(self.bed, **options)
        try:
            return body(server)
        finally:
            server.end()

    def stored(self):
        def body(server):
            self.run(self.job(server.url("list.csv"))).must_end(0)
            self.whole(server, "list.csv")
        return self.with_server(body)

    def replaced(self):
        def body(server):
            (server.lists / "list.csv").write_text("the one before\n")
            # its owner is the account that the server writes as
            self.own(server)
            self.run(self.job(server.url("list.csv"))).must_end(0)
            self.whole(server, "list.csv")
        return self.with_server(body)

    @staticmethod
    def own(server):
        if os.getuid() == 0:
            os.chown(server.lists / "list.csv", *unprivileged()[:2])

    def wrong_password(self):
        return self.with_server(lambda server: self.run(
            self.job(server.url("list.csv"), password="other")).must_end(30, "password"))

    def no_folder(self):
        def body(server):
            url = server.url("list.csv").replace("/lists/", "/elsewhere/")
            return self.run(self.job(url)).must_end(12)
        return self.with_server(body)

    def ipv6(self):
        if not has_ipv6():
            raise Skip("no IPv6 here")

        def body(server):
            self.run(self.job(server.url("list.csv"))).must_end(0)
            self.whole(server, "list.csv")
        return self.with_server(body, host="::1")

    def pasv(self):
        def body(server):
            self.run(self.job(server.url("list.csv"))).must_end(0)
            self.whole(server, "list.csv")
        return self.with_server(body, epsv=False)

    def tls(self):
        def body(server):
            network = {"ca_file": str(self.bed.ca)}
            self.run(self.job(server.url("list.csv"), network=network)).must_end(0)
            self.whole(server, "list.csv")
        return self.with_server(body, tls=True)

    def unknown_ca(self):
        def body(server):
            return self.run(self.job(server.url("list.csv"))).must_end(12, "certificate", "ca_file")
        return self.with_server(body, tls=True)

    def tls_required(self):
        def body(server):
            done = self.run(self.job(server.url("list.csv", scheme="ftp")))
            if done.code not in (12, 30):
                done.must_end(12)
            return done.must_end(done.code, "ftps://")
        return self.with_server(body, tls=True)

    def no_tls(self):
        def body(server):
            network = {"ca_file": str(self.bed.ca)}
            url = server.url("list.csv", scheme="ftps", host="localhost")
            return self.run(self.job(url, network=network)).must_end(12, "TLS")
        return self.with_server(body)

    def full_disk(self):
        def body(server):
            done = self.run(self.job(server.url("list.csv")))
            if done.code not in (12, 20):
                done.must_end(20)
            if (server.lists / "list.csv").exists():
                raise Mismatch("half a list has its name")
            return done.must_end(done.code)
        return self.with_server(body, limit=300_000)

    @staticmethod
    def until_some_came(server, process):
        """Returns once a part of the file is there."""
        for _ in range(20_000):
            if any(path.stat().st_size > 1 << 20 for path in server.lists.iterdir()):
                return
            if process.poll() is not None:
                raise Mismatch(f"it ended first: {process.communicate()[0][-300:]}")
            time.sleep(0.001)
        raise Mismatch("nothing came")

    def killed(self):
        large = self.bed.large

        def body(server):
            self.vendor.records = large.count
            process, _ = self.bed.begin(self.job(server.url("list.csv"), source=large), env=self.env)
            try:
                self.until_some_came(server, process)
                server.crash()
                if (server.lists / "list.csv").exists():
                    raise Mismatch("half a list has its name")
                time.sleep(1)
                server.begin()
                out, err = process.communicate(timeout=120)
            finally:
                process.kill()
                self.vendor.records = self.bed.list.count
            done = Run(process.returncode, out, err)
            done.must_end(0)
            self.whole(server, "list.csv", large)
            return f"attempts {done.report['parts'][0]['attempts']}"
        return self.with_server(body)

    def run_killed(self):
        large = self.bed.large

        def body(server):
            self.vendor.records = large.count
            try:
                process, path = self.bed.begin(self.job(server.url("list.csv"), source=large), env=self.env)
                self.until_some_came(server, process)
                process.kill()
                process.communicate(timeout=20)
                if (server.lists / "list.csv").exists():
                    raise Mismatch("half a list has its name")
                done = self.bed.run(path, env=self.env)
            finally:
                self.vendor.records = self.bed.list.count
            done.must_end(0)
            self.whole(server, "list.csv", large)
            return f"continued {done.report['continued']}"
        return self.with_server(body)

    def no_listener(self):
        return self.run(self.job(f"ftp://ann@127.0.0.1:{free_port()}/list.csv")).must_end(20)
