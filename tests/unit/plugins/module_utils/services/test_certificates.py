# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates of OpenSSL's making, of each kind that a site may have."""

from __future__ import annotations

import datetime
import subprocess

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.services import certificates

#: Certificates of this test begin a little later than its import.
NOW = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)
KINDS = {
    "rsa": ["rsa:2048"],
    "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ec384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "ed25519": ["ed25519"],
}


def openssl(*words, given=None):
    return subprocess.run(["openssl", *words], input=given, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A certificate and a key by their kind; ``ec2`` is one more of a kind."""
    folder = tmp_path_factory.mktemp("certificates")
    found = {}
    for kind, words in {**KINDS, "ec2": KINDS["ec"]}.items():
        key, certificate = folder / f"{kind}.key", folder / f"{kind}.pem"
        openssl(
            *("req", "-x509", "-newkey", *words, "-nodes", "-days", "10", "-subj", "/CN=shop.example"),
            *("-keyout", str(key), "-out", str(certificate)),
        )
        found[kind] = (certificate.read_text(), key.read_text())
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_fits_its_key(made, kind):
    certificate, key = made[kind]
    assert certificates.fault(certificate, key, NOW) is None
    assert abs(certificates.read(certificate).ends - NOW - 10 * DAY) < DAY


def test_older_forms_of_a_key_are_read(made):
    certificate, key = made["rsa"]
    assert certificates.fault(certificate, openssl("rsa", "-traditional", given=key), NOW) is None
    certificate, key = made["ec"]
    traditional = openssl("ec", given=key)
    assert certificates.fault(certificate, traditional, NOW) is None
    assert certificates.fault(made["ec2"][0], traditional, NOW)[0] == "other_key"


def test_the_issuers_follow_the_certificate(made):
    (certificate, key), (issuer, _key) = made["ec"], made["rsa"]
    assert certificates.fault(certificate + issuer, key, NOW) is None
    assert certificates.fault(issuer + certificate, key, NOW)[0] == "other_key"


@pytest.mark.parametrize(
    ("certificate", "key", "days", "code", "said"),
    [
        ("ec", "ec2", 0, "other_key", "has a certificate and a key that do not belong together"),
        ("rsa", "ec", 0, "other_key", "has a certificate and a key that do not belong together"),
        ("ec", "ec", 11, "expired_certificate", "has a certificate that expired on "),
        ("ec", "ec", -2, "expired_certificate", "has a certificate that begins on "),
    ],
)
def test_a_certificate_that_does_not_fit(made, certificate, key, days, code, said):
    found = certificates.fault(made[certificate][0], made[key][1], NOW + days * DAY)
    assert found is not None
    assert (found[0], found[1].startswith(said)) == (code, True)


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        ("", "k", "has no certificate in PEM form"),
        ("k", "k", "has no certificate in PEM form"),
        ("c", "", "has no private key in PEM form"),
        ("c", "c", "has no private key in PEM form"),
        ("c", "encrypted", "has a key with a passphrase, which a service cannot give"),
        ("broken", "k", "has a certificate that cannot be read"),
        ("c", "short", "has a key that cannot be read"),
    ],
)
def test_what_is_none(made, certificate, key, said):
    texts = {"": "", "c": made["rsa"][0], "k": made["rsa"][1]}
    texts["broken"] = texts["c"].replace("\nMII", "\nMI!")
    lines = texts["k"].splitlines()
    texts["short"] = "\n".join([*lines[:3], lines[-1]])
    texts["encrypted"] = openssl("pkcs8", "-topk8", "-passout", "pass:secret", given=texts["k"])
    assert certificates.fault(texts[certificate], texts[key], NOW) == ("bad_certificate", said)
