"""The kubelet's flags: what has no effect says so."""

from __future__ import annotations

import pytest

from kubelet.options import IGNORED, Options
from kubeling.client.flags import parse_flags


@pytest.mark.parametrize("flag", ["fail-swap-on"])
def test_a_flag_without_effect_is_taken_and_says_so(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert parse_flags(Options, "kubelet", [f"--{flag}=1"], ignored=IGNORED) == parse_flags(
        Options, "kubelet", [], ignored=IGNORED
    )
    with pytest.raises(SystemExit):
        parse_flags(Options, "kubelet", ["--help"], ignored=IGNORED)
    _, _, without_effect = capsys.readouterr().out.partition("accepted for compatibility, without effect")
    assert f"--{flag} " in without_effect


def test_the_server_listens_everywhere_unless_told_where() -> None:
    assert parse_flags(Options, "kubelet", [], ignored=IGNORED).address == "0.0.0.0"
    assert parse_flags(Options, "kubelet", ["--address=10.1.2.3"], ignored=IGNORED).address == "10.1.2.3"
