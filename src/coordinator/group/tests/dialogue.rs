//! Runs a dialogue: every event of the text, each followed by the full outcome of the machine.
//!
//! Events (group first, then `key=value`):
//! `options delay=0 size=2 …` · `join` · `sync` · `heartbeat` · `leave` · `commit` · `fetch` · `delete-offsets` ·
//! `delete-groups` · `delete-topics` · `list` · `describe` · `tick 3000ms` (fires what is due, one by one) ·
//! `committed 3` (the high watermark) · `restart` (a new machine reads the log) · `unload`.
//! `fail=CODE` on an event lets the append of its records fail. `as=x` names who is to be answered.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::super::*;
use super::parse::{self, Line};
use super::show;

struct Dialogue {
    options: Options,
    machine: Coordinator<String>,
    now: Now,
    log: Vec<Record>,
    uuids: u128,
    out: String,
}

/// The text again, with the outcome after every event as it is today.
pub(super) fn run(text: &str) -> String {
    let options = Options::default();
    let mut dialogue = Dialogue {
        machine: Coordinator::new(options.clone()),
        options,
        now: Now { wall_ms: 1_000_000, monotonic_ms: 0 },
        log: Vec::new(),
        uuids: 0,
        out: String::new(),
    };
    dialogue.machine.loaded(dialogue.now, Offset::ZERO);
    crate::tests::play_dialogue(text, |line| {
        dialogue.event(&Line::parse(line));
        std::mem::take(&mut dialogue.out)
    })
}

