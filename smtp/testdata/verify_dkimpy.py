# Verifies every DKIM signature of the mails in the files, with dkimpy and the records
# in a JSON file: verify_dkimpy.py RECORDS FILE... One line each: file, algorithm, pass or fail.
import json
import sys

import dkim

with open(sys.argv[1]) as f:
    records = json.load(f)


def txt(name, timeout=5):
    record = records.get(name.decode().rstrip("."))
    return record and record.encode()


for path in sys.argv[2:]:
    with open(path, "rb") as f:
        mail = f.read()
    count = sum(name.lower() == b"dkim-signature" for name, _ in dkim.rfc822_parse(mail)[0])
    for i in range(count):
        verifier = dkim.DKIM(mail)
        try:
            result = "pass" if verifier.verify(idx=i, dnsfunc=txt) else "fail"
        except dkim.DKIMException as e:
            result = "fail: %s" % e
        print(path, verifier.signature_fields.get(b"a", b"?").decode(), result, sep="\t")
