import socket

import pytest

from cluster import kind, node_image
from cluster.console import ClusterError
from cluster.settings import KIND_CONFIG


def test_the_variant_for_the_built_image_switches_the_missing_network_off() -> None:
    assert kind.for_built_image("kind: Cluster\n") == "kind: Cluster\nnetworking:\n  disableDefaultCNI: true\n"


def test_the_variant_keeps_the_users_own_network_settings() -> None:
    config = "kind: Cluster\nnetworking:\n  apiServerPort: 6443\nnodes: []\n"
    expected = "kind: Cluster\nnetworking:\n  disableDefaultCNI: true\n  apiServerPort: 6443\nnodes: []\n"
    assert kind.for_built_image(config) == expected


def test_published_ports_are_read_from_the_configuration_but_not_from_its_comments() -> None:
    config = "# hostPort: 1\n  - {containerPort: 80, hostPort: 8080}\n  - containerPort: 443\n    hostPort: 8443\n"
    assert kind.host_ports(config) == [8080, 8443]


def test_the_repositorys_configuration_publishes_the_ingress_on_loopback_only() -> None:
    text = KIND_CONFIG.read_text()
    assert kind.host_ports(text) == [8080, 8443]
    assert text.count("listenAddress: 127.0.0.1") == 2


def test_upstreams_node_image_is_pinned_by_digest() -> None:
    assert node_image.upstream().startswith("kindest/node:v1.")
    assert "@sha256:" in node_image.upstream()


@pytest.mark.process
def test_a_busy_port_is_refused_with_a_way_to_find_who_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(kind, "host_ports", lambda config: [port])
        with pytest.raises(ClusterError, match=f"port {port} of 127.0.0.1 is in use.*ss -ltnp"):
            kind._refuse_busy_ports()
