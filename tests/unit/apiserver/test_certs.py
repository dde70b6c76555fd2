"""The serving certificate that a server makes for itself."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from apiserver.certs import serving_files

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_it_is_made_once_and_kept(tmp_path: Path) -> None:
    files = serving_files(tmp_path / "certs", ["10.96.0.1", "host"], NOW)
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    leaf, authority = x509.load_pem_x509_certificates(files.certificate.read_bytes())
    leaf.verify_directly_issued_by(authority)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"kubernetes.default.svc", "localhost", "host"} <= set(names.get_values_for_type(x509.DNSName))
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["10.96.0.1"]
    before = files.certificate.read_bytes()
    assert serving_files(tmp_path / "certs", ["10.96.0.1"], NOW).certificate.read_bytes() == before


def test_it_is_made_anew_when_it_no_longer_serves(tmp_path: Path) -> None:
    first = serving_files(tmp_path, ["10.96.0.1"], NOW).certificate.read_bytes()
    other_host = serving_files(tmp_path, ["10.97.0.1"], NOW).certificate.read_bytes()
    assert other_host != first
    later = serving_files(tmp_path, ["10.97.0.1"], NOW + timedelta(days=350)).certificate.read_bytes()
    assert later != other_host
    (tmp_path / "apiserver.key").write_text("garbage")
    assert serving_files(tmp_path, ["10.97.0.1"], NOW + timedelta(days=350)).certificate.read_bytes() != later
