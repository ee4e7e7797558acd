//! Runs a dialogue: every event of the text, each followed by the full outcome of the machine. This replica is broker 1.
//!
//! Events: `open start=0 end=5 hw=3 mode=page-cache` · `lead epoch=1 state=1 isr=1,2 replicas=1,2,3 min=2` ·
//! `follow epoch=2 state=2` · `append 5 50` · `flush 5` · `truncate 3` · `restart-at 9` · `start 2` ·
//! `fetched 2 5 broker-epoch=7 start=0 ineligible` · `answered epoch=2 hw=4` · `ineligible 2` · `wait 1000ms` ·
//! `tick 1000ms` (waits, then looks who lags) · `accepted epoch=1 state=2 isr=1,2` · `refused state=1 INELIGIBLE_REPLICA` ·
//! `await 5 as=p` · `admit` · `low alive=2` · `settings min=1` · `fence KAFKA_STORAGE_ERROR`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::*;
use crate::config::Durability;
use crate::model::{BrokerId, ErrorCode, LeaderEpoch, Now, Offset};

struct Dialogue {
    partition: Partition<String>,
    now: Now,
    out: String,
}

struct Line<'a> {
    verb: &'a str,
    words: Vec<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Line<'a> {
    fn parse(text: &'a str) -> Line<'a> {
        let mut words = text.split_whitespace();
        let mut line = Line { verb: words.next().expect("a verb"), words: Vec::new(), named: BTreeMap::new() };
        for word in words {
            match word.split_once('=') {
                Some((name, value)) => drop(line.named.insert(name, value)),
                None => line.words.push(word),
            }
        }
        line
    }

    fn offset(&self, index: usize) -> Offset {
        Offset(self.words[index].trim_end_matches("ms").parse().expect("a number"))
    }

    fn get<N: std::str::FromStr>(&self, name: &str, default: N) -> N {
        self.named.get(name).map_or(default, |value| value.parse().ok().expect("a number"))
    }

    fn brokers(&self, name: &str) -> Vec<BrokerId> {
        let list = self.named.get(name).copied().unwrap_or_default();
        list.split(',').filter(|id| !id.is_empty()).map(|id| BrokerId(id.parse().expect("an id"))).collect()
    }

    fn code(&self, index: usize) -> ErrorCode {
        match self.words[index] {
            "KAFKA_STORAGE_ERROR" => ErrorCode::KafkaStorageError,
            "INELIGIBLE_REPLICA" => ErrorCode::IneligibleReplica,
            "INVALID_UPDATE_VERSION" => ErrorCode::InvalidUpdateVersion,
            other => panic!("{other} is not in use here"),
        }
    }
}

/// The text again, with the outcome after every event as it is today.
pub(super) fn run(text: &str) -> String {
    let mut dialogue = Dialogue { partition: open(&Line::parse("open")), now: super::at(1000), out: String::new() };
    crate::tests::play_dialogue(text, |line| {
        dialogue.event(&Line::parse(line));
        std::mem::take(&mut dialogue.out)
    })
}

fn open(line: &Line<'_>) -> Partition<String> {
    let mode = line.named.get("mode").copied().unwrap_or("flushed");
    let durability = if mode == "page-cache" { Durability::PageCache } else { Durability::Flushed };
    let log_end = line.get("end", 0);
    let opened = OpenedLog {
        log_start: Offset(line.get("start", 0)),
        log_end: Offset(log_end),
        high_watermark: Offset(line.get("hw", 0)),
    };
    Partition::new(BrokerId(1), durability, opened)
}

impl Dialogue {
    fn say(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
    }

    fn wait(&mut self, line: &Line<'_>) {
        self.now.monotonic_ms += u64::try_from(line.offset(0).0).expect("a duration");
    }

