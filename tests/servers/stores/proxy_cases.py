"""Squid and tinyproxy between listferry and an nginx: CONNECT and plain, with and without password, refusals.

Loopback addresses are never proxied, so the store is called by another name of this machine: `store.test`, which Squid finds in a
hosts file of its own, or for tinyproxy whatever other name /etc/hosts has for 127.0.0.1.
"""

import pathlib
import subprocess

from bed import Mismatch, Skip, digest, free_port
from ftp_servers import unprivileged
from http_servers import Nginx
from vendors import Yesmail

USER, PASSWORD = "proxyuser", "pr0xy-s3cret"


class Squid:
    name, host = "squid", "store.test"

    @staticmethod
    def version(bed):
        return subprocess.run([bed.tool("squid"), "-v"], capture_output=True, text=True).stdout.split("\n")[0]

    def __init__(self, bed, allowed, password):
        self.port, place = free_port(), bed.folder(f"squid-{free_port()}")
        (place / "hosts").write_text(f"127.0.0.1 {self.host}\n")
        helper = place / "passwords.sh"
        helper.write_text(f'#!/bin/sh\nwhile read -r who; do\n  [ "$who" = "{USER} {PASSWORD}" ] && echo OK || echo ERR\ndone\n')
        helper.chmod(0o755)
        login = f"""auth_param basic program {helper}
auth_param basic children 2
auth_param basic realm proxy
acl known proxy_auth REQUIRED
http_access deny !known
""" if password else ""
        config = place / "squid.conf"
        config.write_text(f"""
http_port 127.0.0.1:{self.port}
hosts_file {place}/hosts
pid_filename {place}/pid
access_log stdio:{place}/access.log
cache_log {place}/cache.log
cache deny all
cache_effective_user {unprivileged()[2]}
coredump_dir {place}
error_directory {bed.under("usr/share/squid/errors/templates")}
icon_directory {bed.under("usr/share/squid/icons")}
mime_table {bed.under("usr/share/squid/mime.conf")}
pinger_enable off
shutdown_lifetime 0 seconds
{login}acl there port {allowed}
http_access allow there
http_access deny all
""")
        self.log = place / "access.log"
        self.process = bed.start([bed.tool("squid"), "-N", "-f", config], self.port)


class Tinyproxy:
    name = "tinyproxy"

    @staticmethod
    def version(bed):
        return subprocess.run([bed.tool("tinyproxy"), "-v"], capture_output=True, text=True).stdout.strip()

    @property
    def host(self):
        for line in pathlib.Path("/etc/hosts").read_text().splitlines():
            address, *names = line.split("#")[0].split() or [""]
            for name in names:
                if address == "127.0.0.1" and not name.startswith("localhost") and "localhost" not in name:
                    return name
        raise Skip("/etc/hosts has no name for 127.0.0.1 but localhost, which is never proxied")

    def __init__(self, bed, allowed, password):
        self.port, place = free_port(), bed.folder(f"tinyproxy-{free_port()}")
        self.host
        config = place / "tinyproxy.conf"
        login = f"BasicAuth {USER} {PASSWORD}\n" if password else ""
        # it filters plain requests by their host alone, CONNECT by the port too
        config.write_text(f"""
Port {self.port}
Listen 127.0.0.1
Timeout 60
MaxClients 20
LogFile "{place}/access.log"
LogLevel Connect
ConnectPort {allowed}
{login}""")
        self.log = place / "access.log"
        self.process = bed.start([bed.tool("tinyproxy"), "-d", "-c", config], self.port)


PROXIES = (Squid, Tinyproxy)


def run(bed):
    try:
        store = Nginx(bed)
    except (Skip, Mismatch) as why:
        for kind in PROXIES:
            bed.skip(kind.name, f"needs nginx: {why}")
        return
    for kind in PROXIES:
        try:
            print(f"-- {kind.version(bed)}", flush=True)
        except (Skip, OSError) as why:
            bed.skip(kind.name, why)
            continue
        cases = Cases(bed, kind, store)
        for name, body in cases.all():
            bed.case(kind.name, name, body)
        cases.vendor.close()
    store.end()


class Cases:
    def __init__(self, bed, kind, store):
        self.bed, self.kind, self.store = bed, kind, store
        self.vendor = Yesmail(bed.list.count)

    def all(self):
        yield "plain PUT through it", lambda: self.sent(False, False)
        yield "TLS by CONNECT", lambda: self.sent(True, False)
        yield "plain PUT, with password", lambda: self.sent(False, True)
        yield "TLS by CONNECT, with password", lambda: self.sent(True, True)
        yield "plain PUT, wrong password: 12, not 30", lambda: self.refused(False, True, "0ther-w0rd")
        yield "CONNECT, wrong password: 12, not 30", lambda: self.refused(True, True, "0ther-w0rd")
        yield "CONNECT to a port that is not allowed: 12", lambda: self.refused(True, False, None)
        yield "the store's own 403 through it: 30", self.store_refuses
        yield "the store is down: 20", self.store_down
        yield "no process listens at the proxy: 20", self.no_listener

    def job(self, path, port, tls, host, proxy):
        url = f"{'https' if tls else 'http'}://{host}:{port}{path}"
        put = {"url": url, "fetch_url": "http://127.0.0.1/list.csv"}
        network = {"proxy": proxy, "ca_file": str(self.bed.ca), "allow_http": True}
        return self.vendor.job(self.bed.list.path, {"put": put}, network=network)

    def through(self, path, tls, password, wrong=None, allowed=None, port=None):
        port = port or (self.store.tls_port if tls else self.store.port)
        proxy = self.kind(self.bed, allowed or port, password)
        who = f"{USER}:{wrong or PASSWORD}@" if password else ""
        try:
            job = self.job(path, port, tls, proxy.host, f"http://{who}127.0.0.1:{proxy.port}")
            done = self.bed.run(job)
            if PASSWORD in done.message + done.err + str(done.report):
                raise Mismatch("the password of the proxy is shown")
            return done, proxy.log.read_text(errors="replace") if proxy.log.exists() else ""
        finally:
            self.bed.stop(proxy.process)

    def sent(self, tls, password):
        if tls and self.kind is Tinyproxy:
            raise Skip("the certificate is for localhost and store.test, tinyproxy knows neither")
        path = f"/put/{self.kind.name}-{tls}-{password}.csv"
        done, log = self.through(path, tls, password)
        done.must_end(0)
        got = digest(self.store.stored(path))
        if got != self.bed.list.yesmail:
            raise Mismatch(f"{got} is stored instead of {self.bed.list.yesmail}")
        # tinyproxy's log calls everything CONNECT
        if self.kind is Squid and ("CONNECT store.test" in log) != tls or path not in log and not tls:
            raise Mismatch(f"the proxy saw: {log[-300:]}")

    def refused(self, tls, password, wrong):
        done, _ = self.through("/put/refused.csv", tls, password, wrong, allowed=None if password else 1)
        return done.must_end(12, "proxy", "network.proxy")

    def store_refuses(self):
        done, _ = self.through("/closed/a.csv", False, False)
        return done.must_end(30, "403")

    def store_down(self):
        done, _ = self.through("/put/a.csv", False, False, port=free_port())
        return done.must_end(20)

    def no_listener(self):
        proxy = f"http://127.0.0.1:{free_port()}"
        return self.bed.run(self.job("/put/a.csv", 80, False, "store.test", proxy)).must_end(20, "proxy")
