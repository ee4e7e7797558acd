//! Takes the runner's orders, line by line, with librdkafka through the crate rdkafka: `compat-tests-rdkafka BOOTSTRAP`.

mod record;

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::record::Record;

const LEADERS_LIMIT: Duration = Duration::from_secs(10);
const READ_LIMIT: Duration = Duration::from_secs(15);
const ORDER_LIMIT: Duration = Duration::from_secs(60);
/// Of a member, unless the order says another.
const SESSION_MS: u32 = 6000;

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
enum Order {
    Create { topic: String, partitions: i32 },
    Produce { topic: String, codec: String, acks: String, idempotent: bool, records: Vec<Record> },
    Read { topic: String, partitions: i32, count: usize, offset: Option<i64>, timestamp: Option<i64> },
    Transactions { id: String },
    Join { group: String, topic: String, session: Option<u32> },
}

fn main() {
    let bootstrap = std::env::args().nth(1).expect("the bootstrap address is given");
    let mut client = Client { bootstrap, producers: HashMap::new() };
    while let Some(line) = next_line() {
        let order: Order = serde_json::from_str(&line).expect("orders are as they should be");
        let joins = matches!(order, Order::Join { .. });
        println!("{}", client.carry_out(order).unwrap_or_else(|error| json!({"error": format!("{error:#}")})));
        if joins {
            break;
        }
    }
    // Producers of a server that is gone would hold up an orderly end.
    std::process::exit(0);
}

fn next_line() -> Option<String> {
    std::io::stdin().lock().lines().next()?.ok()
}

struct Client {
    bootstrap: String,
    producers: HashMap<(String, String, bool), ThreadedProducer<Deliveries>>,
}

