#!/bin/sh
# verify-license.sh - verify the signature of an LCP license document
#
# usage: scripts/verify-license.sh LICENSE [ROOT.pem]
#
# Does what a reading system does (Readium LCP 1.0, section 5.5), with openssl and
# the standard library of Python 3 and nothing of lcp: takes the signature object
# out, brings the rest into canonical form, and verifies the signature with the
# certificate in the license, which must have been valid when the license was last
# updated. With ROOT.pem, the certificate must also have been issued under it.
#
# Prints one line. Exit code: 0 the license is good, 1 it is not, or could not be
# read, 2 wrong usage or a tool is missing.

set -eu

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
	echo "usage: $0 LICENSE [ROOT.pem]" >&2
	exit 2
fi
for tool in openssl python3; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "$0: $tool is needed" >&2
		exit 2
	fi
done

license=$1
root=${2:-}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

fail() {
	echo "BAD $license: $1"
	exit 1
}

# Writes into $dir: canonical, signature (as openssl wants it), certificate.der and
# updated (seconds since 1970).
python3 - "$license" "$dir" <<'PYTHON' || fail "$(cat "$dir/reason" 2>/dev/null || echo unreadable)"
import base64, datetime, json, os, re, sys
from decimal import Decimal

RSA = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ECDSA = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def once(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def string(text):
    return '"' + re.sub(r'["\\\x00-\x1f]', lambda m: SHORT.get(m[0], "\\u%04X" % ord(m[0])), text) + '"'


def number(value):
    if not value:
        return "0"
    if value == value.to_integral_value():
        return "%d" % value
    sign, digits, exponent = value.normalize().as_tuple()
    digits = "".join(map(str, digits))
    return "%s%s.%sE%d" % ("-" * sign, digits[0], digits[1:] or "0", exponent + len(digits) - 1)


def canonical(value):
    if isinstance(value, dict):
        return "{" + ",".join(string(k) + ":" + canonical(value[k]) for k in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, str):
        return string(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return number(value)


def der(value):  # r and s of 32 bytes each, to an ASN.1 SEQUENCE of two INTEGERs
    if len(value) != 64:
        raise ValueError("an ECDSA signature must have 64 bytes, it has %d" % len(value))
    body = b""
    for half in (value[:32], value[32:]):
        n = int.from_bytes(half, "big")
        half = n.to_bytes(n.bit_length() // 8 + 1, "big")
        body += b"\x02" + bytes([len(half)]) + half
    return b"\x30" + bytes([len(body)]) + body


def main(path, directory):
    def write(name, data):
        with open(os.path.join(directory, name), "wb") as f:
            f.write(data)

    try:
        with open(path, encoding="utf-8") as f:
            document = json.load(f, object_pairs_hook=once, parse_float=Decimal, parse_int=Decimal)
        signature = document.pop("signature")
        value = base64.b64decode(signature["value"], validate=True)
        if signature["algorithm"] == ECDSA:
            value = der(value)
        elif signature["algorithm"] != RSA:
            raise ValueError("unknown signature algorithm " + signature["algorithm"])
        updated = document.get("updated") or document["issued"]
        updated = re.sub(r"\.\d+", "", updated).replace("Z", "+00:00")
        updated = datetime.datetime.fromisoformat(updated).timestamp()
        write("canonical", canonical(document).encode("utf-8"))
        write("certificate.der", base64.b64decode(signature["certificate"], validate=True))
        write("signature", value)
        write("updated", b"%d" % updated)
    except KeyError as e:
        write("reason", ("no %s in it" % e).encode())
        return 1
    except (OSError, ValueError, AttributeError, TypeError, ArithmeticError, RecursionError) as e:
        write("reason", str(e).splitlines()[0].encode("utf-8", "replace"))
        return 1
    return 0


sys.exit(main(*sys.argv[1:]))
PYTHON

openssl x509 -inform DER -in "$dir/certificate.der" -out "$dir/certificate.pem" 2>/dev/null ||
	fail "its certificate is damaged"
openssl x509 -in "$dir/certificate.pem" -noout -pubkey >"$dir/key.pem" 2>/dev/null ||
	fail "its certificate has no usable key"
openssl dgst -sha256 -verify "$dir/key.pem" -signature "$dir/signature" "$dir/canonical" >/dev/null 2>&1 ||
	fail "the signature does not match"

# The certificate stands for its own root where none is given: that leaves its
# validity at the time of the last update to be checked.
openssl verify -attime "$(cat "$dir/updated")" -partial_chain -trusted "${root:-$dir/certificate.pem}" \
	"$dir/certificate.pem" >"$dir/verdict" 2>&1 ||
	fail "the certificate: $(sed -n 's/^error [0-9]* at [0-9]* depth lookup: *//p' "$dir/verdict" | head -n 1)"

subject=$(openssl x509 -in "$dir/certificate.pem" -noout -subject -nameopt RFC2253)
echo "OK $license: signed by ${subject#subject=}${root:+, issued under $root}"
