"""Receives webhooks of straks: verifies each, drops repeats, and prints what is new.

Needs Python 3.9 and nothing else. WEBHOOK_SECRET is the secret, "whsec_…".

    python3 receiver.py HOST PORT
"""

import base64
import hmac
import http.server
import json
import os
import sys
import time

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
TOLERANCE = 300  # seconds
MAX_BODY = 1 << 20
seen = set()  # in a real receiver: a table with a unique id, written together with the event


def good(headers, body):
    """Reports whether the request was signed with the key, lately."""
    stamp = headers["webhook-timestamp"] or ""
    if not stamp.isascii() or not stamp.isdigit() or abs(time.time() - int(stamp)) > TOLERANCE:
        return False
    signed = f"{headers['webhook-id']}.{stamp}.".encode() + body
    want = "v1," + base64.b64encode(hmac.digest(KEY, signed, "sha256")).decode()
    # There are two while the secret is being changed.
    return any(hmac.compare_digest(want.encode(), s.encode()) for s in (headers["webhook-signature"] or "").split())


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self):
        length = int(self.headers["content-length"] or 0)
        body = self.rfile.read(length) if length <= MAX_BODY else b""
        if not good(self.headers, body):
            return self.answer(401)
        event, id = json.loads(body), self.headers["webhook-id"]
        if id not in seen:
            seen.add(id)
            print(id, event["type"], event["data"]["recipients"][0]["status"], flush=True)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Receiver).serve_forever()
