"""What answers of Prometheus say of a pod that others deploy."""

from scalableapp.core.model import DataProblem
from scalableapp.ports import ContainerAnswer

WEB, DB = ("shop", "web-1"), ("shop", "db-1")


def test_a_pod_of_which_one_container_cannot_be_used_has_no_value_without_a_template_either() -> None:
    values = {WEB: {"web": 0.5}, DB: {"db": 1.0}}
    found = ContainerAnswer(values, refused={WEB: (DataProblem.DUPLICATE, "several clusters")})
    assert found.of_pods(None, ()).values == {DB: 1.0}
    assert found.of_pods("web", ()).values == {}
    assert found.of_pods(None, ()).refused == found.refused