impl Dialogue {
    fn say(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn timers(&self) -> BTreeMap<TimerKey, u64> {
        self.machine.timers().map(|(key, deadline_ms)| (key.clone(), deadline_ms)).collect()
    }

    fn event(&mut self, line: &Line<'_>) {
        let before = self.timers();
        match line.verb {
            "options" => self.set_options(line),
            "tick" => return self.tick(line),
            "committed" => {
                let offset = Offset(line.words[0].parse().expect("an offset"));
                let replies = self.machine.committed(self.now, offset);
                self.show_replies(replies);
            }
            "restart" => self.restart(),
            "unload" => {
                let machine = std::mem::replace(&mut self.machine, Coordinator::new(self.options.clone()));
                self.show_replies(machine.unload());
                return;
            }
            "delete-topics" => {
                let topic_id = TopicId(Uuid::from_u128(line.number("topic-id", 0)));
                self.machine.topics_deleted(self.now, [(line.group(), topic_id)]);
            }
            "list" => self.list(line),
            "describe" => {
                let described = self.machine.describe_group(&line.group());
                self.say(&show::described(described.as_ref()));
            }
            "fetch" if line.get("stable").is_none() => {
                let fetched = self.machine.fetch_offsets(&fetch_request(line));
                self.say(&show::fetched(&fetched));
            }
            _ => {
                let held_before = self.machine.held_count();
                let outcome = self.request(line);
                self.carry_out(outcome, held_before, line.get("fail"));
            }
        }
        self.show_timers(&before);
    }

    fn request(&mut self, line: &Line<'_>) -> Outcome<String> {
        let (now, group) = (self.now, line.group());
        let token = line.text("as", line.verb);
        let (member, instance) = (self.member(line), line.get("instance").map(str::to_owned));
        let generation_id = line.number("generation", -1);
        match line.verb {
            "join" => {
                let request = self.join_request(line, member, instance);
                self.machine.join(now, &request, token)
            }
            "sync" => {
                let assignments = line.list("assignments").into_iter().map(|given| {
                    let (member, assignment) = given.split_once(':').expect("member:assignment");
                    Assignment { member_id: full_id(member), assignment: assignment.as_bytes().to_vec().into() }
                });
                let request = SyncRequest {
                    group_id: group,
                    generation_id,
                    member_id: member,
                    group_instance_id: instance,
                    protocol_type: line.get("type").map(str::to_owned),
                    protocol_name: line.get("name").map(str::to_owned),
                    assignments: assignments.collect(),
                };
                self.machine.sync(now, &request, token)
            }
            "heartbeat" => {
                let identity =
                    MemberIdentity { member_id: &member, group_instance_id: instance.as_deref(), generation_id };
                self.machine.heartbeat(now, &group, identity, token)
            }
            "leave" => {
                let leaving = line.words[1..].iter().map(|word| {
                    let (member, instance) = word.split_once('@').map_or((*word, None), |(id, name)| (id, Some(name)));
                    LeavingMember { member_id: full_id(member), group_instance_id: instance.map(str::to_owned) }
                });
                self.machine.leave(now, &group, leaving.collect(), token)
            }
            "commit" => self.machine.commit_offsets(now, commit_request(line, member, instance), token),
            "fetch" => self.machine.fetch_stable_offsets(now, &fetch_request(line), token),
            "delete-offsets" => self.machine.delete_offsets(now, &group, delete_topics(line), token),
            "delete-groups" => {
                let group_ids = line.words.iter().map(|group| (*group).to_owned()).collect();
                self.machine.delete_groups(now, group_ids, token)
            }
            verb => panic!("no event is called {verb}"),
        }
    }

    fn member(&self, line: &Line<'_>) -> String {
        full_id(&line.text("member", ""))
    }

    fn join_request(&mut self, line: &Line<'_>, member_id: String, instance: Option<String>) -> JoinRequest {
        self.uuids += 1;
        let protocols = match line.get("protocols") {
            None => vec!["range/t"],
            Some(_) => line.list("protocols"),
        };
        let session_timeout_ms = line.number("session", 10_000);
        JoinRequest {
            version: line.number("version", 5),
            client_id: line.text("client", "c"),
            client_host: "/127.0.0.1".to_owned(),
            new_member_uuid: Uuid::from_u128(self.uuids),
            group_id: line.group(),
            member_id,
            group_instance_id: instance,
            protocol_type: line.text("type", "consumer"),
            protocols: protocols
                .into_iter()
                .map(|text| {
                    let (name, metadata) = parse::protocol(text);
                    Protocol { name, metadata }
                })
                .collect(),
            session_timeout_ms,
            rebalance_timeout_ms: line.number("rebalance", 60_000),
        }
    }

    fn carry_out(&mut self, outcome: Outcome<String>, held_before: usize, fail: Option<&str>) {
        for record in &outcome.records {
            self.say(&format!("record {}", show::record(record)));
        }
        self.show_replies(outcome.replies);
        if outcome.records.is_empty() {
            if held_before < self.machine.held_count() {
                self.show_held();
            }
            return;
        }
        if let Some(name) = fail {
            let code = ErrorCode::ALL.iter().find(|code| code.name() == name).expect("an error code");
            let replies = self.machine.append_failed(self.now, *code);
            return self.show_replies(replies);
        }
        self.log.extend(outcome.records);
        let end = Offset(i64::try_from(self.log.len()).expect("short"));
        self.machine.appended(self.now, end);
        if held_before < self.machine.held_count() {
            self.show_held();
        }
    }

    fn show_held(&mut self) {
        if let Some(offset) = self.machine.held_until() {
            self.say(&format!("held   until offset {offset}"));
        }
    }

    fn show_replies(&mut self, replies: Vec<(String, Reply)>) {
        for (token, reply) in replies {
            self.say(&format!("reply  {token} -> {}", show::reply(&reply)));
        }
    }

    /// Timers that were set, set anew, or taken away.
    fn show_timers(&mut self, before: &BTreeMap<TimerKey, u64>) {
        let after = self.timers();
        for (key, deadline_ms) in &after {
            if before.get(key) != Some(deadline_ms) {
                let text = format!("timer  {key} in {}ms", deadline_ms.saturating_sub(self.now.monotonic_ms));
                self.say(&show::shorten(&text));
            }
        }
        for key in before.keys().filter(|key| !after.contains_key(key)) {
            self.say(&show::shorten(&format!("timer  {key} gone")));
        }
    }

    /// Time passes: each timer goes off at its own moment.
    fn tick(&mut self, line: &Line<'_>) {
        let duration_ms: u64 = line.words[0].trim_end_matches("ms").parse().expect("milliseconds");
        let end = self.now.plus_ms(duration_ms);
        while let Some(deadline_ms) =
            self.machine.next_deadline().filter(|deadline_ms| *deadline_ms <= end.monotonic_ms)
        {
            self.now = self.now.plus_ms(deadline_ms.saturating_sub(self.now.monotonic_ms));
            let before = self.timers();
            while let Some(outcome) = self.machine.expire(self.now) {
                let held_before = self.machine.held_count();
                self.carry_out(outcome, held_before, line.get("fail"));
            }
            self.show_timers(&before);
        }
        self.now = end;
    }

    fn restart(&mut self) {
        self.machine = Coordinator::new(self.options.clone());
        for record in &self.log {
            let read = Record::decode(&record.key_bytes(), record.value_bytes().as_deref());
            self.machine.replay(read.expect("what we wrote").expect("a record of ours"));
        }
        self.machine.loaded(self.now, Offset(i64::try_from(self.log.len()).expect("short")));
    }

    fn list(&mut self, line: &Line<'_>) {
        let filter = |name| line.list(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
        for group in self.machine.list_groups(&filter("states"), &filter("types")) {
            self.say(&format!("{} {} type={}", group.group_id, group.state, group.protocol_type));
        }
    }

    fn set_options(&mut self, line: &Line<'_>) {
        self.options.initial_rebalance_delay_ms = line.number("delay", self.options.initial_rebalance_delay_ms);
        self.options.group_max_size = line.number("size", self.options.group_max_size);
        self.options.offset_metadata_max_bytes = line.number("metadata", self.options.offset_metadata_max_bytes);
        self.options.offsets_retention_ms = line.number("retention", self.options.offsets_retention_ms);
        self.restart();
    }
}

/// `a-1` is the short form of `a-00000000-0000-0000-0000-000000000001`.
fn full_id(short: &str) -> String {
    match short.rsplit_once('-') {
        Some((client, number)) if number.parse::<u128>().is_ok() => {
            format!("{client}-{}", Uuid::from_u128(number.parse().expect("checked")))
        }
        _ => short.to_owned(),
    }
}

fn commit_request(line: &Line<'_>, member_id: String, group_instance_id: Option<String>) -> CommitRequest {
    let topic_id = TopicId(Uuid::from_u128(line.number("topic-id", 1)));
    let topics = line.words[1..].iter().map(|word| {
        let (place, offset) = word.split_once('=').expect("topic-partition=offset");
        let (offset, leader_epoch) = offset.split_once('/').unwrap_or((offset, "-1"));
        let (name, partition) = parse::partition(place);
        let partition = CommitPartition {
            partition,
            offset: offset.parse().expect("an offset"),
            leader_epoch: leader_epoch.parse().expect("an epoch"),
            metadata: line.get("metadata").map(str::to_owned),
        };
        CommitTopic { name, topic_id, partitions: vec![partition] }
    });
    CommitRequest {
        version: line.number("version", 9),
        group_id: line.group(),
        member_id,
        group_instance_id,
        generation_id: line.number("generation", -1),
        retention_time_ms: line.number("retention", -1),
        topics: topics.collect(),
    }
}

fn fetch_request(line: &Line<'_>) -> FetchRequest {
    let topic_id = TopicId(Uuid::from_u128(line.number("topic-id", 0)));
    let topics = line.words[1..].iter().map(|word| {
        let (name, partition) = parse::partition(word);
        FetchTopic { name, topic_id, partitions: vec![partition] }
    });
    let topics: Vec<FetchTopic> = topics.collect();
    FetchRequest { group_id: line.group(), topics: (!topics.is_empty()).then_some(topics) }
}

fn delete_topics(line: &Line<'_>) -> Vec<DeleteTopic> {
    let topics = line.words[1..].iter().map(|word| {
        let (name, partition) = parse::partition(word);
        DeleteTopic { name, partitions: vec![partition] }
    });
    topics.collect()
}
