"""A loopback server that drops bodies in the kernel, so that the sender is the limit; it answers as CleverTap, its
storage and mediarithmics do. Prints its port, then serves until its standard input closes. With a PEM file of
certificate and key it speaks TLS; then it has to decrypt what it drops."""
import json
import re
import socket
import ssl
import sys
import threading

DROP = 1 << 20


def head(conn, rest):
    while b"\r\n\r\n" not in rest:
        more = conn.recv(65536)
        if not more:
            return None, None, b""
        rest += more
    text, rest = rest.split(b"\r\n\r\n", 1)
    lines = text.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
    return lines[0], fields, rest


def drop_chunked(conn, rest):
    while not rest.endswith(b"0\r\n\r\n"):
        more = conn.recv(DROP)
        if not more:
            return
        rest = (rest + more)[-8:]


def drop(conn, fields, rest):
    if "chunked" in fields.get("transfer-encoding", ""):
        drop_chunked(conn, rest)
        return b""
    left = int(fields.get("content-length", 0))
    taken, rest = rest[:left], rest[left:]
    left -= len(taken)
    scratch = bytearray(DROP)
    # MSG_TRUNC: the kernel forgets the bytes, nothing is copied
    how = () if isinstance(conn, ssl.SSLSocket) else (socket.MSG_TRUNC,)
    while left:
        n = conn.recv_into(scratch, min(left, DROP), *how)
        if n == 0:
            return b""
        left -= n
    return rest


def answer(first, scheme, port):
    method, target, _ = first.split(" ", 2)
    if target.endswith("/get_custom_list_segment_url"):
        url = (f"{scheme}://127.0.0.1:{port}/bucket/list.csv?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=86400"
               "&X-Amz-SignedHeaders=host&X-Amz-Signature=00")
        return {"presignedS3URL": url, "expiry": "1 Jan, 12:00 AM", "status": "success"}
    if method == "POST" and target.endswith("/document_imports"):
        return {"status": "ok", "data": {
            "id": "1000", "datafarm_key": "DF", "datamart_id": "1234", "document_type": "USER_SEGMENT",
            "mime_type": "APPLICATION_X_NDJSON", "encoding": "utf-8", "name": "bench"}}
    if method == "POST" and re.search(r"/executions$", target):
        return {"status": "ok", "data": {"id": "5000", "status": "PENDING", "result": None, "error": None}}
    if method == "POST":
        return {"Segment ID": 1598345958, "status": "success"}
    return None


def serve(conn, port):
    rest = b""
    with conn:
        while True:
            first, fields, rest = head(conn, rest)
            if first is None:
                return
            if "100-continue" in fields.get("expect", "").lower():
                conn.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            rest = drop(conn, fields, rest)
            said = answer(first, "https" if isinstance(conn, ssl.SSLSocket) else "http", port)
            body = json.dumps(said).encode() if said else b""
            kind = b"Content-Type: application/json\r\n" if said else b""
            conn.sendall(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (kind, len(body), body))


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    tls = None
    if len(sys.argv) > 1:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(sys.argv[1])
    print(port, flush=True)

    def accept():
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(conn,), daemon=True).start()

    def handle(conn):
        serve(tls.wrap_socket(conn, server_side=True) if tls else conn, port)

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
