"""Answers whether a license may be delivered.

    DELIVERY_KID=… DELIVERY_SECRET=… PORT=8000 python3 callback.py
"""
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Two of them while one follows the other.
SECRETS = {os.environ["DELIVERY_KID"]: bytes.fromhex(os.environ["DELIVERY_SECRET"])}


def genuine(headers, body):
    """Checks that the license server sent the body, in the last five minutes."""
    secret = SECRETS.get(headers.get("X-LCP-Key-Id"))
    timestamp = headers.get("X-LCP-Timestamp", "")
    if secret is None or not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > 300:
        return False
    mac = hmac.new(secret, b"v1:" + timestamp.encode() + b":" + body, hashlib.sha256)
    wanted = "v1=" + mac.hexdigest()
    return hmac.compare_digest(wanted.encode(), headers.get("X-LCP-Signature", "").encode())


def decide(question):
    if question["user"] != "u1":  # look the loan up in your database
        return 403, {"message": "Borrow this book first.", "redirectUrl": "https://shop.example.org/books"}
    return 200, {
        "profile": {"type": "rental", "relativeExpiration": "P14D"},
        "user": {"name": "Zoe", "encrypted": ["name"]},
        "passHash": hashlib.sha256("the user's passphrase".encode()).hexdigest(),
        "textHint": "The passphrase of your account",
    }


class Callback(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 1 << 20))
        status, answer = (401, {})
        if genuine(self.headers, body):
            status, answer = decide(json.loads(body))
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Callback)
    print("listening on", server.server_port, flush=True)
    server.serve_forever()
