"""A Ray cluster of several nodes on this machine, in a process of its own: `python machines.py`.

Reads a JSON line, answers with one: {"do": "start", "cpus": [2, 2]} starts a node for each number,
the first one being the head; {"do": "kill", "node": ID} kills a node; {"do": "add", "cpus": 2}
starts one more. Ends, with the cluster, when its input does.
"""

import ctypes
import json
import os
import signal
import sys

ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # Linux: it dies with the tests
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

from ray.cluster_utils import Cluster  # noqa: E402 - what Ray prints is no answer

QUIET = {"include_dashboard": False, "num_gpus": 0, "object_store_memory": 80 * 2**20}
cluster = Cluster()
nodes = {}


def add(cpus: float) -> str:
    node = cluster.add_node(num_cpus=cpus, **QUIET)
    nodes[node.node_id] = node
    return node.node_id


def answer(told: dict) -> object:
    match told:
        case {"do": "start", "cpus": cpus}:
            ids = [add(each) for each in cpus]
            cluster.wait_for_nodes()
            return {"address": cluster.address, "nodes": ids}
        case {"do": "add", "cpus": cpus}:
            return add(cpus)
        case {"do": "kill", "node": node}:
            cluster.remove_node(nodes.pop(node), allow_graceful=False)
            return node
    raise ValueError(told)


try:
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)
finally:
    cluster.shutdown()
