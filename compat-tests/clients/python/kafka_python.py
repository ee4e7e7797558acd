"""kafka-python."""

import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

import wire


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.producers = {}

    def create(self, topic, partitions):
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1}})
        finally:
            admin.close()

    def leaders(self, topic):
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            (described,) = admin.describe_topics([topic])
            return sum(1 for partition in described["partitions"] if partition["leader_id"] >= 0)
        finally:
            admin.close()

    def produce(self, topic, settings, records):
        producer = self.producer(settings)
        sent = [
            producer.send(topic, record.value, record.key, record.headers, record.partition, record.timestamp)
            for record in records
        ]
        return [future.get(timeout=60).offset for future in sent]

    def producer(self, settings):
        if settings not in self.producers:
            codec, acks, idempotent = settings
            self.producers[settings] = KafkaProducer(
                bootstrap_servers=self.bootstrap,
                compression_type=None if codec == "none" else codec,
                acks=acks if acks == "all" else int(acks),
                enable_idempotence=idempotent,
            )
        return self.producers[settings]

    def read(self, topic, partitions, start, count):
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        try:
            partitions = [TopicPartition(topic, partition) for partition in partitions]
            consumer.assign(partitions)
            if "timestamp" in start:
                found = consumer.offsets_for_times({partition: start["timestamp"] for partition in partitions})
                offsets = {partition: found[partition].offset for partition in partitions}
            else:
                offsets = {partition: start["offset"] for partition in partitions}
            for partition, offset in offsets.items():
                consumer.seek(partition, offset)
            records = []
            until = time.monotonic() + wire.READ_LIMIT_SECONDS
            while len(records) < count and time.monotonic() < until:
                records += polled(consumer, 200)
            return records
        finally:
            consumer.close()

    def transactions(self, name):
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, transactional_id=name)
        try:
            producer.init_transactions()
        finally:
            producer.close(timeout=5)

    def join(self, group, topic, emit, leaving):
        consumer = KafkaConsumer(
            topic,
            bootstrap_servers=self.bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=wire.SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=wire.HEARTBEAT_INTERVAL_MS,
        )
        while not leaving.is_set():
            records = polled(consumer, 300)
            if records:
                consumer.commit()
                emit(records)
        consumer.close()


def polled(consumer, timeout_ms):
    batches = consumer.poll(timeout_ms=timeout_ms)
    return [
        wire.Record(one.partition, one.offset, one.key, one.value, list(one.headers), one.timestamp)
        for batch in batches.values()
        for one in batch
    ]
