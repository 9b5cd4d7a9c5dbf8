"""A ClientHello of one's own, for what no library of today offers any more, and what is answered."""

import os
import socket
import struct

HANDSHAKE, ALERT, SERVER_HELLO = 22, 21, 2
# What each client may have: P-256, X25519 and P-384, and signatures by ECDSA or RSA with SHA-2.
GROUPS = (23, 29, 24)
SIGNATURES = (0x0403, 0x0503, 0x0804, 0x0805, 0x0401, 0x0501)
# ECDHE with AES-128-GCM, by ECDSA and by RSA.
GOOD = (0xC02B, 0xC02F)

WEAK_SUITES = {
    "RC4": (0x0004, 0x0005, 0xC007, 0xC011),
    "DES and 3DES": (0x0009, 0x000A, 0x0015, 0x0016, 0xC008, 0xC012),
    "export": (0x0003, 0x0006, 0x0008, 0x000B, 0x000E, 0x0011, 0x0014),
    "no encryption": (0x0001, 0x0002, 0x003B, 0xC006, 0xC010),
    "no certificate": (0x0018, 0x001B, 0x0034, 0x003A, 0x006C, 0x006D, 0x00A6, 0xC018, 0xC019),
    "no forward secrecy": (0x002F, 0x0035, 0x003C, 0x003D, 0x009C, 0x009D, 0x0041, 0x0084, 0xC09C),
    "CBC": (0xC009, 0xC00A, 0xC013, 0xC014, 0xC023, 0xC024, 0xC027, 0xC028, 0x0033, 0x0039, 0x0067),
    "finite fields": (0x009E, 0x009F, 0xCCAA),
    "short tags": (0xC0A0, 0xC0A2, 0xC0AE, 0xC0AF),
}
# sect163k1, secp192r1, secp224r1, secp256k1.
WEAK_GROUPS = (1, 19, 21, 22)
# By MD5 and by SHA-1, with RSA and with ECDSA.
WEAK_SIGNATURES = (0x0101, 0x0201, 0x0203)


def _vector(form, *numbers):
    """A list of 16-bit numbers with its length before it."""
    body = b"".join(struct.pack(">H", it) for it in numbers)
    return struct.pack(form, len(body)) + body


def _extension(number, body):
    return struct.pack(">HH", number, len(body)) + body


def client_hello(name, suites=GOOD, version=0x0303, groups=GROUPS, signatures=SIGNATURES):
    """RFC 5246 §7.4.1.2, in one record."""
    host = name.encode()
    extensions = _extension(0, struct.pack(">HBH", len(host) + 3, 0, len(host)) + host)
    extensions += _extension(10, _vector(">H", *groups))
    extensions += _extension(11, b"\x01\x00")
    extensions += _extension(13, _vector(">H", *signatures))
    body = struct.pack(">H", version) + os.urandom(32) + b"\x00" + _vector(">H", *suites)
    # One method of compression: none.
    body += b"\x01\x00" + struct.pack(">H", len(extensions)) + extensions
    message = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return struct.pack(">BHH", HANDSHAKE, min(version, 0x0301), len(message)) + message


def answer(port, sent):
    """`hello SUITE`, `alert NUMBER` or `closed`."""
    with socket.create_connection(("127.0.0.1", port), 10) as it:
        it.sendall(sent)
        seen = b""
        try:
            while piece := it.recv(4096):
                seen += piece
                if len(seen) >= 5 + 4 + 2 + 32 + 1 + 32 + 2 or seen[0] == ALERT:
                    break
        except ConnectionResetError:
            pass
    if not seen:
        return "closed"
    if seen[0] == ALERT:
        return f"alert {seen[6]}"
    if seen[0] != HANDSHAKE or seen[5] != SERVER_HELLO:
        return f"bytes {seen[:16].hex()}"
    session = seen[5 + 4 + 2 + 32]
    at = 5 + 4 + 2 + 32 + 1 + session
    return f"hello {int.from_bytes(seen[at : at + 2], 'big'):#06x}"
