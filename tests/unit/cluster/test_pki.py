import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from kubeling.cluster.pki import LIFETIME, Authority, Leaf, ensure_service_account_key

SERVER = Leaf("server", "kube-apiserver", names=("localhost", "127.0.0.1"))
CLIENT = Leaf("client", "system:node:n", ("system:nodes",))


def load(folder, name):
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def test_leaves_are_signed_by_the_authority_and_say_what_they_are_for(tmp_path):
    authority = Authority(tmp_path)
    authority.ensure(SERVER)
    authority.ensure(CLIENT)
    for name in ("server", "client"):
        load(tmp_path, name).verify_directly_issued_by(authority.certificate)
    usages = [
        load(tmp_path, n).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value for n in ("server", "client")
    ]
    assert ExtendedKeyUsageOID.SERVER_AUTH in usages[0]
    assert ExtendedKeyUsageOID.SERVER_AUTH not in usages[1]
    assert load(tmp_path, "client").subject.rfc4514_string() == "CN=system:node:n,O=system:nodes"


def test_private_keys_are_private(tmp_path):
    authority = Authority(tmp_path)
    authority.ensure(SERVER)
    ensure_service_account_key(tmp_path)
    for key in ("ca.key", "server.key", "sa.key"):
        assert stat.S_IMODE((tmp_path / key).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("later", "leaf", "renewed"),
    [
        (timedelta(0), SERVER, False),
        (LIFETIME - timedelta(days=10), SERVER, True),  # about to expire
        (timedelta(0), Leaf("server", "kube-apiserver", names=("localhost",)), True),  # other names
        (timedelta(0), Leaf("server", "other", names=("localhost", "127.0.0.1")), True),  # other subject
    ],
)
def test_certificates_are_kept_until_they_must_change(tmp_path, later, leaf, renewed):
    now = datetime.now(UTC)
    Authority(tmp_path, now).ensure(SERVER)
    before = load(tmp_path, "server").serial_number
    Authority(tmp_path, now + later).ensure(leaf)
    assert (load(tmp_path, "server").serial_number != before) == renewed


def test_the_service_account_key_is_made_once(tmp_path):
    ensure_service_account_key(tmp_path)
    before = (tmp_path / "sa.key").read_bytes()
    ensure_service_account_key(tmp_path)
    assert (tmp_path / "sa.key").read_bytes() == before
