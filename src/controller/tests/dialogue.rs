//! Runs a dialogue: every event of the text, each followed by what the controller decides. Records are committed at once.
//!
//! Events: `options min-isr=2 durability=page-cache unclean=true` · `register 1 incarnation=2 dirs=7 previous=3 rack=a` ·
//! `heartbeat 1 offset=3 epoch=1 fence shutdown` · `tick 500ms` · `probe 2 refused` · `fence 2` (its process is gone) · `unregister 2` ·
//! `controller` (another one takes over) · `topic t 1,2,3 2,3,1` (replicas of each partition) · `delete t` ·
//! `alter t-0 by=1 isr=1,2@5 leader-epoch=0 partition-epoch=0 broker-epoch=1` · `elect preferred t-0` · `balance` ·
//! `assign 1 t-0 dir=1001` (where a replica lies) · `heartbeat 1 offline=1001 cordoned=1002` · `register 1 dirs=1001,1002` ·
//! `reassign t-0 2,3` · `reassign t-0 cancel` · `list` · `grow t 3 1,2` · `set t min.insync.replicas=1` · `producer-ids 1`.
//! What is left out is as it is now: epochs, offsets.

use std::fmt::{Debug, Write};

use super::super::*;
use super::OPTIONS;
use crate::metadata::{ConfigResource, Delta, Image, LeaderRecoveryState, Partition, Replicas, Topic};
use crate::model::{BrokerId, LeaderEpoch, Now, Offset, PartitionIndex, TopicId};
use uuid::Uuid;

struct Dialogue {
    options: Options,
    image: Image,
    sessions: Sessions,
    now: Now,
    topics_made: u128,
    out: String,
}

/// A verb, plain words, and `key=value` words.
struct Line<'a> {
    verb: &'a str,
    words: Vec<&'a str>,
}

