"""Takes the runner's orders, line by line, with the Python client named first: main.py MODULE BOOTSTRAP.

A module has a class Client(bootstrap) with create, leaders, produce, read, transactions and join. What is common to them
is here and in wire.py.
"""

import importlib
import json
import os
import sys
import threading
import time

import wire

LEADERS_LIMIT_SECONDS = 10


def main():
    client = importlib.import_module(sys.argv[1]).Client(sys.argv[2])
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "join":
            join(client, order)
            return
        try:
            wire.emit(carry_out(client, order))
        except Exception as error:
            wire.emit({"error": f"{type(error).__name__}: {error}"})


def carry_out(client, order):
    match order["do"]:
        case "create":
            return {"leaders": create(client, order["topic"], order["partitions"])}
        case "produce":
            settings = (order["codec"], order["acks"], order["idempotent"])
            records = [wire.Record.from_json(record) for record in order["records"]]
            return {"offsets": client.produce(order["topic"], settings, records)}
        case "read":
            partitions = range(order["partitions"])
            start = {"timestamp": order["timestamp"]} if "timestamp" in order else {"offset": order["offset"]}
            records = client.read(order["topic"], partitions, start, order["count"])
            return {"records": [record.to_json() for record in records]}
        case "transactions":
            client.transactions(order["id"])
            return {}
    raise ValueError(f"unknown order {order}")


def create(client, topic, partitions):
    """Apache Kafka may answer a creation before the news of it has reached its broker side."""
    client.create(topic, partitions)
    until = time.monotonic() + LEADERS_LIMIT_SECONDS
    leaders = client.leaders(topic)
    while leaders < partitions and time.monotonic() < until:
        time.sleep(0.1)
        leaders = client.leaders(topic)
    return leaders


def join(client, order):
    """The only order after a join is to leave, and the end of the input means the same."""
    leaving = threading.Event()

    def wait_for_leave():
        sys.stdin.readline()
        leaving.set()

    threading.Thread(target=wait_for_leave, daemon=True).start()
    try:
        client.join(order["group"], order["topic"], wire.emit_records, leaving)
        wire.emit({"left": True})
    except Exception as error:
        wire.emit({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # Producers of a server that is gone would hold up an orderly end.
    os._exit(0)
