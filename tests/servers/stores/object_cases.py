"""moto (S3) for CleverTap's presigned upload, Azurite (Azure Blob) for `host.put` with a shared access signature."""

import base64
import datetime
import os
import pathlib
import subprocess
import sys
import time

from bed import Mismatch, Skip, digest, free_port
from vendors import CleverTap, Yesmail

REGION, BUCKET = "us-east-1", "lists"


def python_with(bed, module):
    """A Python that has a module: its packages are then used in this process too."""
    for python in (bed.root / "venv/bin/python", pathlib.Path(sys.executable)):
        if not python.exists():
            continue
        probe = f"import {module}, sysconfig; print(sysconfig.get_paths()['purelib'])"
        done = subprocess.run([python, "-c", probe], capture_output=True, text=True)
        if done.returncode == 0:
            if done.stdout.strip() not in sys.path:
                sys.path.append(done.stdout.strip())
            return str(python)
    raise Skip(f"{module} is not installed")


def run(bed):
    for name, kind in (("moto", Moto), ("azurite", Azurite)):
        try:
            cases = kind(bed)
        except (Skip, Mismatch, OSError, ImportError) as why:
            bed.skip(name, why)
            continue
        print(f"-- {cases.version}", flush=True)
        for title, body in cases.all():
            bed.case(name, title, body)
        cases.end()


class Moto:
    def __init__(self, bed):
        self.bed, self.port = bed, free_port()
        python = python_with(bed, "moto.server")
        python_with(bed, "boto3")
        import boto3
        from importlib.metadata import version
        self.version = f"moto {version('moto')}, boto3 {version('boto3')}"
        program = "import sys; from moto.server import main; main(sys.argv[1:])"
        self.process = bed.start([python, "-c", program, "-H", "127.0.0.1", "-p", self.port], self.port)
        self.boto3, self.url = boto3, f"http://127.0.0.1:{self.port}"
        self.s3 = self.client("s3v4")
        self.s3.create_bucket(Bucket=BUCKET)

    def client(self, signature):
        from botocore.config import Config
        return self.boto3.client("s3", endpoint_url=self.url, region_name=REGION, aws_access_key_id="AKIDEXAMPLE",
                                 aws_secret_access_key="not-a-real-key",
                                 config=Config(signature_version=signature, s3={"addressing_style": "path"}))

    def all(self):
        yield "CleverTap: presigned PUT (SigV4)", lambda: self.clevertap("s3v4")
        yield "CleverTap: presigned PUT (SigV2)", lambda: self.clevertap("s3")
        yield "CleverTap: 600,000 rows", lambda: self.clevertap("s3v4", self.bed.large)
        yield "CleverTap: bucket that is not there: 12", self.no_bucket
        yield "CleverTap: the signed Content-Type is demanded", self.clevertap_type
        yield "Yesmail: signed Content-Type in host.put.headers", self.yesmail_type
        yield "Yesmail: a signed header that the job does not give: 2", self.header_missing
        yield "Yesmail: signed x-amz-meta header", self.meta

    def presigned(self, key, signature="s3v4", **more):
        client = self.client(signature)
        parameters = {"Bucket": more.pop("bucket", BUCKET), "Key": key, **more}
        return client.generate_presigned_url("put_object", Params=parameters, ExpiresIn=3600)

    def whole(self, key, want):
        got = self.s3.get_object(Bucket=BUCKET, Key=key)
        found = digest(got["Body"].read())
        if found != want:
            raise Mismatch(f"{found} is stored instead of {want}")
        return got

    def clevertap(self, signature, source=None):
        source, key = source or self.bed.list, f"clevertap-{signature}-{time.monotonic_ns()}.csv"
        url = self.presigned(key, signature)
        vendor = CleverTap(lambda: url)
        try:
            done = self.bed.run(vendor.job(source.path))
            done.must_end(0)
            secret = url.split("ignature=")[-1].split("&")[0]
            if secret in done.err + str(done.report):
                raise Mismatch("the signature is shown")
            self.whole(key, source.clevertap)
            if len(vendor.of("POST", "completed")) != 1:
                raise Mismatch("CleverTap was not notified once")
        finally:
            vendor.close()

    def no_bucket(self):
        url = self.presigned("a.csv", bucket="elsewhere")
        vendor = CleverTap(lambda: url)
        try:
            said = self.bed.run(vendor.job(self.bed.list.path)).must_end(12, "NoSuchBucket")
            if vendor.of("POST", "completed"):
                raise Mismatch("CleverTap was notified that it is complete")
            return said
        finally:
            vendor.close()

    def clevertap_type(self):
        url = self.presigned("typed.csv", ContentType="text/csv")
        vendor = CleverTap(lambda: url)
        try:
            done = self.bed.run(vendor.job(self.bed.list.path))
            if done.code == 0:
                got = self.whole("typed.csv", self.bed.list.clevertap)
                if got["ContentType"] != "text/csv":
                    raise Mismatch(f"stored as {got['ContentType']}: S3 would refuse what the signature does not have")
                return "sent with it"
            return done.must_end(12, "content-type")
        finally:
            vendor.close()

    def yesmail(self, key, headers, **signed):
        url = self.presigned(key, **signed)
        vendor = Yesmail(self.bed.list.count)
        try:
            put = {"url": {"env": "PUT_URL"}, "fetch_url": f"{self.url}/{BUCKET}/{key}", "headers": headers}
            return self.bed.run(vendor.job(self.bed.list.path, {"put": put}), env={"PUT_URL": url})
        finally:
            vendor.close()

    def yesmail_type(self):
        self.yesmail("yesmail.csv", {"Content-Type": "text/csv"}, ContentType="text/csv").must_end(0)
        if self.whole("yesmail.csv", self.bed.list.yesmail)["ContentType"] != "text/csv":
            raise Mismatch("the Content-Type was not sent")

    def header_missing(self):
        return self.yesmail("missing.csv", {}, ContentType="text/csv").must_end(2, "content-type")

    def meta(self):
        self.yesmail("meta.csv", {"x-amz-meta-origin": "etl"}, Metadata={"origin": "etl"}).must_end(0)
        if self.whole("meta.csv", self.bed.list.yesmail)["Metadata"] != {"origin": "etl"}:
            raise Mismatch("the header was not sent")

    def end(self):
        self.bed.stop(self.process)