impl<'a> Line<'a> {
    fn parse(text: &'a str) -> Line<'a> {
        let mut words = text.split_whitespace();
        Line { verb: words.next().expect("an event has a verb"), words: words.collect() }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    fn number<N: std::str::FromStr>(&self, name: &str, default: N) -> N {
        self.get(name).map_or(default, |value| value.parse().ok().expect("a number"))
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    fn broker(&self) -> BrokerId {
        BrokerId(self.words[0].parse().expect("a broker"))
    }
}

/// The text again, with the outcome after every event as it is today.
pub(super) fn run(text: &str) -> String {
    let session_options = SessionOptions { session_timeout_ms: 1500, heartbeat_interval_ms: 200 };
    let mut dialogue = Dialogue {
        options: OPTIONS,
        image: Image::default(),
        sessions: Sessions::new(session_options),
        now: Now { wall_ms: 1_000_000, monotonic_ms: 0 },
        topics_made: 0,
        out: String::new(),
    };
    let first = first_records(&dialogue.image, &OPTIONS, super::CLUSTER, super::FEATURES);
    dialogue.commit(first);
    dialogue.sessions.restart(dialogue.now, &dialogue.image);
    dialogue.out.clear();
    crate::tests::play_dialogue(text, |line| {
        dialogue.event(&Line::parse(line));
        std::mem::take(&mut dialogue.out)
    })
}

fn ids(replicas: &[BrokerId]) -> String {
    replicas.iter().map(|id| id.to_string()).collect::<Vec<_>>().join(",")
}

fn brokers(text: &str) -> Vec<BrokerId> {
    text.split(',').map(|id| BrokerId(id.parse().expect("a broker"))).collect()
}

/// `t-0` is partition 0 of t.
fn partition(text: &str) -> (String, PartitionIndex) {
    let (topic, partition) = text.rsplit_once('-').expect("topic-partition");
    (topic.to_owned(), PartitionIndex(partition.parse().expect("a partition number")))
}

/// Directories by their numbers.
fn uuids(text: &str) -> Vec<Uuid> {
    text.split(',').map(|number| Uuid::from_u128(number.parse().expect("a number"))).collect()
}

fn numbers(directories: &[Uuid]) -> String {
    directories.iter().map(|directory| directory.as_u128().to_string()).collect::<Vec<_>>().join(",")
}

pub(super) fn state(partition: &Partition) -> String {
    let mut text = format!(
        "leader={} epoch={} partition-epoch={} replicas={} isr={}",
        partition.leader,
        partition.leader_epoch,
        partition.partition_epoch,
        ids(&partition.replicas),
        ids(&partition.isr)
    );
    let lists: [(&str, &Replicas); 4] = [
        ("elr", &partition.elr),
        ("last", &partition.last_known_elr),
        ("adding", &partition.adding_replicas),
        ("removing", &partition.removing_replicas),
    ];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        let _ = write!(text, " {name}={}", ids(list));
    }
    if partition.leader_recovery_state == LeaderRecoveryState::Recovering {
        text.push_str(" recovering");
    }
    for (broker, directory) in &partition.directories {
        let _ = write!(text, " dir-of-{broker}={}", directory.as_u128());
    }
    text
}

fn refusal(refusal: &Refusal) -> String {
    match &refusal.message {
        Some(message) => format!("{}: {message}", refusal.code.name()),
        None => refusal.code.name().to_owned(),
    }
}

fn result<T: Debug>(result: &Result<T, Refusal>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(refused) => refusal(refused),
    }
}

impl Dialogue {
    fn say(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn commit(&mut self, records: Vec<Record>) {
        if records.is_empty() {
            return;
        }
        self.image.set_last_applied(self.image.last_applied() + 1);
        let mut delta = Delta::default();
        for record in &records {
            let shown = self.show(record);
            self.image.apply(record, &mut delta);
            self.say(&shown);
        }
        super::properties::check(&self.image, self.options.unclean_election);
    }

    fn show(&self, record: &Record) -> String {
        let name = |id: TopicId| self.image.topic_by_id(id).map_or("?".into(), |topic| topic.name.to_string());
        match record {
            Record::BrokerRegistered { broker_id, broker_epoch, fenced, .. } => {
                format!("registered {broker_id} epoch={broker_epoch}{}", if *fenced { " fenced" } else { "" })
            }
            Record::BrokerChanged { broker_id, fenced, in_controlled_shutdown, directories, .. } => {
                let fenced = if *fenced { "fenced" } else { "unfenced" };
                let stopping = if *in_controlled_shutdown { " in-controlled-shutdown" } else { "" };
                let left = directories.as_ref().map(|left| format!(" dirs={}", numbers(left)));
                format!("broker {broker_id} {fenced}{stopping}{}", left.unwrap_or_default())
            }
            Record::BrokerCordoned { broker_id, directories, .. } => {
                format!("broker {broker_id} cordoned={}", numbers(directories))
            }
            Record::BrokerUnregistered { broker_id, .. } => format!("unregistered {broker_id}"),
            Record::TopicCreated { name, partitions, .. } => {
                let lines = partitions.iter().enumerate().map(|(i, it)| format!("{name}-{i} {}", state(it)));
                lines.collect::<Vec<_>>().join("\n")
            }
            Record::TopicDeleted { id } => format!("deleted {}", name(*id)),
            Record::PartitionsAdded { topic_id, partitions } => {
                let first = self.image.topic_by_id(*topic_id).map_or(0, |topic| topic.partitions.len());
                let lines =
                    partitions.iter().zip(first..).map(|(it, i)| format!("{}-{i} {}", name(*topic_id), state(it)));
                lines.collect::<Vec<_>>().join("\n")
            }
            Record::PartitionChanged { topic_id, partition, state: new } => {
                format!("{}-{partition} {}", name(*topic_id), state(new))
            }
            other => format!("{other:?}"),
        }
    }

    fn event(&mut self, line: &Line<'_>) {
        match line.verb {
            "options" => self.set_options(line),
            "register" => self.register(line),
            "heartbeat" => self.heartbeat(line),
            "tick" => self.tick(line),
            // The time of day jumps, and no time has passed.
            "clock" => self.now.wall_ms += line.words[0].parse::<i64>().expect("seconds") * 1000,
            "probe" => self.probe(line),
            "fence" => {
                let id = line.broker();
                let epoch = self.image.broker(id).expect("a broker").epoch;
                self.sessions.end(id, epoch);
                self.fence(id);
            }
            "unregister" => self.unregister(line.broker()),
            "controller" => self.sessions.restart(self.now, &self.image),
            "topic" | "grow" | "delete" => self.topic(line),
            "alter" => self.alter(line),
            "elect" => self.elect(line),
            "balance" => {
                let records = balance(&self.image, &self.options).records;
                self.commit(records);
            }
            "reassign" | "list" => self.reassign(line),
            "assign" => self.assign(line),
            "set" => self.set(line),
            "producer-ids" => {
                let allocated = allocate_producer_ids(&self.image, line.broker()).expect("there are ids");
                self.say(&format!("ids {} to {}", allocated.answer.0, allocated.answer.0.0 + allocated.answer.1 - 1));
                self.image.apply(&allocated.records[0], &mut Delta::default());
            }
            other => panic!("no such event: {other}"),
        }
    }

    /// `assign 1 t-0 dir=7`: where a broker's replica lies.
    fn assign(&mut self, line: &Line<'_>) {
        let broker_id = line.broker();
        let epoch = self.image.broker(broker_id).map_or(-1, |broker| broker.epoch);
        let (name, index) = line.words[1].rsplit_once('-').expect("a partition");
        let topic_id = self.image.topic(name).map_or(TopicId(Uuid::nil()), |topic| topic.id);
        let partition = PartitionIndex(index.parse().expect("a number"));
        let directory = uuids(line.get("dir").expect("a directory"))[0];
        let asked = [Assignment { directory, topic_id, partition }];
        let epoch = line.number("epoch", epoch);
        match assign_replicas_to_dirs(&self.image, &self.options, broker_id, epoch, &asked) {
            Ok(Decision { records, answer }) => {
                if let Err(code) = answer[0] {
                    self.say(&code.to_string());
                }
                self.commit(records);
            }
            Err(refused) => self.say(&refusal(&refused)),
        }
    }

    fn set_options(&mut self, line: &Line<'_>) {
        self.options.min_isr = line.number("min-isr", self.options.min_isr);
        self.options.unclean_election = line.number("unclean", self.options.unclean_election);
        if let Some(durability) = line.get("durability") {
            self.options.durability = Durability::of(durability);
        }
    }

    fn register(&mut self, line: &Line<'_>) {
        let broker_id = line.broker();
        let number = u128::try_from(broker_id.0).expect("a broker");
        let registration = Registration {
            broker_id,
            incarnation: Uuid::from_u128(line.number("incarnation", 1)),
            endpoints: Vec::new(),
            rack: line.get("rack").map(str::to_owned),
            cluster_id: line.get("cluster").unwrap_or(super::CLUSTER).to_owned(),
            features: Vec::new(),
            directories: match line.get("dirs") {
                Some(numbers) => uuids(numbers),
                None => vec![Uuid::from_u128(1000 + number)],
            },
            previous_broker_epoch: line.number("previous", -1),
            is_controller: line.has("controller"),
        };
        let known = self.image.broker(broker_id).map(|broker| broker.epoch);
        let has_session =
            !line.has("controller") && known.is_some_and(|epoch| self.sessions.is_alive(self.now, broker_id, epoch));
        match register_broker(&self.image, &self.options, registration, has_session) {
            Ok(decision) => {
                self.commit(decision.records);
                self.sessions.register(self.now, broker_id, decision.answer, self.image.last_applied());
            }
            Err(refused) => self.say(&refusal(&refused)),
        }
    }

    fn heartbeat(&mut self, line: &Line<'_>) {
        let broker_id = line.broker();
        let epoch = self.image.broker(broker_id).map_or(-1, |broker| broker.epoch);
        let heartbeat = Heartbeat {
            broker_id,
            broker_epoch: line.number("epoch", epoch),
            metadata_offset: Offset(line.number("offset", self.image.last_applied().0)),
            wants_fence: line.has("fence"),
            wants_shutdown: line.has("shutdown"),
            offline_directories: line.get("offline").map(uuids).unwrap_or_default(),
            cordoned_directories: line.get("cordoned").map(|ids| if ids == "none" { Vec::new() } else { uuids(ids) }),
        };
        self.sessions.touch(self.now, broker_id, heartbeat.broker_epoch, heartbeat.metadata_offset);
        match broker_heartbeat(&self.image, &self.options, &self.sessions, &heartbeat) {
            Ok(Decision { records, answer }) => {
                self.commit(records);
                if answer.in_controlled_shutdown {
                    self.sessions.shut_down_after(broker_id, self.image.last_applied());
                }
                if answer.should_shut_down {
                    self.sessions.end(broker_id, heartbeat.broker_epoch);
                }
                let mut words = vec!["answer"];
                words.push(if answer.is_caught_up { "caught-up" } else { "behind" });
                words.push(if answer.is_fenced { "fenced" } else { "unfenced" });
                words.extend(answer.should_shut_down.then_some("stop-now"));
                let words = words.join(" ");
                self.say(&words);
            }
            Err(refused) => self.say(&refusal(&refused)),
        }
    }

    /// Time passes as it does for the service: looked at every 100 ms, unless the word `stall` makes it one leap.
    fn tick(&mut self, line: &Line<'_>) {
        let total_ms: u64 = line.words[0].trim_end_matches("ms").parse().expect("milliseconds");
        let step_ms = if line.has("stall") { total_ms } else { 100 };
        for _ in 0..total_ms / step_ms {
            self.now = self.now.plus_ms(step_ms);
            let due = self.sessions.tick(self.now, &self.image);
            for (id, _) in due.to_fence {
                self.say(&format!("silent {id} at {}ms", self.now.monotonic_ms));
                self.fence(id);
            }
            for (id, _) in due.to_probe {
                self.say(&format!("probe {id} at {}ms", self.now.monotonic_ms));
            }
        }
    }

    fn probe(&mut self, line: &Line<'_>) {
        let id = line.broker();
        let epoch = self.image.broker(id).expect("a broker").epoch;
        let found = if line.has("refused") { Probe::Refused } else { Probe::Unknown };
        if self.sessions.on_probe(id, epoch, found) {
            self.fence(id);
        }
    }

    fn fence(&mut self, id: BrokerId) {
        let epoch = self.image.broker(id).expect("a broker").epoch;
        let records = fence_broker(&self.image, &self.options, id, epoch).records;
        self.commit(records);
        self.sessions.require(id, epoch, self.image.last_applied());
    }

    fn unregister(&mut self, id: BrokerId) {
        match unregister_broker(&self.image, &self.options, id) {
            Ok(decision) => {
                self.commit(decision.records);
                self.sessions.forget(id);
            }
            Err(refused) => self.say(&refusal(&refused)),
        }
    }

    fn topic(&mut self, line: &Line<'_>) {
        let name = line.words[0].to_owned();
        match line.verb {
            "topic" => {
                let assignments = (0..).zip(line.words[1..].iter().map(|word| brokers(word))).collect();
                let topic =
                    CreateTopic { name, partitions: -1, replication_factor: -1, assignments, ..CreateTopic::default() };
                self.topics_made += 1;
                let seed = Uuid::from_u128(self.topics_made);
                let decision = create_topics(
                    &self.image,
                    &self.options,
                    seed,
                    &[topic],
                    &mut crate::controller::Mutations::unlimited(),
                );
                self.commit(decision.records);
                self.refused(decision.answer.iter().map(|(_, result)| result));
            }
            "grow" => {
                let count = line.words[1].parse().expect("a count");
                let assignments: Vec<_> = line.words[2..].iter().map(|word| brokers(word)).collect();
                let assignments = (!assignments.is_empty()).then_some(assignments);
                let decision = create_partitions(
                    &self.image,
                    1,
                    &[CreatePartitions { name, count, assignments }],
                    &mut crate::controller::Mutations::unlimited(),
                );
                self.commit(decision.records);
                self.refused(decision.answer.iter().map(|(_, result)| result));
            }
            _ => {
                let selector = TopicSelector { name: Some(name), id: TopicId::ZERO };
                let decision = delete_topics(
                    &self.image,
                    &self.options,
                    &[selector],
                    &mut crate::controller::Mutations::unlimited(),
                );
                self.commit(decision.records);
                self.refused(decision.answer.iter().map(|topic| &topic.result));
            }
        }
    }

    fn refused<'a, T: Debug + 'a>(&mut self, results: impl Iterator<Item = &'a Result<T, Refusal>>) {
        let refused: Vec<String> = results.filter(|result| result.is_err()).map(result).collect();
        refused.iter().for_each(|text| self.say(text));
    }

    fn alter(&mut self, line: &Line<'_>) {
        let (name, index) = partition(line.words[0]);
        let topic = self.image.topic(&name).map_or(TopicId(Uuid::from_u128(99)), |topic: &Topic| topic.id);
        let now = self.image.partition(topic, index).cloned().unwrap_or(Partition::created(Replicas::new()));
        let leader = BrokerId(line.number("by", now.leader.0));
        let member = |text: &str| {
            let (id, epoch) = text.split_once('@').map_or((text, None), |(id, epoch)| (id, Some(epoch)));
            let broker_id = BrokerId(id.parse().expect("a broker"));
            let known = self.image.broker(broker_id).map_or(-1, |broker| broker.epoch);
            let broker_epoch = epoch.map_or(known, |epoch| epoch.parse().expect("an epoch"));
            IsrMember { broker_id, broker_epoch }
        };
        let request = AlterPartition {
            topic_id: topic,
            partition: index,
            leader_epoch: LeaderEpoch(line.number("leader-epoch", now.leader_epoch.0)),
            partition_epoch: line.number("partition-epoch", now.partition_epoch),
            isr: line.get("isr").expect("an ISR").split(',').map(member).collect(),
            leader_recovery_state: i8::from(line.has("recovering")),
        };
        let epoch = self.image.broker(leader).map_or(-1, |broker| broker.epoch);
        let epoch = line.number("broker-epoch", epoch);
        match alter_partition(&self.image, &self.options, leader, epoch, &[request]) {
            Ok(Decision { records, answer }) => {
                self.commit(records);
                for code in answer.iter().filter_map(|result| result.as_ref().err()) {
                    self.say(code.name());
                }
            }
            Err(refused) => self.say(&refusal(&refused)),
        }
    }

    fn elect(&mut self, line: &Line<'_>) {
        let election_type = if line.has("unclean") { ElectionType::Unclean } else { ElectionType::Preferred };
        let topics: Vec<_> =
            line.words[1..].iter().map(|word| partition(word)).map(|(name, index)| (name, vec![index])).collect();
        let topics = (!topics.is_empty()).then_some(topics);
        let decision = elect_leaders(&self.image, &self.options, election_type, topics.as_deref());
        self.commit(decision.records);
        for (name, partitions) in decision.answer {
            for (index, elected) in partitions {
                self.say(&format!("answer {name}-{index} {}", result(&elected)));
            }
        }
    }

    fn reassign(&mut self, line: &Line<'_>) {
        if line.verb == "list" {
            for (name, partitions) in list_partition_reassignments(&self.image, None) {
                for it in partitions {
                    let (adding, removing) = (ids(&it.adding_replicas), ids(&it.removing_replicas));
                    let replicas = ids(&it.replicas);
                    self.say(&format!("{name}-{} {replicas} adding={adding} removing={removing}", it.partition));
                }
            }
            return;
        }
        let (name, index) = partition(line.words[0]);
        let target = (!line.has("cancel")).then(|| brokers(line.words[1]));
        let may_change = !line.has("same-factor");
        let topics = [(name, vec![(index, target)])];
        let decision = alter_partition_reassignments(&self.image, &self.options, may_change, &topics);
        self.commit(decision.records);
        self.refused(decision.answer.iter().flat_map(|(_, results)| results).map(|(_, result)| result));
    }

    fn set(&mut self, line: &Line<'_>) {
        let (key, value) = line.words[1].split_once('=').expect("a setting");
        let change = AlterConfigs {
            resource: ResourceName { resource_type: ResourceType::Topic, name: line.words[0].to_owned() },
            changes: vec![(key.to_owned(), ConfigOp::Set(Some(value.to_owned())))],
        };
        let decision = incremental_alter_configs(&self.image, &self.options, &Asked::Broker(BrokerId(1)), &[change]);
        let is_config = |record: &Record| matches!(record, Record::ConfigChanged { .. });
        let (configs, others): (Vec<_>, Vec<_>) = decision.records.into_iter().partition(is_config);
        let mut delta = Delta::default();
        configs.iter().for_each(|record| self.image.apply(record, &mut delta));
        assert!(!self.image.configs(&ConfigResource::Topic(line.words[0].to_owned())).is_empty());
        self.commit(others);
        self.refused(decision.answer.iter());
    }
}
