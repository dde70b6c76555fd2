import base64
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey

from controllers import accounttokens, bootstraptokens, rootca
from controllers.volumes import EPHEMERAL
from kubeling.api.meta import Object, is_controlled_by, name_of
from kubeling.api.resources import CONFIG_MAPS, NAMESPACES, PERSISTENT_VOLUME_CLAIMS, PODS, SECRETS, SERVICE_ACCOUNTS
from tests.unit.controllers.world import World


def token(token_id: str, **more: str) -> Object:
    data = {"token-id": token_id, "token-secret": "s" * 16, "usage-bootstrap-signing": "true", **more}
    encoded = {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}
    metadata = {"name": f"bootstrap-token-{token_id}", "namespace": "kube-system"}
    return {"metadata": metadata, "type": "bootstrap.kubernetes.io/token", "data": encoded}


async def test_tokens_sign_and_expire() -> None:
    async with World(bootstraptokens.CLEANER, bootstraptokens.SIGNER) as w:
        info = {"metadata": {"name": "cluster-info", "namespace": "kube-public"}, "data": {"kubeconfig": "content"}}
        w.api.create(CONFIG_MAPS, info)
        w.api.create(SECRETS, token("aaaaaa", expiration="2026-01-01T00:01:00Z"))
        w.api.create(SECRETS, token("bbbbbb"))
        w.api.create(SECRETS, token("cccccc", **{"usage-bootstrap-signing": "false"}))
        w.api.create(SECRETS, token("TOOLONGID"))
        await w.clock.advance(1)
        data = w.get(CONFIG_MAPS, "cluster-info", "kube-public")["data"]
        assert sorted(data) == ["jws-kubeconfig-aaaaaa", "jws-kubeconfig-bbbbbb", "kubeconfig"]
        head, _, tail = data["jws-kubeconfig-bbbbbb"].split(".")
        payload = base64.urlsafe_b64encode(b"content").rstrip(b"=").decode()
        checked = jws.deserialize_compact(f"{head}.{payload}.{tail}", OctKey.import_key("s" * 16))
        assert checked.headers()["kid"] == "bbbbbb"
        await w.clock.advance(61)
        assert "jws-kubeconfig-aaaaaa" not in w.get(CONFIG_MAPS, "cluster-info", "kube-public")["data"]
        assert sorted(name_of(s) for s in w.api.all(SECRETS))[1:] == [
            "bootstrap-token-bbbbbb",
            "bootstrap-token-cccccc",
        ]


def test_without_anything_to_sign_the_data_stays() -> None:
    assert bootstraptokens.signed({"jws-kubeconfig-x": "old"}, [("x", "s")]) == {"jws-kubeconfig-x": "old"}


async def test_a_described_ca_certificate_is_left_alone_and_a_changed_one_is_put_right(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("CA")
    async with World(rootca.CONTROLLER, root_ca_file=str(tmp_path / "ca.crt")) as w:
        w.create(NAMESPACES, "ns", {}, namespace="")
        await w.settle()
        assert w.get(CONFIG_MAPS, rootca.NAME)["data"] == {"ca.crt": "CA"}
        other = {"kubernetes.io/description": "ours"}
        w.api.update(CONFIG_MAPS, "ns", rootca.NAME, lambda c: c["metadata"].update(annotations=other))
        await w.settle()
        assert w.get(CONFIG_MAPS, rootca.NAME)["metadata"]["annotations"] == other
        w.api.update(CONFIG_MAPS, "ns", rootca.NAME, lambda c: c.update(data={"ca.crt": "wrong"}))
        await w.settle()
        assert w.get(CONFIG_MAPS, rootca.NAME)["data"] == {"ca.crt": "CA"}


async def test_ephemeral_volumes_get_claims_of_their_pod() -> None:
    async with World(EPHEMERAL) as w:
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"resources": {}}}
        volume = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}
        w.create(PERSISTENT_VOLUME_CLAIMS, "other-scratch", {})
        w.create(PODS, "p", {"volumes": [volume]})
        w.create(PODS, "other", {"volumes": [volume]})
        await w.clock.advance(1)
        claim = w.get(PERSISTENT_VOLUME_CLAIMS, "p-scratch")
        assert is_controlled_by(claim, w.get(PODS, "p")) and claim["metadata"]["labels"] == {"a": "b"}
        assert not w.get(PERSISTENT_VOLUME_CLAIMS, "other-scratch")["metadata"].get("ownerReferences")


async def test_token_secrets_are_filled_and_go_with_their_account(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "sa.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "ca.crt").write_text("CA")
    files = {"service_account_private_key_file": str(tmp_path / "sa.key"), "root_ca_file": str(tmp_path / "ca.crt")}
    async with World(accounttokens.CONTROLLER, **files) as w:
        account = w.create(SERVICE_ACCOUNTS, "robot", {})
        annotations = {"kubernetes.io/service-account.name": "robot"}
        secret = {"metadata": {"name": "t", "namespace": "ns", "annotations": annotations}}
        w.api.create(SECRETS, {**secret, "type": "kubernetes.io/service-account-token"})
        await w.settle()
        data = {k: base64.b64decode(v).decode() for k, v in w.get(SECRETS, "t")["data"].items()}
        assert (data["namespace"], data["ca.crt"]) == ("ns", "CA")
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        claims = jwt.decode(data["token"], ECKey.import_key(pem), algorithms=["ES256"]).claims
        assert claims["sub"] == "system:serviceaccount:ns:robot"
        assert claims["kubernetes.io/serviceaccount/service-account.uid"] == account["metadata"]["uid"]
        w.api.update(SECRETS, "ns", "t", lambda s: s["data"].update(namespace="b3RoZXI="))
        await w.settle()
        assert w.get(SECRETS, "t")["data"]["namespace"] == "b3RoZXI="  # what is there stays
        w.api.delete(SERVICE_ACCOUNTS, "ns", "robot")
        await w.settle()
        assert w.api.all(SECRETS) == []


async def test_a_token_that_is_deleted_leaves_its_accounts_list(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "sa.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    async with World(accounttokens.CONTROLLER, service_account_private_key_file=str(tmp_path / "sa.key")) as w:
        w.api.create(
            SERVICE_ACCOUNTS,
            {"metadata": {"name": "robot", "namespace": "ns"}, "secrets": [{"name": "t"}, {"name": "other"}]},
        )
        annotations = {"kubernetes.io/service-account.name": "robot"}
        secret = {"metadata": {"name": "t", "namespace": "ns", "annotations": annotations}}
        w.api.create(SECRETS, {**secret, "type": "kubernetes.io/service-account-token"})
        await w.settle()
        w.api.delete(SECRETS, "ns", "t")
        await w.settle()
        assert w.get(SERVICE_ACCOUNTS, "robot")["secrets"] == [{"name": "other"}]
