"""What the options say about the proxy in front of extension servers."""

from pathlib import Path

from apiserver.options import parse_options
from apiserver.wiring import request_header_config


def test_extension_servers_hear_of_the_proxy(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("PEM")
    assert request_header_config(parse_options([])) == {}
    flags = [f"--requestheader-client-ca-file={tmp_path / 'ca'}", "--requestheader-allowed-names=front-proxy-client"]
    flags += [
        f"--requestheader-{n}=X-Remote-{v}" for n, v in (("username-headers", "User"), ("group-headers", "Group"))
    ]
    flags.append("--requestheader-extra-headers-prefix=X-Remote-Extra-")
    assert request_header_config(parse_options(flags)) == {
        "requestheader-client-ca-file": "PEM",
        "requestheader-allowed-names": '["front-proxy-client"]',
        "requestheader-username-headers": '["X-Remote-User"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
    }
