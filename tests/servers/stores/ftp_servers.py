"""vsftpd, ProFTPD, Pure-FTPd and pyftpdlib: each with one user, a folder `lists`, and TLS if asked for."""

import os
import pathlib
import subprocess

from bed import Skip, free_port

PASSWORD = "p@ss word"


class Server:
    user, has_tls, can_deny_epsv = "ann", True, True

    def __init__(self, bed, tls=False, limit=None, host="127.0.0.1", epsv=True):
        self.bed, self.tls, self.limit, self.host, self.epsv = bed, tls, limit, host, epsv
        self.port = free_port(host)
        self.place = bed.folder(f"{self.name}-{self.port}")
        self.home = bed.folder(f"{self.place.name}/home")
        self.lists = bed.folder(f"{self.place.name}/home/lists")
        # anonymous users may not be able to write where they start
        os.chmod(self.home, 0o755)
        self.begin()

    def url(self, name, scheme=None, host=None):
        host = host or ("[::1]" if ":" in self.host else "localhost" if self.tls else "127.0.0.1")
        return f"{scheme or ('ftps' if self.tls else 'ftp')}://{self.user}@{host}:{self.port}/lists/{name}"

    def end(self):
        self.bed.stop(self.process)

    def crash(self):
        self.bed.stop(self.process, hard=True)

    def begin(self):
        raise NotImplementedError


class Vsftpd(Server):
    # its other users are those of PAM, which is the machine's affair
    name, user = "vsftpd", "anonymous"

    @staticmethod
    def version(bed):
        # it closes what it was started with if that is not a terminal
        return "vsftpd " + package_version(bed.tool("vsftpd"), "vsftpd")

    def begin(self):
        if os.getuid() != 0:
            raise Skip("vsftpd needs root")
        place = self.place
        (place / "passwords").write_text(PASSWORD + "\n")
        listen = f"listen=NO\nlisten_ipv6=YES\nlisten_address6={self.host}" if ":" in self.host else \
            f"listen=YES\nlisten_ipv6=NO\nlisten_address={self.host}"
        tls = f"ssl_enable=YES\nallow_anon_ssl=YES\nforce_anon_logins_ssl=YES\nforce_anon_data_ssl=YES\n" \
            f"rsa_cert_file={self.bed.cert}\nrsa_private_key_file={self.bed.key}\n" if self.tls else ""
        denied = "" if self.epsv else "cmds_denied=EPSV\n"
        empty = self.bed.folder(f"{place.name}/empty")
        os.chmod(empty, 0o555)
        config = place / "vsftpd.conf"
        config.write_text(f"""{listen}
listen_port={self.port}
background=NO
anonymous_enable=YES
local_enable=NO
write_enable=YES
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
anon_umask=022
anon_root={self.home}
secure_email_list_enable=YES
email_password_file={place}/passwords
ftp_username={unprivileged()[2]}
nopriv_user={unprivileged()[2]}
secure_chroot_dir={empty}
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
xferlog_enable=NO
{tls}{denied}""")
        self.process = self.bed.start([self.bed.tool("vsftpd"), config], self.port, self.host, limit=self.limit)


class Proftpd(Server):
    name = "proftpd"

    @staticmethod
    def version(bed):
        return said([bed.tool("proftpd"), "-v"], bed)

    def begin(self):
        place, bed = self.place, self.bed
        hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True,
                                check=True).stdout.strip()
        account = unprivileged()
        private = place / "private"
        private.mkdir(exist_ok=True)
        os.chmod(private, 0o755)
        os.chmod(place, 0o755)
        passwords = private / "passwords"
        passwords.write_text(f"{self.user}:{hashed}:{account[0]}:{account[1]}::{self.home}:/bin/false\n")
        os.chmod(passwords, 0o600)
        modules = os.path.dirname(bed.under("usr/lib/proftpd/mod_tls.so"))
        tls = f"""
LoadModule mod_tls.c
TLSEngine on
TLSRequired on
TLSRSACertificateFile {bed.cert}
TLSRSACertificateKeyFile {bed.key}
TLSOptions NoSessionReuseRequired
TLSLog {place}/tls.log
""" if self.tls else ""
        key = place / "tls.key"
        key.write_bytes(bed.key.read_bytes())
        os.chmod(key, 0o600)
        tls = tls.replace(str(bed.key), str(key))
        denied = "" if self.epsv else "<Limit EPSV>\n  DenyAll\n</Limit>\n"
        who = f"User {account[2]}\nGroup {account[3]}" if os.getuid() == 0 else ""
        config = place / "proftpd.conf"
        config.write_text(f"""
ModulePath {modules}
{tls}
ServerName real
ServerType standalone
DefaultServer on
UseIPv6 on
DefaultAddress {self.host}
SocketBindTight on
Port {self.port}
{who}
PidFile {private}/pid
ScoreboardFile {private}/scores
DelayEngine off
SystemLog {place}/system.log
TransferLog none
WtmpLog off
UseReverseDNS off
AuthOrder mod_auth_file.c
AuthUserFile {passwords}
RequireValidShell off
AllowOverwrite on
DefaultRoot ~
{denied}""")
        self.process = bed.start([bed.tool("proftpd"), "-n", "-q", "-c", config], self.port, self.host, limit=self.limit)