class Azurite:
    ACCOUNT, CONTAINER = "listferry", "lists"

    def __init__(self, bed):
        self.bed, self.port = bed, free_port()
        program = bed.tool("azurite-blob")
        python_with(bed, "azure.storage.blob")
        from azure.storage import blob
        self.blob, self.key = blob, base64.b64encode(os.urandom(32)).decode()
        self.version = "Azurite " + self.package_version(program)
        place = bed.folder("azurite")
        env = {"AZURITE_ACCOUNTS": f"{self.ACCOUNT}:{self.key}"}
        self.process = bed.start([program, "--blobHost", "127.0.0.1", "--blobPort", self.port, "--location", place,
                                  "--silent", "--skipApiVersionCheck"], self.port, env=env)
        self.url = f"http://127.0.0.1:{self.port}/{self.ACCOUNT}"
        self.service = blob.BlobServiceClient(self.url, credential=self.key)
        self.service.create_container(self.CONTAINER)

    @staticmethod
    def package_version(program):
        import json
        for place in pathlib.Path(program).resolve().parents:
            package = place / "package.json"
            if package.exists() and json.loads(package.read_text()).get("name") == "azurite":
                return json.loads(package.read_text())["version"]
        return "of unknown version"

    def all(self):
        yield "PUT of a block blob by SAS", self.put
        yield "PUT by SAS, x-ms-blob-type in host.put.headers", lambda: self.put({"x-ms-blob-type": "BlockBlob"}, "given.csv")
        yield "600,000 rows by SAS", lambda: self.put(name="large.csv", source=self.bed.large)
        yield "an existing file is replaced", self.put
        yield "a SAS that may only read: 30", self.read_only
        yield "an expired SAS: 30", self.expired
        yield "a container that is not there: 12", self.no_container

    def signed(self, name, write=True, hours=1, container=CONTAINER):
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
        permission = self.blob.BlobSasPermissions(read=True, create=write, write=write)
        start = until - datetime.timedelta(hours=3)
        query = self.blob.generate_blob_sas(self.ACCOUNT, container, name, account_key=self.key, permission=permission,
                                            expiry=until, start=start)
        return f"{self.url}/{container}/{name}?{query}"

    def run(self, url, headers=None, source=None):
        source = source or self.bed.list
        vendor = Yesmail(source.count)
        try:
            put = {"url": {"env": "PUT_URL"}, "fetch_url": "http://127.0.0.1/list.csv", "headers": headers or {}}
            done = self.bed.run(vendor.job(source.path, {"put": put}), env={"PUT_URL": url})
            if url.split("sig=")[1].split("&")[0] in done.err + str(done.report):
                raise Mismatch("the signature is shown")
            return done
        finally:
            vendor.close()

    def put(self, headers=None, name="list.csv", source=None):
        source = source or self.bed.list
        self.run(self.signed(name), headers, source).must_end(0)
        client = self.service.get_blob_client(self.CONTAINER, name)
        found = digest(client.download_blob().readall())
        if found != source.yesmail:
            raise Mismatch(f"{found} is stored instead of {source.yesmail}")
        if client.get_blob_properties().blob_type != "BlockBlob":
            raise Mismatch("it is not a block blob")

    def read_only(self):
        return self.run(self.signed("a.csv", write=False)).must_end(30, "403")

    def expired(self):
        return self.run(self.signed("a.csv", hours=-1)).must_end(30, "403")

    def no_container(self):
        return self.run(self.signed("a.csv", container="elsewhere")).must_end(12, "404")

    def end(self):
        self.bed.stop(self.process)
