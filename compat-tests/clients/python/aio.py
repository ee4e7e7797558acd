"""aiokafka. Its event loop runs in a thread of its own, so that it lives on between orders as it does in a server."""

import asyncio
import threading
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

import wire


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.producers = {}
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def create(self, topic, partitions):
        self.run(self.create_async(topic, partitions))

    def leaders(self, topic):
        return self.run(self.leaders_async(topic))

    def produce(self, topic, settings, records):
        return self.run(self.produce_async(topic, settings, records))

    def read(self, topic, partitions, start, count):
        return self.run(self.read_async(topic, partitions, start, count))

    def transactions(self, name):
        self.run(self.transactions_async(name))

    def join(self, group, topic, emit, leaving):
        self.run(self.join_async(group, topic, emit, leaving))

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    async def create_async(self, topic, partitions):
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(topic, partitions, 1)])
        finally:
            await admin.close()

    async def leaders_async(self, topic):
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            (described,) = await admin.describe_topics([topic])
            return sum(1 for partition in described["partitions"] if partition["leader"] >= 0)
        finally:
            await admin.close()

    async def produce_async(self, topic, settings, records):
        producer = await self.producer(settings)
        sent = [
            await producer.send(
                topic, record.value, record.key, record.partition, record.timestamp, record.headers
            )
            for record in records
        ]
        # With acks=0 nothing comes back, not even an offset.
        return [metadata.offset if metadata else -1 for metadata in await asyncio.gather(*sent)]

    async def producer(self, settings):
        if settings not in self.producers:
            codec, acks, idempotent = settings
            producer = AIOKafkaProducer(
                bootstrap_servers=self.bootstrap,
                compression_type=None if codec == "none" else codec,
                acks=acks if acks == "all" else int(acks),
                enable_idempotence=idempotent,
            )
            await producer.start()
            self.producers[settings] = producer
        return self.producers[settings]

    async def read_async(self, topic, partitions, start, count):
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            partitions = [TopicPartition(topic, partition) for partition in partitions]
            consumer.assign(partitions)
            if "timestamp" in start:
                found = await consumer.offsets_for_times({partition: start["timestamp"] for partition in partitions})
                offsets = {partition: found[partition].offset for partition in partitions}
            else:
                offsets = {partition: start["offset"] for partition in partitions}
            for partition, offset in offsets.items():
                consumer.seek(partition, offset)
            records = []
            until = time.monotonic() + wire.READ_LIMIT_SECONDS
            while len(records) < count and time.monotonic() < until:
                records += await polled(consumer, 200)
            return records
        finally:
            await consumer.stop()

    async def transactions_async(self, name):
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, transactional_id=name)
        try:
            await producer.start()
        finally:
            await producer.stop()

    async def join_async(self, group, topic, emit, leaving):
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=self.bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=wire.SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=wire.HEARTBEAT_INTERVAL_MS,
        )
        await consumer.start()
        while not leaving.is_set():
            records = await polled(consumer, 300)
            if records:
                await consumer.commit()
                emit(records)
        await consumer.stop()


async def polled(consumer, timeout_ms):
    batches = await consumer.getmany(timeout_ms=timeout_ms)
    return [
        wire.Record(one.partition, one.offset, one.key, one.value, list(one.headers), one.timestamp)
        for batch in batches.values()
        for one in batch
    ]