class Pureftpd(Server):
    name, can_deny_epsv = "pure-ftpd", False

    @staticmethod
    def version(bed):
        return said([bed.tool("pure-ftpd"), "--help"], bed)

    def begin(self):
        if os.getuid() != 0:
            raise Skip("pure-ftpd needs root for users of its own")
        place, bed = self.place, self.bed
        uid, gid, _, _ = unprivileged()
        database = place / "pureftpd.pdb"
        typed = f"{PASSWORD}\n{PASSWORD}\n"
        if not database.exists():
            subprocess.run([bed.tool("pure-pw"), "useradd", self.user, "-u", str(uid), "-g", str(gid), "-d",
                            str(self.home), "-f", str(place / "passwd"), "-F", str(database), "-m"], input=typed,
                           text=True, capture_output=True, check=True, env=libraries(bed))
        arguments = [bed.tool("pure-ftpd"), "-S", f"{self.host},{self.port}", "-l", f"puredb:{database}", "-E", "-H",
                     "-g", str(place / "pid"), "-u", "1", "-O", f"clf:{place}/transfers"]
        if self.tls:
            arguments += ["-Y", "3", "-2", f"{bed.both}"]
        self.process = bed.start(arguments, self.port, self.host, limit=self.limit)


class Pyftpdlib(Server):
    name = "pyftpdlib"

    @staticmethod
    def version(bed):
        python = Pyftpdlib.python(bed)
        return said([python, "-c", "import pyftpdlib; print('pyftpdlib', pyftpdlib.__ver__)"], bed)

    @staticmethod
    def python(bed):
        import sys
        for python in (bed.root / "venv/bin/python", pathlib.Path(sys.executable)):
            if python.exists() and subprocess.run([python, "-c", "import pyftpdlib"], capture_output=True).returncode == 0:
                return str(python)
        raise Skip("pyftpdlib is not installed")

    def begin(self):
        program = f"""
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
handler = FTPHandler
if {self.tls}:
    from pyftpdlib.handlers import TLS_FTPHandler as handler
    handler.certfile, handler.keyfile = {str(self.bed.cert)!r}, {str(self.bed.key)!r}
    handler.tls_control_required = handler.tls_data_required = True
if not {self.epsv}:
    handler.proto_cmds = {{name: value for name, value in handler.proto_cmds.items() if name != "EPSV"}}
people = DummyAuthorizer()
people.add_user({self.user!r}, {PASSWORD!r}, {str(self.home)!r}, perm="elradfmwMT")
handler.authorizer = people
FTPServer(({self.host!r}, {self.port}), handler).serve_forever()
"""
        path = self.place / "server.py"
        path.write_text(program)
        self.process = self.bed.start([self.python(self.bed), path], self.port, self.host, limit=self.limit)


def libraries(bed):
    return dict(os.environ, LD_LIBRARY_PATH=str(bed.root / "usr/lib/x86_64-linux-gnu"))


def unprivileged():
    """Number, group number, name and group of the account that owns the files."""
    import grp
    import pwd
    # one whose home is there: vsftpd goes there first
    account = pwd.getpwnam("daemon") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    return account.pw_uid, account.pw_gid, account.pw_name, grp.getgrgid(account.pw_gid).gr_name


def said(arguments, bed):
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=20, env=libraries(bed))
    return (done.stdout + done.stderr).strip().split("\n")[0]


def package_version(path, package):
    """What the machine's packages, or the name of the unpacked one, say."""
    for place in pathlib.Path(path).parents:
        for found in place.glob(f"archives/{package}_*.deb"):
            return found.name.split("_")[1]
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return done.stdout or "of unknown version"


SERVERS = (Vsftpd, Proftpd, Pureftpd, Pyftpdlib)
