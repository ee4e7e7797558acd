// Takes the runner's orders, line by line, with kafkajs: node client.js BOOTSTRAP.
'use strict'

const readline = require('readline')
const { CompressionCodecs, CompressionTypes, Kafka, Partitioners, logLevel } = require('kafkajs')
const snappy = require('kafkajs-snappy')
const lz4 = require('lz4-napi')
const zstd = require('@bokuweb/zstd-wasm')

// kafkajs brings gzip; for the others its users register a codec.
CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: encoder => lz4.compressFrame(encoder.buffer),
  decompress: buffer => lz4.decompressFrame(buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from(zstd.compress(encoder.buffer)),
  decompress: async buffer => Buffer.from(zstd.decompress(buffer)),
})

const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}
const ACKS = { 0: 0, 1: 1, all: -1 }
const READ_LIMIT_MS = 15000

const kafka = new Kafka({
  clientId: 'compat',
  brokers: [process.argv[2]],
  logLevel: logLevel.ERROR,
  // Standard output belongs to the answers.
  logCreator: () => entry => process.stderr.write(JSON.stringify(entry) + '\n'),
  // Its defaults give up after some seconds, sooner than some servers restart.
  retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 60 },
})
const producers = new Map()

const orders = {
  async create({ topic, partitions }) {
    const admin = kafka.admin()
    await admin.connect()
    try {
      await admin.createTopics({
        waitForLeaders: true,
        topics: [{ topic, numPartitions: partitions, replicationFactor: 1 }],
      })
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      return { leaders: topics[0].partitions.filter(({ leader }) => leader >= 0).length }
    } finally {
      await admin.disconnect()
    }
  },

  async produce({ topic, codec, acks, idempotent, records }) {
    const producer = await producerFor(idempotent)
    const messages = records.map(fromRecord)
    const answers = await producer.send({ topic, acks: ACKS[acks], compression: CODECS[codec], messages })
    // It tells the first offset of each partition only; within one partition the order is that of the messages.
    const next = new Map(answers.map(({ partition, baseOffset }) => [partition, Number(baseOffset)]))
    const offsets = records.map(({ partition }) => {
      const offset = next.get(partition)
      next.set(partition, offset + 1)
      return offset
    })
    return { offsets }
  },

  async read({ topic, partitions, count, offset, timestamp }) {
    const starts = timestamp === undefined
      ? Array.from({ length: partitions }, (_, partition) => ({ partition, offset: String(offset) }))
      : await offsetsByTime(topic, timestamp)
    // There is no reading without a group: one for this read alone, which is never committed to.
    const consumer = kafka.consumer({ groupId: `read-${topic}-${Date.now()}`, maxWaitTimeInMs: 200 })
    consumer.on(consumer.events.GROUP_JOIN, () => {
      for (const { partition, offset } of starts) consumer.seek({ topic, partition, offset })
    })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    const records = []
    await new Promise((resolve, reject) => {
      setTimeout(resolve, READ_LIMIT_MS)
      const eachBatch = async ({ batch }) => {
        records.push(...toRecords(batch))
        if (records.length >= count) resolve()
      }
      consumer.run({ autoCommit: false, eachBatch }).catch(reject)
    })
    await consumer.disconnect()
    return { records }
  },

  async transactions({ id }) {
    const producer = kafka.producer({
      transactionalId: id,
      maxInFlightRequests: 1,
      idempotent: true,
      createPartitioner: Partitioners.DefaultPartitioner,
    })
    await producer.connect()
    const transaction = await producer.transaction()
    await transaction.abort()
    await producer.disconnect()
    return {}
  },
}

async function producerFor(idempotent) {
  if (!producers.has(idempotent)) {
    const producer = kafka.producer({ idempotent, createPartitioner: Partitioners.DefaultPartitioner })
    await producer.connect()
    producers.set(idempotent, producer)
  }
  return producers.get(idempotent)
}

async function offsetsByTime(topic, timestamp) {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await admin.fetchTopicOffsetsByTimestamp(topic, timestamp)
  } finally {
    await admin.disconnect()
  }
}

async function join({ group, topic }) {
  const consumer = kafka.consumer({
    groupId: group,
    sessionTimeout: 6000,
    heartbeatInterval: 500,
    maxWaitTimeInMs: 200,
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      const offset = String(Number(batch.lastOffset()) + 1)
      await consumer.commitOffsets([{ topic, partition: batch.partition, offset }])
      print({ records: toRecords(batch) })
    },
  })
  return consumer
}

function fromRecord({ partition, key, value, headers, timestamp }) {
  const message = { partition, key: unpacked(key), value: unpacked(value), timestamp: String(timestamp), headers: {} }
  for (const [name, packed] of headers) (message.headers[name] ??= []).push(unpacked(packed))
  return message
}

function toRecords(batch) {
  return batch.messages.map(({ offset, key, value, headers, timestamp }) => ({
    partition: batch.partition,
    offset: Number(offset),
    key: packed(key),
    value: packed(value),
    headers: Object.entries(headers).flatMap(([name, values]) => [values].flat().map(one => [name, packed(one)])),
    timestamp: Number(timestamp),
  }))
}

const packed = bytes => (bytes === null ? null : bytes.toString('base64'))
const unpacked = text => (text === null ? null : Buffer.from(text, 'base64'))
const print = answer => process.stdout.write(JSON.stringify(answer) + '\n')

async function main() {
  await zstd.init()
  let member
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const order = JSON.parse(line)
    try {
      if (order.do === 'join') {
        member = await join(order)
      } else if (order.do === 'leave') {
        await member.disconnect()
        print({ left: true })
        break
      } else {
        print(await orders[order.do](order))
      }
    } catch (error) {
      print({ error: String(error) })
    }
  }
}

// The exit code counts once everything is written.
main().then(() => process.stdout.write('', () => process.exit(0)))
