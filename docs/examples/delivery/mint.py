"""Prints a token for a loan of 14 days.

    DELIVERY_KID=… DELIVERY_SECRET=… python3 mint.py ASSET USER
"""
import base64
import hashlib
import hmac
import json
import os
import sys
import time
import uuid


def part(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def main(asset, user):
    secret = bytes.fromhex(os.environ["DELIVERY_SECRET"])  # as lcp secrets add shows it
    header = {"alg": "HS256", "typ": "JWT", "kid": os.environ["DELIVERY_KID"]}
    claims = {
        "jti": str(uuid.uuid4()),  # good for one license
        "iat": int(time.time()),
        "optData": {"userId": user},
        "crt": {
            "assetId": asset,
            "profile": {"type": "rental", "relativeExpiration": "P14D"},
            "lcp": {"print": 10, "copy": 10000},
            "passHash": hashlib.sha256("the user's passphrase".encode()).hexdigest(),
            "textHint": "The passphrase of your account",
        },
    }
    text = part(json.dumps(header).encode()) + b"." + part(json.dumps(claims).encode())
    signature = hmac.new(secret, text, hashlib.sha256).digest()
    print((text + b"." + part(signature)).decode())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: mint.py ASSET USER")
    main(*sys.argv[1:])
