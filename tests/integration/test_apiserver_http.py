"""What clients may send that HTTP libraries do not."""

from __future__ import annotations

import json
import socket

import pytest

from tests.integration.conftest import ADMIN, ApiServer, unverified


def raw(server: ApiServer, data: bytes) -> tuple[int, bytes, bytes]:
    """Status, head and body of the answer to bytes sent as they are."""
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    with socket.create_connection(address, timeout=30) as plain, unverified().wrap_socket(plain) as client:
        client.sendall(data)
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head, body


def request(line: str, more: str = "") -> bytes:
    return f"{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN}\r\nconnection: close\r\n{more}\r\n".encode()


@pytest.mark.parametrize("method", ["FOO", "get", "BREW-COFFEE"])
def test_methods_that_nobody_knows_are_not_allowed(apiserver: ApiServer, method: str) -> None:
    status, _, body = raw(apiserver, request(f"{method} /api/v1/namespaces"))
    assert status == 405
    assert json.loads(body)["reason"] == "MethodNotAllowed"


def test_a_connection_goes_on_after_an_unknown_method(apiserver: ApiServer) -> None:
    keep = request("FOO /api/v1/namespaces", "content-length: 2\r\n").replace(b"connection: close\r\n", b"") + b"{}"
    address = ("127.0.0.1", int(apiserver.url.rpartition(":")[2]))
    with socket.create_connection(address, timeout=30) as plain, unverified().wrap_socket(plain) as client:
        client.sendall(keep)
        answer = b""
        while b'"code":405}' not in answer:
            answer += client.recv(65536)
        client.sendall(request("GET /version"))
        assert client.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("data", [b"\x16\x03\x01 nonsense\r\n\r\n", b"FOO\r\n\r\n", b"GET /api HTTP/9.9\r\n\r\n"])
def test_what_is_no_request_is_bad(apiserver: ApiServer, data: bytes) -> None:
    assert raw(apiserver, data)[0] == 400