impl Client {
    fn carry_out(&mut self, order: Order) -> Result<Value> {
        match order {
            Order::Create { topic, partitions } => self.create(&topic, partitions),
            Order::Produce { topic, codec, acks, idempotent, records } => {
                self.produce(&topic, (codec, acks, idempotent), &records)
            }
            Order::Read { topic, partitions, count, offset, timestamp } => {
                let mut start = TopicPartitionList::new();
                for partition in 0..partitions {
                    let offset = Offset::Offset(timestamp.or(offset).context("no start")?);
                    start.add_partition_offset(&topic, partition, offset)?;
                }
                self.read(start, timestamp.is_some(), count)
            }
            Order::Transactions { id } => self.transactions(&id),
            Order::Join { group, topic, session } => self.join(&group, &topic, session.unwrap_or(SESSION_MS)),
        }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    fn create(&self, topic: &str, partitions: i32) -> Result<Value> {
        let admin: AdminClient<DefaultClientContext> = self.config().create()?;
        let topics = [NewTopic::new(topic, partitions, TopicReplication::Fixed(1))];
        let created = admin.create_topics(&topics, &AdminOptions::new());
        for one in record::wait(created)? {
            one.map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))?;
        }
        let until = Instant::now() + LEADERS_LIMIT;
        loop {
            // Apache Kafka may answer a creation before the news of it has reached its broker side.
            let metadata = admin.inner().fetch_metadata(Some(topic), ORDER_LIMIT)?;
            let described = metadata.topics().first().context("no topic in the metadata")?;
            let leaders = described.partitions().iter().filter(|one| one.leader() >= 0).count();
            if leaders == usize::try_from(partitions)? || Instant::now() > until {
                return Ok(json!({"leaders": leaders}));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn produce(&mut self, topic: &str, settings: (String, String, bool), records: &[Record]) -> Result<Value> {
        let producer = self.producer(settings)?;
        producer.context().offsets.lock().expect("no holder panics").clear();
        for (index, record) in records.iter().enumerate() {
            let headers = record.rdkafka_headers();
            let mut one: BaseRecord<[u8], [u8], usize> = BaseRecord::with_opaque_to(topic, index)
                .partition(record.partition)
                .timestamp(record.timestamp)
                .headers(headers);
            one.key = record.key.as_ref().map(|key| key.0.as_slice());
            one.payload = record.value.as_ref().map(|value| value.0.as_slice());
            producer.send(one).map_err(|(error, _)| error)?;
        }
        producer.flush(ORDER_LIMIT)?;
        let mut delivered = producer.context().offsets.lock().expect("no holder panics");
        let mut offsets = Vec::new();
        for index in 0..records.len() {
            offsets.push(delivered.remove(&index).context("a record without a delivery report")??);
        }
        Ok(json!({"offsets": offsets}))
    }

    fn producer(&mut self, settings: (String, String, bool)) -> Result<&ThreadedProducer<Deliveries>> {
        if !self.producers.contains_key(&settings) {
            let (codec, acks, idempotent) = &settings;
            let mut config = self.config();
            config.set("compression.type", codec).set("acks", acks);
            config.set("enable.idempotence", idempotent.to_string());
            // The default is a little below 1 MB with headers and key.
            config.set("message.max.bytes", "1048576");
            let producer = config.create_with_context(Deliveries::default())?;
            self.producers.insert(settings.clone(), producer);
        }
        Ok(&self.producers[&settings])
    }

    fn read(&self, mut start: TopicPartitionList, by_time: bool, count: usize) -> Result<Value> {
        let consumer: BaseConsumer = self.config().set("group.id", "unused").create()?;
        if by_time {
            start = consumer.offsets_for_times(start, ORDER_LIMIT)?;
        }
        consumer.assign(&start)?;
        let mut records = Vec::new();
        let until = Instant::now() + READ_LIMIT;
        while records.len() < count && Instant::now() < until {
            records.extend(polled(&consumer, Duration::from_millis(200))?);
        }
        Ok(json!({"records": records}))
    }

    fn transactions(&self, id: &str) -> Result<Value> {
        let producer: ThreadedProducer<Deliveries> =
            self.config().set("transactional.id", id).create_with_context(Deliveries::default())?;
        producer.init_transactions(ORDER_LIMIT)?;
        Ok(json!({}))
    }

    /// Reads as a member of a group until it is told to leave.
    fn join(&self, group: &str, topic: &str, session_ms: u32) -> Result<Value> {
        let mut config = self.config();
        config.set("group.id", group).set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
        config.set("session.timeout.ms", session_ms.to_string()).set("heartbeat.interval.ms", "500");
        let consumer: BaseConsumer = config.create()?;
        consumer.subscribe(&[topic])?;
        let leaving = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&leaving);
        // The only order after a join is to leave, and the end of the input means the same.
        std::thread::spawn(move || {
            next_line();
            told.store(true, Ordering::Release);
        });
        while !leaving.load(Ordering::Acquire) {
            let records = polled(&consumer, Duration::from_millis(300))?;
            if !records.is_empty() {
                consumer.commit_consumer_state(CommitMode::Sync)?;
                println!("{}", json!({"records": records}));
            }
        }
        // Leaves the group.
        drop(consumer);
        Ok(json!({"left": true}))
    }
}

/// The first record within the time, and all that are there with it.
fn polled(consumer: &BaseConsumer, mut limit: Duration) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    while let Some(message) = consumer.poll(limit) {
        limit = Duration::ZERO;
        match message {
            Ok(message) => records.push(Record::from_rdkafka(&message)?),
            // What a consumer reports while a server restarts; librdkafka goes on by itself.
            Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::Resolve,
            )) => {}
            Err(error) => bail!(error),
        }
    }
    ensure!(records.iter().all(|record| record.offset >= 0), "a record without an offset");
    Ok(records)
}

/// The delivery reports of one order, by the index of the record.
#[derive(Default)]
struct Deliveries {
    offsets: Mutex<HashMap<usize, Result<i64, KafkaError>>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let result = result.as_ref().map(Message::offset).map_err(|(error, _)| error.clone());
        self.offsets.lock().expect("no holder panics").insert(index, result);
    }
}
