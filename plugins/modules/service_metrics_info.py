#!/usr/bin/python
# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: service_metrics_info
short_description: Take one sample of a host and of the application on it
version_added: 0.2.0
author: The scaleout.platform team (@scaleout)
description:
  - Measures processors, memory and network of the host, and asks the application for its counters in the text format
    of Prometheus.
  - In a container the container's own limits count, in both versions of the kernel's control groups. So do the limits
    of a systemd unit where O(unit) is given.
  - What cannot be measured is missing from RV(sample), is never zero, and is named in RV(problems).
  - Counters are returned as they are. The rate of requests over a minute is the difference of two samples. For what a
    single sample can say by itself, the module looks twice, O(look) seconds apart.
  - Keeps nothing on the host. Needs no rights of root, unless C(/proc) is mounted with C(hidepid) or O(pooler_port) is
    given.
options:
  service:
    description: Name of the application.
    type: str
    required: true
  instance:
    description: Name of the host in the inventory.
    type: str
    required: true
  port:
    description:
      - Port of this host on which the application listens.
      - Only connections to this port are counted, and the metrics are at O(path) on it unless O(url) is given.
      - Without it, all TCP connections of the host are counted.
    type: int
  path:
    description: Path of the application's metrics on O(port).
    type: str
    default: /metrics
  url:
    description:
      - Where the application's metrics are, if not at O(path) on O(port).
      - Redirections are not followed and proxies are not used.
      - Without O(url) and O(port), the application is not asked.
    type: str
  host:
    description: The C(Host) header of the request, for an application that answers to its own name only.
    type: str
    default: ""
  validate_certs:
    description: Whether a certificate that cannot be verified is an error, when O(url) begins with C(https).
    type: bool
    default: true
  timeout:
    description: Seconds that one answer of the application may take, from the connection to its last byte.
    type: float
    default: 2.0
  application_required:
    description:
      - Whether the task fails when the application does not answer, its answer is not in the format, or it lacks a
        metric. Otherwise RV(problems) says so.
    type: bool
    default: false
  requests_metrics:
    description:
      - Which counters count answered requests, as selectors of Prometheus. The first that the application has counts;
        all of its series are added up.
      - An empty list measures no requests.
    type: list
    elements: str
    default:
      - 'reference_api_requests_total{route!~"/healthz|/readyz|/metrics"}'
      - http_requests_total
      - http_request_duration_seconds_count
      - http_server_request_duration_seconds_count
      - http_server_requests_seconds_count
  errors_metrics:
    description:
      - Which counters count requests that failed; otherwise as O(requests_metrics).
      - A selector whose labels none of the series have is passed over. If they have the labels, and none has the value
        yet, no request has failed.
    type: list
    elements: str
    default:
      - 'reference_api_requests_total{status=~"5..", route!~"/healthz|/readyz|/metrics"}'
      - 'http_requests_total{status=~"5.."}'
      - 'http_requests_total{code=~"5.."}'
      - 'http_requests_total{status_code=~"5.."}'
      - 'http_request_duration_seconds_count{status=~"5.."}'
      - 'http_request_duration_seconds_count{code=~"5.."}'
      - 'http_request_duration_seconds_count{status_code=~"5.."}'
      - 'http_server_request_duration_seconds_count{http_response_status_code=~"5.."}'
      - 'http_server_requests_seconds_count{status=~"5.."}'
  latency_metrics:
    description:
      - Which histograms or summaries measure the duration of requests, named without C(_bucket); otherwise as
        O(requests_metrics).
      - A summary must have the quantiles 0.5, 0.95 and 0.99.
      - They are in seconds, unless the name ends in C(_milliseconds), C(_ms), C(_microseconds) or C(_us).
    type: list
    elements: str
    default:
      - 'reference_api_request_seconds{route!~"/healthz|/readyz|/metrics"}'
      - http_request_duration_seconds
      - http_server_request_duration_seconds
      - http_server_requests_seconds
  shard_errors_metrics:
    description:
      - Which counters count the requests that were answered with 503 because of a shard; otherwise as
        O(requests_metrics).
      - An application that has none of the default ones has no shards, and lacks nothing.
    type: list
    elements: str
    default: [reference_api_shard_errors_total, shard_errors_total]
  pooler_port:
    description:
      - Port of the PgBouncer on this host, which is asked how long its clients wait. It needs root then.
      - Without it, no pooler is asked.
    type: int
  pooler_databases:
    description: The databases whose pools count; all of them without any.
    type: list
    elements: str
    default: []
  unit:
    description:
      - Name of the application's systemd unit, with its suffix. Its processors and memory are measured beside those of
        the whole host.
    type: str
  interfaces:
    description:
      - Network interfaces whose bytes count.
      - Without any, all but the loopback and those whose traffic another one carries as well, such as bridges,
        tunnels, VLANs and bonds.
    type: list
    elements: str
    default: []
  look:
    description:
      - Seconds between the two looks, 0.1 to 10; the task takes as long.
      - With V(0) it looks once; C(usage) of the processors is then missing, and C(latency) has only what a summary
        states.
    type: float
    default: 0.5
