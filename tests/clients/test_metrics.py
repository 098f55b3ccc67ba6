"""/metrics, read by the parser of Prometheus's own client."""

import requests
from conftest import PEOPLE, URL
from prometheus_client.parser import text_string_to_metric_families


def families():
    answer = requests.get(f"{URL}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def total(family, **labels):
    samples = (it for it in family.samples if labels.items() <= it.labels.items())
    return sum(it.value for it in samples)


def test_the_metrics_are_read_and_count():
    families()
    before = families()
    token = {"X-Auth-Token": PEOPLE["owner"][0]}
    for _ in range(3):
        assert requests.get(f"{URL}/v2/images", headers=token).status_code == 200
    after = families()
    listed = {"operation": "GET /v2/images", "status": "200"}

    def counted(read):
        return total(read["imshare_requests"], **listed) if "imshare_requests" in read else 0

    assert counted(after) == counted(before) + 3
    # Each has its type and a help, and every histogram ends with all of its values.
    for name, family in after.items():
        assert family.documentation, name
        assert family.type in ("counter", "gauge", "histogram"), name
        if family.type == "histogram":
            ends = total_of_buckets(family)
            counts = [it.value for it in family.samples if it.name == f"{name}_count"]
            assert ends == counts, name
    assert after["imshare_duration_seconds"].type == "histogram"
    assert after["process_resident_memory_bytes"].samples[0].value > 1e6


def total_of_buckets(family):
    return [it.value for it in family.samples if it.labels.get("le") == "+Inf"]
