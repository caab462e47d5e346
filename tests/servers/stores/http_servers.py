"""nginx, Apache httpd, lighttpd and Caddy: each on a plain, a TLS and an IPv6 port, with the same folders.

/put/ takes files, /secret/ wants a password, /closed/ is 403, /small/ takes 1,000 bytes, /plain/ knows no PUT (not Caddy, which
passes everything on to a store of ours).
"""

import http.server
import os
import subprocess
import threading

from bed import Skip, free_port, has_ipv6

USER, PASSWORD = "ann", "p@ss word"


class Server:
    """Ports, folder, and how to start it (again)."""

    # what it answers to a PUT where it takes none
    no_put = "405"
    # exit code and status if it takes 1,000 bytes at most
    too_large = (12, "413")

    def __init__(self, bed, limit=None):
        self.bed, self.limit = bed, limit
        self.port, self.tls_port = free_port(), free_port()
        self.v6_port = free_port("::1") if has_ipv6() else None
        self.place = bed.folder(f"{self.name}-{self.port}")
        for folder in ("put", "secret", "closed", "small", "plain", "tmp", "run"):
            bed.folder(f"{self.place.name}/{folder}")
        self.log = self.place / "access.log"
        self.config = self.place / "config"
        self.begin()

    def url(self, path, tls=False, v6=False, who=""):
        host, port = ("[::1]", self.v6_port) if v6 else ("localhost", self.tls_port) if tls else ("127.0.0.1", self.port)
        return f"{'https' if tls else 'http'}://{who}{host}:{port}{path}"

    def stored(self, path):
        return (self.place / path.lstrip("/")).read_bytes()

    def lengths(self, path):
        """Content-Length and Transfer-Encoding of the PUTs of a path, by the server's own log."""
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [(line[3], line[4]) for line in lines if line[0] == "PUT" and line[1] == path]

    def end(self):
        self.bed.stop(self.process)

    def crash(self):
        self.bed.stop(self.process, hard=True)