extends_documentation_fragment:
  - scaleout.platform.attributes
  - scaleout.platform.attributes.info
notes:
  - An application that serves one port with several processes, each with counters of its own, gives another process's
    counters at each look. Give such an application one set of counters, as the multiprocess mode of its client library
    does.
seealso:
  - module: scaleout.platform.health_gate
"""

EXAMPLES = r"""
- name: Sample the host, and an application with metrics at /metrics on its port
  scaleout.platform.service_metrics_info:
    service: shop
    instance: "{{ inventory_hostname }}"
    port: 8000
  register: sampled

- name: Show what a decision would judge, and what it cost
  ansible.builtin.debug:
    msg: "{{ sampled.reading['values'] }}, measured in {{ sampled.seconds }} s"

- name: Sample a database server, and how long clients wait for its PgBouncer
  scaleout.platform.service_metrics_info:
    service: shop
    instance: "{{ inventory_hostname }}"
    pooler_port: 6432
    pooler_databases: [shop]
  become: true

- name: Sample an application with names of its own, as fast as possible
  scaleout.platform.service_metrics_info:
    service: shop
    instance: "{{ inventory_hostname }}"
    url: http://127.0.0.1:9100/internal/metrics
    unit: shop.service
    requests_metrics: ['shop_orders_total{channel!="batch"}']
    errors_metrics: ['shop_orders_total{channel!="batch", outcome="failed"}']
    latency_metrics: [shop_order_duration_ms]
    look: 0
"""

RETURN = r"""
sample:
  description: What was measured; a key that could not be measured is left out.
  returned: success
  type: dict
  contains:
    timestamp:
      description: When the last look ended, in seconds since 1970.
      type: float
      sample: 1790000000.25
    service:
      description: The application.
      type: str
      sample: shop
    instance:
      description: The host.
      type: str
      sample: shop1
    metrics:
      description:
        - C(cpu) has C(usage), 0 to 100 per cent of the processors that the host may use, over O(look) seconds, and the
          C(load) of 1, 5 and 15 minutes.
        - C(memory) has C(used), C(free), C(cached) and C(total) in bytes. Free is what is available, and used is the
          total less that.
        - C(network) has the counters C(rx_bytes) and C(tx_bytes), and the number of established C(connections).
        - C(application) has the counters C(requests) and C(errors), and as C(latency) the percentiles 50, 95 and 99 in
          milliseconds over O(look) seconds; an empty list when no request fell into them.
        - C(unit) has C(cpu) and C(memory) of O(unit); its C(used) is the unit's own.
      type: dict
      sample:
        cpu: {usage: 37.5, load: [0.61, 0.4, 0.35]}
        memory: {used: 312475648, free: 492830720, cached: 120586240, total: 805306368}
        network: {rx_bytes: 812934551, tx_bytes: 1290043871, connections: 14}
        application: {requests: 90211, errors: 3, latency: [4.1, 9.7, 18.2]}
        unit:
          cpu: {usage: 30.1}
          memory: {used: 104857600, free: 432013312, cached: 2097152, total: 536870912}
    counters:
      description:
        - What the rates between two samples need. C(boot) tells one life of the host from the next, C(uptime) is its
          clock that no one sets, C(host) and C(unit) have the processor time used and the processors allowed,
          C(started) is the start of the application's process, and C(latency) its histogram in milliseconds. C(chosen)
          and C(interfaces) tell whether two samples counted the same metrics and the same interfaces.
      type: dict
      sample:
        boot: 6f1c1f0e-6f0b-4d55-9d6c-0d4f0e7c2f43/101
        uptime: 182211.32
        host: {name: /, cpu_seconds: 91002.31, cpus: 2.0}
        started: 1789990000.12
        latency: {bounds: [5.0, 10.0, 100.0], counts: [60210.0, 85000.0, 90190.0, 90211.0]}
        chosen: 9f3a2c1b
        interfaces: 0c4d5e6f
