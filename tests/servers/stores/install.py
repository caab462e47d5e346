"""Unpacks servers of the registries into a folder; the machine itself stays as it is."""

import pathlib
import subprocess
import sys

DEBIAN = ("nginx-light", "nginx", "apache2-bin", "lighttpd", "lighttpd-mod-webdav", "lighttpd-mod-openssl", "caddy", "squid-openssl",
          "tinyproxy-bin", "vsftpd", "proftpd-core", "proftpd-mod-crypto", "pure-ftpd", "pure-ftpd-common")
PYTHON = ("pyftpdlib", "pyopenssl", "moto[server]", "boto3", "azure-storage-blob")
NODE = ("azurite",)


def quiet(*arguments, **options):
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, **options)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().split("\n")[-1]
        print(f"install: {arguments[0]} {arguments[1]}: {last}", file=sys.stderr)
    return done.returncode == 0


def everything(root):
    root.mkdir(parents=True, exist_ok=True)
    debian(root)
    python(root)
    if not (root / "node_modules/.bin/azurite-blob").exists():
        quiet("npm", "install", "--no-audit", "--no-fund", "--prefix", root, *NODE)


def debian(root):
    """Each package by itself, since FTP servers exclude each other."""
    archives = root / "archives"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    for name in DEBIAN:
        if not any(archives.glob(f"{name}_*.deb")):
            quiet("apt-get", "install", "--download-only", "--reinstall", "--yes", "--no-install-recommends",
                  "-o", f"Dir::Cache::archives={archives.resolve()}", "-o", "Debug::NoLocking=1", name)
    unpacked = root / "unpacked"
    unpacked.mkdir(exist_ok=True)
    for package in sorted(archives.glob("*.deb")):
        mark = unpacked / pathlib.Path(package).name
        if not mark.exists() and quiet("dpkg-deb", "-x", package, root):
            mark.touch()


def python(root):
    venv = root / "venv"
    if not (venv / "bin/python").exists():
        quiet(sys.executable, "-m", "venv", venv)
    probe = "import pyftpdlib, OpenSSL, moto.server, boto3, azure.storage.blob"
    if subprocess.run([venv / "bin/python", "-c", probe], capture_output=True).returncode:
        quiet(venv / "bin/python", "-m", "pip", "install", "--quiet", *PYTHON)
