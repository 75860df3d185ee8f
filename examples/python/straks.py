"""Sends an SMS through straks, and follows the feed of status changes.

Needs Python 3.9 and nothing else. STRAKS_URL is the base URL, STRAKS_TOKEN the bearer token.

    python3 straks.py send PHONE TEXT     prints the shipment's id
    python3 straks.py follow FILE [N]     prints each change, ends after N of them; FILE keeps the cursor
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
        raise Refused(f"refused with {e.code}: {e.read().decode(errors='replace')}") from None
    except (OSError, ValueError):  # no answer, or half of one
        return None, 1


def send(phone, text, for_seconds=60):
    # One key for one message, made before the first attempt and the same in each. It makes the repeat
    # safe: straks sends a key once, however often it comes. Keep it with what the message is about.
    order = {
        "idempotencyId": str(uuid.uuid4()),
        "recipientSms": {"phoneNumber": phone, "timeToLiveInSeconds": 300, "smsSettings": {"body": text}},
    }
    deadline = time.monotonic() + for_seconds
    while True:
        answer, pause = call("/future/orders/instant/sms", order)
        if answer is not None:
            return answer["notification"]["shipmentId"]
        if time.monotonic() + pause > deadline:
            raise TimeoutError("given up: no answer, or none that says more than to try again")
        time.sleep(pause)


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
        else:
            sys.exit(__doc__)
    except (Refused, TimeoutError) as e:
        sys.exit(str(e))