reading:
  description:
    - What a decision would judge if it had this sample only. C(values) has C(cpu) and C(memory) in per cent,
      C(memory_free) in MB of 1024² bytes, C(requests), C(application) (the same), C(errors) and C(shard_errors)
      per second, C(network) in bytes per second, C(latency), the percentile 99 in milliseconds, and C(pooler_wait), the
      seconds that the client has waited that waits longest for PgBouncer.
    - Rates are those of O(look) seconds.
  returned: success
  type: dict
  sample:
    instance: shop1
    at: 1790000000.25
    values: {cpu: 37.5, memory: 38.8, memory_free: 470.0, requests: 112.0, application: 112.0, errors: 0.0,
             network: 94210.0, latency: 18.2}
problems:
  description:
    - What could not be measured, each with a C(code) and a C(text). RV(sample) is right without it.
    - Codes are C(unreachable), C(timeout), C(denied), C(unexpected_answer), C(too_large), C(bad_metrics) and
      C(no_metric) for the application, and C(not_measured), C(unreadable) and C(too_large) for the host.
  returned: success
  type: list
  elements: dict
  sample:
    - code: unreachable
      text: "Cannot reach the application's metrics at 127.0.0.1:8000: Connection refused."
seconds:
  description: How long the module took inside, with O(look).
  returned: success
  type: float
  sample: 0.5183
"""

from ansible_collections.scaleout.platform.plugins.module_utils.metrics.spec import (
    ERRORS,
    LATENCY,
    REQUESTS,
    SHARD_ERRORS,
)
from ansible_collections.scaleout.platform.plugins.module_utils.module import run
from ansible_collections.scaleout.platform.plugins.module_utils.operations.sample_service import SampleService

ARGUMENTS = {
    "service": {"type": "str", "required": True},
    "instance": {"type": "str", "required": True},
    "port": {"type": "int"},
    "path": {"type": "str", "default": "/metrics"},
    "url": {"type": "str"},
    "host": {"type": "str", "default": ""},
    "validate_certs": {"type": "bool", "default": True},
    "timeout": {"type": "float", "default": 2.0},
    "application_required": {"type": "bool", "default": False},
    "requests_metrics": {"type": "list", "elements": "str", "default": list(REQUESTS)},
    "errors_metrics": {"type": "list", "elements": "str", "default": list(ERRORS)},
    "latency_metrics": {"type": "list", "elements": "str", "default": list(LATENCY)},
    "shard_errors_metrics": {"type": "list", "elements": "str", "default": list(SHARD_ERRORS)},
    "pooler_port": {"type": "int"},
    "pooler_databases": {"type": "list", "elements": "str", "default": []},
    "unit": {"type": "str"},
    "interfaces": {"type": "list", "elements": "str", "default": []},
    "look": {"type": "float", "default": 0.5},
}


def main() -> None:
    run(lambda module: SampleService(module.params), ARGUMENTS)


if __name__ == "__main__":
    main()
