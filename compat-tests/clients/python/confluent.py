"""confluent-kafka: librdkafka under Python."""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import wire

# What a consumer reports while a server restarts; librdkafka goes on by itself.
PASSING = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE}


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = {"bootstrap.servers": bootstrap}
        self.admin = AdminClient(self.bootstrap)
        self.producers = {}

    def create(self, topic, partitions):
        self.admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result()

    def leaders(self, topic):
        described = self.admin.list_topics(topic, timeout=10).topics[topic].partitions
        return sum(1 for partition in described.values() if partition.leader >= 0)

    def produce(self, topic, settings, records):
        producer = self.producer(settings)
        offsets = [None] * len(records)
        failures = []

        def on_delivery(index):
            def delivered(error, message):
                if error:
                    failures.append(error)
                else:
                    offsets[index] = message.offset()

            return delivered

        for index, record in enumerate(records):
            producer.produce(
                topic,
                value=record.value,
                key=record.key,
                partition=record.partition,
                timestamp=record.timestamp,
                headers=record.headers,
                on_delivery=on_delivery(index),
            )
        waiting = producer.flush(60)
        if failures or waiting:
            raise KafkaException(failures[0] if failures else f"{waiting} records not delivered")
        return offsets

    def producer(self, settings):
        if settings not in self.producers:
            codec, acks, idempotent = settings
            configuration = {"compression.type": codec, "acks": acks, "enable.idempotence": idempotent}
            # The default is a little below 1 MB with headers and key.
            configuration["message.max.bytes"] = 1 << 20
            self.producers[settings] = Producer({**self.bootstrap, **configuration})
        return self.producers[settings]

    def read(self, topic, partitions, start, count):
        consumer = Consumer({**self.bootstrap, "group.id": "unused", "enable.auto.commit": False})
        try:
            if "timestamp" in start:
                wanted = [TopicPartition(topic, partition, start["timestamp"]) for partition in partitions]
                consumer.assign(consumer.offsets_for_times(wanted, timeout=10))
            else:
                consumer.assign([TopicPartition(topic, partition, start["offset"]) for partition in partitions])
            records = []
            until = time.monotonic() + wire.READ_LIMIT_SECONDS
            while len(records) < count and time.monotonic() < until:
                records += polled(consumer, 0.2)
            return records
        finally:
            consumer.close()

    def transactions(self, name):
        Producer({**self.bootstrap, "transactional.id": name}).init_transactions(60)

    def join(self, group, topic, emit, leaving):
        consumer = Consumer(
            {
                **self.bootstrap,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "session.timeout.ms": wire.SESSION_TIMEOUT_MS,
                "heartbeat.interval.ms": wire.HEARTBEAT_INTERVAL_MS,
            }
        )
        consumer.subscribe([topic])
        while not leaving.is_set():
            records = polled(consumer, 0.3)
            if records:
                consumer.commit(asynchronous=False)
                emit(records)
        consumer.close()


def polled(consumer, timeout_seconds):
    records = []
    for one in consumer.consume(500, timeout_seconds):
        if one.error():
            if one.error().code() in PASSING:
                continue
            raise KafkaException(one.error())
        headers = [(name, value) for name, value in one.headers() or []]
        _, timestamp = one.timestamp()
        records.append(wire.Record(one.partition(), one.offset(), one.key(), one.value(), headers, timestamp))
    return records
