"""Sends an SMS through straks, follows the feed of status changes, and verifies a person's number by a code.

Needs Python 3.9 and nothing else. STRAKS_URL is the base URL, STRAKS_TOKEN the bearer token.

    python3 straks.py send PHONE TEXT     prints the shipment's id
    python3 straks.py follow FILE [N]     prints each change, ends after N of them; FILE keeps the cursor
    python3 straks.py start PHONE         sends a code, prints the verification's id
    python3 straks.py check ID CODE       prints approved, pending and the attempts left, or ended and why
"""

import json
import os
import pathlib
import sys
import time
import urllib.error
import urllib.request
import uuid

URL, TOKEN = os.environ["STRAKS_URL"], os.environ["STRAKS_TOKEN"]
TRY_AGAIN = {408, 429}  # and every 5xx


class Refused(Exception):
    """The service answered that repeating the call does not help."""

    def __init__(self, status, text):
        super().__init__(f"refused with {status}: {text}")
        self.status, self.text = status, text


def call(path, body=None):
    """Returns the answer's JSON; None and the seconds to wait where the call may be repeated."""
    request = urllib.request.Request(URL + path, headers={"Authorization": "Bearer " + TOKEN})
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=35) as answer:
            return json.load(answer), 0
    except urllib.error.HTTPError as e:
        if e.code in TRY_AGAIN or e.code >= 500:
            after = e.headers.get("Retry-After", "")
            return None, int(after) if after.isdigit() else 1
        raise Refused(e.code, e.read().decode(errors="replace")) from None
    except (OSError, ValueError):  # no answer, or half of one
        return None, 1


def persist(path, body, for_seconds):
    """Repeats a call until there is an answer."""
    deadline = time.monotonic() + for_seconds
    while True:
        answer, pause = call(path, body)
        if answer is not None:
            return answer
        if time.monotonic() + pause > deadline:
            raise TimeoutError("given up: no answer, or none that says more than to try again")
        time.sleep(pause)


def send(phone, text, for_seconds=60):
    # One key for one message, made before the first attempt and the same in each. It makes the repeat
    # safe: straks sends a key once, however often it comes. Keep it with what the message is about.
    order = {
        "idempotencyId": str(uuid.uuid4()),
        "recipientSms": {"phoneNumber": phone, "timeToLiveInSeconds": 300, "smsSettings": {"body": text}},
    }
    return persist("/future/orders/instant/sms", order, for_seconds)["notification"]["shipmentId"]


def start(phone, for_seconds=60):
    """Sends a code. Keep the id in the person's session, and take it from nowhere else."""
    request = {"idempotencyId": str(uuid.uuid4()), "recipientSms": {"phoneNumber": phone}}  # one key, as in send
    return persist("/verifications", request, for_seconds)["verificationId"]


def check(verification, code):
    """Returns what came of a code. The right one is approved again for 10 seconds, so a repeat may ask for so long."""
    try:
        answer = persist(f"/verifications/{verification}/check", {"code": code}, 10)
    except Refused as e:
        if e.status != 410:
            raise
        return "ended " + json.loads(e.text)["code"]  # expired, used, exhausted, cancelled: start again
    if answer["status"] == "approved":
        return "approved"
    return f"pending {answer['attemptsLeft']}"  # it was wrong


def follow(file, handle, count=0):
    """Calls handle with each entry, in order. After a crash the last entry may come again."""
    cursor = int(file.read_text()) if file.exists() else 0
    while True:
        page, pause = call(f"/future/shipment/feed?seq={cursor}&wait=30")
        for entry in page or []:
            handle(entry)
            cursor = entry["sequenceNumber"]
            file.write_text(str(cursor))  # only when the entry is dealt with
            count -= 1
            if count == 0:
                return
        time.sleep(pause)  # 0 after an answer: the service has waited


def show(entry):
    print(entry["sequenceNumber"], entry["shipmentId"], entry["recipients"][0]["status"], flush=True)


if __name__ == "__main__":
    try:
        if sys.argv[1:2] == ["send"] and len(sys.argv) == 4:
            print(send(sys.argv[2], sys.argv[3]))
        elif sys.argv[1:2] == ["follow"] and len(sys.argv) in (3, 4):
            follow(pathlib.Path(sys.argv[2]), show, int(sys.argv[3]) if len(sys.argv) == 4 else 0)
        elif sys.argv[1:2] == ["start"] and len(sys.argv) == 3:
            print(start(sys.argv[2]))
        elif sys.argv[1:2] == ["check"] and len(sys.argv) == 4:
            print(check(sys.argv[2], sys.argv[3]))
        else:
            sys.exit(__doc__)
    except (Refused, TimeoutError) as e:
        sys.exit(str(e))
