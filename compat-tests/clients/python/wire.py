"""Records as the runner writes and reads them: JSON with base64."""

import base64
import dataclasses
import json
import sys

READ_LIMIT_SECONDS = 15
SESSION_TIMEOUT_MS = 6000
HEARTBEAT_INTERVAL_MS = 500


@dataclasses.dataclass
class Record:
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list
    timestamp: int

    @staticmethod
    def from_json(record):
        headers = [(name, unpacked(value)) for name, value in record["headers"]]
        key, value = unpacked(record["key"]), unpacked(record["value"])
        return Record(record["partition"], -1, key, value, headers, record["timestamp"])

    def to_json(self):
        headers = [[name, packed(value)] for name, value in self.headers]
        return {**vars(self), "key": packed(self.key), "value": packed(self.value), "headers": headers}


def emit(answer):
    print(json.dumps(answer), flush=True)


def emit_records(records):
    emit({"records": [record.to_json() for record in records]})


def packed(value):
    return None if value is None else base64.b64encode(value).decode()


def unpacked(text):
    return None if text is None else base64.b64decode(text)