    fn event(&mut self, line: &Line<'_>) {
        match line.verb {
            "open" => self.partition = open(line),
            "wait" => self.wait(line),
            "admit" => {
                let admitted = self.partition.admit(RequiredAcks::All);
                self.say(
                    &admitted.map_or_else(|code| format!("acks=all -> {code}"), |()| "acks=all -> admitted".into()),
                );
            }
            "low" => {
                let alive = line.brokers("alive");
                let low = self.partition.low_watermark(|id| alive.contains(&id));
                self.say(&low.map_or("none".into(), |low| format!("low watermark {low}")));
            }
            "truncate" => match self.partition.check_truncation(line.offset(0)) {
                Ok(()) => self.step(Event::Truncated { log_end: line.offset(0) }),
                Err(error) => {
                    self.say(&format!("refused: {error}"));
                    self.step(Event::Fence { code: ErrorCode::KafkaStorageError });
                }
            },
            "tick" => {
                self.wait(line);
                self.step(Event::Tick { now: self.now });
            }
            _ => {
                let event = self.plain_event(line);
                self.step(event);
            }
        }
    }

    fn plain_event(&self, line: &Line<'_>) -> Event<String> {
        let leader_epoch = LeaderEpoch(line.get("epoch", 0));
        let partition_epoch = line.get("state", 0);
        let isr = line.brokers("isr");
        let min_in_sync = line.get("min", 1);
        let now = self.now;
        match line.verb {
            "lead" => {
                let replicas = line.brokers("replicas");
                let leadership = Leadership { leader_epoch, partition_epoch, isr, replicas, min_in_sync, now };
                Event::BecomeLeader(leadership)
            }
            "follow" => {
                let loss = if line.words.contains(&"unclean") { Loss::Accepted } else { Loss::Refused };
                Event::BecomeFollower { leader_epoch, partition_epoch, loss }
            }
            "append" => {
                Event::Appended { log_end: line.offset(0), bytes: line.words[1].parse().expect("a number of bytes") }
            }
            "flush" => Event::Flushed { durable_end: line.offset(0) },
            "restart-at" => Event::RestartedAt { offset: line.offset(0) },
            "start" => Event::LogStartMoved { log_start: line.offset(0) },
            "fetched" => Event::FollowerFetched(FollowerFetch {
                follower: BrokerId(line.words[0].parse().expect("a broker")),
                broker_epoch: line.get("broker-epoch", 7),
                is_eligible: !line.words.contains(&"ineligible"),
                offset: line.offset(1),
                log_start: Offset(line.get("start", 0)),
                now,
            }),
            "answered" => Event::LeaderAnswered { leader_epoch, high_watermark: Offset(line.get("hw", 0)) },
            "ineligible" => Event::BrokerIneligible { broker: BrokerId(line.words[0].parse().expect("a broker")) },
            "accepted" => Event::ProposalAccepted { leader_epoch, partition_epoch, isr, now },
            "refused" => Event::ProposalRefused { partition_epoch, code: line.code(0) },
            "await" => {
                Event::Await { required: line.offset(0), waiter: line.named.get("as").copied().unwrap_or("w").into() }
            }
            "settings" => {
                let durability = self.partition.durability();
                Event::Configure { durability, min_in_sync, lag_max_ms: line.get("lag", LAG_MAX_MS) }
            }
            "fence" => Event::Fence { code: line.code(0) },
            other => panic!("{other} is no event"),
        }
    }

    fn step(&mut self, event: Event<String>) {
        let mut effects = Effects::default();
        let partition = &mut self.partition;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| partition.step(event, &mut effects))) {
            let reason = panic.downcast_ref::<&str>().copied().unwrap_or("no words");
            partition.fence_after_breach(&mut effects);
            self.say(&format!("breach: {reason}"));
        }
        if let Some(Advance { high_watermark, bytes }) = effects.advanced {
            self.say(&format!("high watermark {high_watermark} (+{bytes} bytes)"));
        }
        if effects.proposes {
            let proposal = self.partition.proposal().expect("a proposal").clone();
            let members: Vec<String> = proposal.isr.iter().map(|(id, epoch)| format!("{id}@{epoch}")).collect();
            let (epoch, state) = (proposal.leader_epoch, proposal.partition_epoch);
            self.say(&format!("propose isr=[{}] epoch={epoch} state={state}", members.join(" ")));
        }
        for (waiter, result) in effects.completed {
            let outcome = result.map_or_else(|code| code.to_string(), |()| "committed".into());
            self.say(&format!("{waiter} -> {outcome}"));
        }
    }
}
