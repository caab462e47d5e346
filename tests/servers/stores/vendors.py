"""Yesmail and CleverTap as far as a run asks them; the list itself goes to a real store. Shares nothing with listferry."""

import http.server
import json
import threading


class Vendor:
    """Serves on loopback what `answer(method, path, body)` says: status, headers, body."""

    def __init__(self, answer):
        self.asked = []
        vendor = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                vendor.asked.append((self.command, self.path, body))
                status, headers, content = answer(self.command, self.path, body)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": len(content)}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_HEAD = reply

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, method, part):
        return [body for did, path, body in self.asked if did == method and part in path]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def as_json(status, content, **headers):
    return status, {"Content-Type": "application/json", **headers}, json.dumps(content).encode()


class Yesmail(Vendor):
    """Takes every import; its ticket is completed at once, with `records` rows imported."""

    def __init__(self, records):
        self.records = records

        def answer(method, path, body):
            if method == "POST" and path.split("?")[0].endswith("/file-import"):
                ticket = {"id": "77", "state": "accepted", "message": "taken", "events": []}
                return as_json(202, ticket, **{"Content-Location": f"{self.base}/v2/tickets/77"})
            if path.startswith("/v2/tickets/77"):
                there = f"{self.base}/v2/async-results/88"
                return as_json(200, {"id": "77", "state": "completed", "message": "done", "response": {"location": there}})
            if path.startswith("/v2/async-results/88"):
                counts = {"completed": self.records, "failed": 0, "ignored": 0, "total": self.records}
                return as_json(200, {"id": "88", "counts": counts, "failed": [], "ignored": []})
            if path.startswith("/v2/company/ping"):
                return as_json(200, {})
            if path.startswith("/v2/target-lists"):
                return as_json(200, {"targetList": []})
            return as_json(404, {"message": "no such thing"})

        super().__init__(answer)

    def imported_from(self):
        """The address that the import request named."""
        return json.loads(self.of("POST", "/file-import")[-1])["source"]["uri"]

    def job(self, source, host, **more):
        return {
            "source": {"path": str(source)},
            "map": {"id": "email", "name": "name", "note": "note"},
            "upload": {"attempts": 4, "give_up_after": "40s", "connect_timeout": "3s"},
            "wait": "20s",
            "destination": {"platform": "yesmail", "base_url": self.base, "list": "people", "api_user": "user",
                            "api_key": "key", "separator": ",", "host": host},
            **more,
        }


class CleverTap(Vendor):
    """Hands out what `sign()` gives as the URL of the upload."""

    def __init__(self, sign):
        def answer(method, path, body):
            if "get_custom_list_segment_url" in path:
                return as_json(200, {"presignedS3URL": sign(), "expiry": "in a day", "status": "success"})
            if "upload_custom_list_segment_completed" in path:
                return as_json(200, {"Segment ID": 4711, "status": "success"})
            return as_json(404, {"status": "fail", "error": "no such thing"})

        super().__init__(answer)

    def job(self, source, **more):
        return {
            "source": {"path": str(source)},
            "map": {"identity": "email"},
            "upload": {"attempts": 3, "give_up_after": "40s", "connect_timeout": "3s"},
            "destination": {"platform": "clevertap", "base_url": self.base, "account_id": "ACCOUNT", "passcode": "PASSCODE",
                            "segment": "VIP", "creator": "etl", "email": "admin@example.com"},
            **more,
        }