class Nginx(Server):
    name = "nginx"

    @staticmethod
    def version(bed):
        return subprocess.run([bed.tool("nginx"), "-v"], capture_output=True, text=True).stderr.strip()

    def begin(self):
        place, bed = self.place, self.bed
        passwords = place / "passwords"
        passwords.write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
        v6 = f"listen [::1]:{self.v6_port};" if self.v6_port else ""
        temporary = "".join(f"{kind}_temp_path {place}/tmp/{kind};\n"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.config.write_text(f"""
daemon off; master_process off; pid {place}/run/pid; error_log {place}/error.log;
events {{ worker_connections 64; }}
http {{
  log_format lengths '$request_method $uri $status $http_content_length $http_transfer_encoding-';
  access_log {self.log} lengths;
  {temporary}
  client_max_body_size 1g;
  server {{
    listen 127.0.0.1:{self.port}; {v6}
    listen 127.0.0.1:{self.tls_port} ssl; ssl_certificate {bed.cert}; ssl_certificate_key {bed.key};
    root {place};
    location /put/ {{ dav_methods PUT; }}
    location /small/ {{ dav_methods PUT; client_max_body_size 1000; }}
    location /secret/ {{ dav_methods PUT; auth_basic files; auth_basic_user_file {passwords}; }}
    location /closed/ {{ dav_methods PUT; deny all; }}
    location /plain/ {{ }}
  }}
}}
""")
        self.process = bed.start([bed.tool("nginx"), "-p", place, "-c", self.config], self.port, limit=self.limit)


class Apache(Server):
    name = "httpd"

    @staticmethod
    def version(bed):
        return subprocess.run([bed.tool("apache2", "httpd"), "-v"], capture_output=True, text=True).stdout.split("\n")[0]

    def begin(self):
        place, bed = self.place, self.bed
        passwords = place / "passwords"
        made = subprocess.run(["openssl", "passwd", "-apr1", PASSWORD], capture_output=True, text=True, check=True)
        passwords.write_text(f"{USER}:{made.stdout.strip()}\n")
        names = ("mpm_event authn_core authn_file authz_core authz_user auth_basic dav dav_fs dav_lock ssl alias mime "
                 "log_config unixd").split()
        loaded = []
        for name in names:
            try:
                loaded.append(f"LoadModule {name}_module {bed.under(f'usr/lib/apache2/modules/mod_{name}.so')}")
            except Skip:
                # compiled in
                if name not in ("log_config", "unixd"):
                    raise
        v6 = f"Listen [::1]:{self.v6_port}" if self.v6_port else ""
        user = "User www-data\nGroup www-data" if os.getuid() == 0 else ""
        newline = "\n"
        self.config.write_text(f"""
{newline.join(loaded)}
ServerName localhost
ServerRoot {place}
PidFile {place}/run/pid
DefaultRuntimeDir {place}/run
Mutex file:{place}/run
ErrorLog {place}/error.log
TypesConfig /dev/null
DocumentRoot {place}
DavLockDB {place}/run/lock
{user}
Listen 127.0.0.1:{self.port}
Listen 127.0.0.1:{self.tls_port}
{v6}
LogFormat "%m %U %>s %{{Content-Length}}i %{{Transfer-Encoding}}i" lengths
CustomLog {self.log} lengths
<VirtualHost 127.0.0.1:{self.tls_port}>
  SSLEngine on
  SSLCertificateFile {bed.cert}
  SSLCertificateKeyFile {bed.key}
  CustomLog {self.log} lengths
</VirtualHost>
<Directory {place}>
  Require all granted
</Directory>
<Location /put>
  Dav On
</Location>
<Location /small>
  Dav On
  LimitRequestBody 1000
</Location>
<Location /secret>
  Dav On
  AuthType Basic
  AuthName files
  AuthUserFile {passwords}
  Require valid-user
</Location>
<Location /closed>
  Dav On
  Require all denied
</Location>
""")
        self.process = bed.start([bed.tool("apache2", "httpd"), "-f", self.config, "-DFOREGROUND"], self.port,
                                 limit=self.limit)


class Lighttpd(Server):
    name, no_put = "lighttpd", "404"

    @staticmethod
    def version(bed):
        return subprocess.run([bed.tool("lighttpd"), "-v"], capture_output=True, text=True).stdout.split(" - ")[0]

    def begin(self):
        place, bed = self.place, self.bed
        modules = os.path.dirname(bed.under("usr/lib/lighttpd/mod_webdav.so"))
        bed.under("usr/lib/lighttpd/mod_openssl.so")
        (place / "passwords").write_text(f"{USER}:{PASSWORD}\n")
        v6 = f'$SERVER["socket"] == "[::1]:{self.v6_port}" {{ }}' if self.v6_port else ""
        self.config.write_text(f"""
server.modules = ( "mod_access", "mod_auth", "mod_authn_file", "mod_webdav", "mod_openssl", "mod_accesslog" )
server.document-root = "{place}"
server.bind = "127.0.0.1"
server.port = {self.port}
server.errorlog = "{place}/error.log"
server.upload-dirs = ( "{place}/tmp" )
accesslog.filename = "{self.log}"
accesslog.format = "%m %U %s %{{Content-Length}}i %{{Transfer-Encoding}}i"
auth.backend = "plain"
auth.backend.plain.userfile = "{place}/passwords"
$SERVER["socket"] == "127.0.0.1:{self.tls_port}" {{
  ssl.engine = "enable"
  ssl.pemfile = "{bed.both}"
}}
{v6}
$HTTP["url"] =~ "^/(put|small|secret|closed)/" {{
  webdav.activate = "enable"
}}
$HTTP["url"] =~ "^/small/" {{ server.max-request-size = 1 }}
$HTTP["url"] =~ "^/closed/" {{ url.access-deny = ( "" ) }}
$HTTP["url"] =~ "^/secret/" {{
  auth.require = ( "" => ( "method" => "basic", "realm" => "files", "require" => "valid-user" ) )
}}
""")
        self.process = bed.start([bed.tool("lighttpd"), "-D", "-f", self.config, "-m", modules], self.port,
                                 limit=self.limit)


class Store:
    """What Caddy passes requests on to: writes a PUT of exact length to a file, answers 500 if it cannot."""

    def __init__(self, place, log, limit):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self):
                length, coding = self.headers.get("Content-Length"), self.headers.get("Transfer-Encoding")
                with open(log, "a") as line:
                    line.write(f"PUT {self.path} 201 {length or '-'} {coding or '-'}\n")
                left = int(length or 0)
                with open(place / self.path.lstrip("/"), "wb") as out:
                    while left:
                        piece = self.rfile.read(min(left, 1 << 16))
                        if not piece:
                            return
                        left -= len(piece)
                        out.write(piece)
                full = limit and int(length or 0) > limit
                self.send_response(507 if full else 201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Caddy(Server):
    name, no_put = "caddy", None
    # reverse_proxy answers 502 if request_body ends a request
    too_large = (20, "502")
    hashed = None

    @staticmethod
    def version(bed):
        return "caddy " + subprocess.run([bed.tool("caddy"), "version"], capture_output=True, text=True).stdout.strip()

    def begin(self):
        place, bed = self.place, self.bed
        self.store = Store(place, self.log, self.limit)
        # once, since it takes seconds
        if self.hashed is None:
            made = subprocess.run([bed.tool("caddy"), "hash-password", "--plaintext", PASSWORD], capture_output=True,
                                  text=True, check=True)
            self.hashed = made.stdout.strip()
        inside = f"""
  basicauth /secret/* {{
    {USER} {self.hashed}
  }}
  respond /closed/* 403
  request_body /small/* {{
    max_size 1000
  }}
  reverse_proxy 127.0.0.1:{self.store.port}
"""
        v6 = f"http://:{self.v6_port} {{\n  bind ::1\n{inside}}}" if self.v6_port else ""
        self.config.write_text(f"""
{{
  admin off
  auto_https off
  storage file_system {place}/run
}}
http://:{self.port} {{
  bind 127.0.0.1
{inside}}}
https://:{self.tls_port} {{
  bind 127.0.0.1
  tls {bed.cert} {bed.key}
{inside}}}
{v6}
""")
        env = {"HOME": str(place), "XDG_CONFIG_HOME": str(place), "XDG_DATA_HOME": str(place)}
        self.process = bed.start([bed.tool("caddy"), "run", "--config", self.config, "--adapter", "caddyfile"], self.port,
                                 env=env)


SERVERS = (Nginx, Apache, Lighttpd, Caddy)
