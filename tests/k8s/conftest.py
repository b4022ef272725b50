import pytest

from ipam_core.testing.kubernetes import KubernetesServer


@pytest.fixture
def server():
    with KubernetesServer() as served:
        yield served


@pytest.fixture
def kubeconfig(server, tmp_path):
    return server.write_kubeconfig(tmp_path / "kubeconfig")
