# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates: whether one fits its key and the present; pure.

It reads as much of X.509 (RFC 5280), PKCS #8 (RFC 5958), PKCS #1 (RFC 8017) and SEC 1 (RFC 5915) as that takes. A kind
of key that it does not know is left to the service, which tests its configuration.
"""

from __future__ import annotations

import base64
import datetime
import re
import typing as t

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s*(.*?)\s*-----END \1-----", re.DOTALL)
_KEYS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")

_INTEGER, _BITS, _OCTETS, _SEQUENCE, _UTC_TIME, _TIME = 0x02, 0x03, 0x04, 0x30, 0x17, 0x18
_FIRST, _SECOND = 0xA0, 0xA1
_RSA = bytes.fromhex("2a864886f70d010101")
_EC = bytes.fromhex("2a8648ce3d0201")


class Unreadable(ValueError):
    """A text that is not what it should be; the message says why, as a clause."""


class Element(t.NamedTuple):
    """A part of a DER structure."""

    tag: int
    content: bytes

    @property
    def parts(self) -> list[Element]:
        """What it consists of."""
        found, at = [], 0
        while at < len(self.content):
            element, at = _element(self.content, at)
            found.append(element)
        return found


class Certificate(t.NamedTuple):
    """What a certificate says.

    :param public: its public key, comparable with that of a private one.
    """

    begins: datetime.datetime
    ends: datetime.datetime
    public: bytes


class Fault(t.NamedTuple):
    """What is wrong.

    :param code: of docs/codes.md.
    :param text: a clause for a person, whose subject is what has the certificate.
    """

    code: str
    text: str


def _element(data: bytes, at: int) -> tuple[Element, int]:
    tag, length, at = data[at], data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, at = int.from_bytes(data[at : at + size], "big"), at + size
    if at + length > len(data):
        raise IndexError
    return Element(tag, data[at : at + length]), at + length


def _blocks(text: str) -> list[tuple[str, bytes]]:
    return [(kind, base64.b64decode("".join(body.split()), validate=True)) for kind, body in _BLOCK.findall(text)]


def _moment(element: Element) -> datetime.datetime:
    text = element.content.decode("ascii")
    if element.tag == _UTC_TIME:
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.timezone.utc)


def read(text: str) -> Certificate:
    """Read the first certificate of a PEM file; those that follow are its issuers'.

    :raises Unreadable: it is none.
    """
    try:
        first = next((data for kind, data in _blocks(text) if kind == "CERTIFICATE"), None)
        if first is None:
            raise Unreadable("has no certificate in PEM form")
        fields = _element(first, 0)[0].parts[0].parts
        # The version is left out in those of version 1.
        validity, _subject, key = fields[4:7] if fields[0].tag == _FIRST else fields[3:6]
        begins, ends = map(_moment, validity.parts)
        return Certificate(begins, ends, key.parts[1].content[1:])
    except Unreadable:
        raise
    except (IndexError, ValueError):
        raise Unreadable("has a certificate that cannot be read") from None


def public_of(text: str) -> bytes | None:
    """Return the public key of a private one; None for a kind of key that is not known here.

    :raises Unreadable: it is no private key, or one that needs a passphrase.
    """
    if "ENCRYPTED" in text:
        raise Unreadable("has a key with a passphrase, which a service cannot give")
    try:
        kind, data = next(((kind, data) for kind, data in _blocks(text) if kind in _KEYS), ("", b""))
        if not kind:
            raise Unreadable("has no private key in PEM form")
        algorithm = {"RSA PRIVATE KEY": _RSA, "EC PRIVATE KEY": _EC}.get(kind, b"")
        if not algorithm:
            _version, about, inner = _element(data, 0)[0].parts[:3]
            algorithm, data = about.parts[0].content, inner.content
        parts = _element(data, 0)[0].parts if algorithm in (_RSA, _EC) else []
        if algorithm == _RSA:
            return b"".join(_encoded(part) for part in parts[1:3])
        return next((part.parts[0].content[1:] for part in parts if part.tag == _SECOND), None)
    except Unreadable:
        raise
    except (IndexError, ValueError):
        raise Unreadable("has a key that cannot be read") from None


def _encoded(element: Element) -> bytes:
    return bytes([element.tag]) + element.content


def _comparable(public: bytes) -> bytes:
    """Return a certificate's key as :func:`public_of` gives it: of RSA's, modulus and exponent."""
    if public[:1] == bytes([_SEQUENCE]):
        return b"".join(_encoded(part) for part in _element(public, 0)[0].parts)
    return public


def fault(certificate: str, key: str, now: datetime.datetime) -> Fault | None:
    """Say what is wrong with a certificate and its key: None when nothing is."""
    try:
        read_certificate, public = read(certificate), public_of(key)
    except Unreadable as error:
        return Fault(code="bad_certificate", text=str(error))
    if public is not None and public != _comparable(read_certificate.public):
        return Fault(code="other_key", text="has a certificate and a key that do not belong together")
    if now >= read_certificate.ends:
        return Fault(
            code="expired_certificate",
            text=f"has a certificate that expired on {read_certificate.ends:%d %B %Y, %H:%M} UTC",
        )
    if now < read_certificate.begins:
        return Fault(
            code="expired_certificate",
            text=f"has a certificate that begins on {read_certificate.begins:%d %B %Y, %H:%M} UTC",
        )
    return None
