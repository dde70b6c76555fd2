import pytest

from kubeling.cluster.config import ALL_COMPONENTS, load_config
from kubeling.cluster.errors import ClusterError


def test_defaults():
    config = load_config(None, {"name": None})
    assert (config.name, config.nodes, config.port, config.components) == ("dev", 1, 6443, ALL_COMPONENTS)
    assert config.context == "kubeling-dev"
    assert config.node_names == ("dev-1",)
    assert config.service_address(10) == "10.96.0.10"


def test_flags_override_the_file(tmp_path):
    file = tmp_path / "cluster.yaml"
    file.write_text("name: mine\nnodes: 3\nserviceCIDR: 10.97.0.0/16\nextraArgs: {scheduler: ['--v=4']}\n")
    config = load_config(file, {"nodes": 2, "port": None})
    assert (config.name, config.nodes, config.service_cidr) == ("mine", 2, "10.97.0.0/16")
    assert config.extra_args == {"scheduler": ["--v=4"]}


@pytest.mark.parametrize(
    ("text", "overrides", "says"),
    [
        ("colour: red", {}, "colour"),
        ("- a", {}, "mapping"),
        ("a: [", {}, "not YAML"),
        ("", {"name": "Upper"}, "name"),
        ("", {"only": ("apiservr",)}, "only"),
        ("", {"nodes": 0}, "nodes"),
        ("", {"kubernetes_version": "2.0"}, "kubernetes_version"),
        ("serviceCIDR: 10.96.0.0/33", {}, "service_cidr"),
    ],
)
def test_bad_settings_are_named(tmp_path, text, overrides, says):
    file = tmp_path / "cluster.yaml"
    file.write_text(text or "{}")
    with pytest.raises(ClusterError) as raised:
        load_config(file, overrides)
    assert says in raised.value.message


def test_missing_file(tmp_path):
    with pytest.raises(ClusterError, match="cannot read"):
        load_config(tmp_path / "none.yaml", {})
