//! A group of three members, each a process: they share, one leaves, one dies, the server is killed, and a new one resumes.
//!
//! Members commit what they have read before they say so, and the runner changes the group only when everything sent was
//! read. So every record must be seen exactly once over all members.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::clients::program::Program;
use crate::clients::record::{Record, numbered, records_of, same_in_order};
use crate::clients::session::Session;
use crate::clients::topic::{Sending, Topic};
use crate::clients::wire::await_group;

const PARTITIONS: usize = 6;
const ROUND_COUNT: usize = 60;
const GROUP: &str = "readers";
const TOPIC: &str = "shared-by-three";

/// Session timeout of a member that died (6 s), a rebalance, and for real Kafka a restart.
const ROUND_LIMIT: Duration = Duration::from_secs(60);

/// Three heartbeats: time in which members see that their server was away.
const REJOIN: Duration = Duration::from_millis(1500);

/// Time in which a record that is read twice would turn up.
const QUIET: Duration = Duration::from_millis(300);

struct Group {
    topic: Topic,
    members: Vec<Program>,
}

/// The whole story; what depends on a part that failed fails too.
pub fn run_all(session: &mut Session) {
    let mut group: Option<Group> = None;
    let chapters: [(&str, Chapter); 5] = [
        ("shares a topic in a group of three, each record read once and in order", three_share),
        ("goes on in the group when a member leaves", one_leaves),
        ("goes on in the group when a member dies, with what was sent meanwhile", one_dies),
        ("goes on in the group when the server is killed and started", server_is_killed),
        ("resumes from the committed offsets when all had left and the server was restarted", new_one_resumes),
    ];
    for (sentence, chapter) in chapters {
        session.scenario(sentence, |session, program| {
            let mut current = match group.take() {
                Some(group) => group,
                None => Group::new(program, sentence == chapters[0].0)?,
            };
            chapter(session, program, &mut current)?;
            group = Some(current);
            Ok(())
        });
    }
}

type Chapter = fn(&mut Session, &mut Program, &mut Group) -> Result<()>;

fn three_share(session: &mut Session, program: &mut Program, group: &mut Group) -> Result<()> {
    for _ in 0..3 {
        group.join(session)?;
    }
    group.await_members(session)?;
    group.round(program, "three")
}

fn one_leaves(session: &mut Session, program: &mut Program, group: &mut Group) -> Result<()> {
    let left = group.members.remove(0).leave()?;
    anyhow::ensure!(left.is_empty(), "the member read more before it left: {left:?}");
    group.await_members(session)?;
    group.round(program, "two")
}

fn one_dies(session: &mut Session, program: &mut Program, group: &mut Group) -> Result<()> {
    group.members.remove(0).kill();
    // Its partitions wait for the end of its session; the others must not.
    group.round(program, "one and a dead one")?;
    group.await_members(session)
}

fn server_is_killed(session: &mut Session, program: &mut Program, group: &mut Group) -> Result<()> {
    session.server.kill_and_start()?;
    if !session.client.keeps_generation {
        std::thread::sleep(REJOIN);
        group.await_members(session)?;
    }
    group.round(program, "after the kill")
}

fn new_one_resumes(session: &mut Session, program: &mut Program, group: &mut Group) -> Result<()> {
    for member in group.members.drain(..) {
        member.leave()?;
    }
    session.server.stop_and_start()?;
    group.join(session)?;
    group.await_members(session)?;
    group.round(program, "resumed")
}

impl Group {
    fn new(program: &mut Program, first: bool) -> Result<Group> {
        anyhow::ensure!(first, "the group did not come this far");
        Ok(Group { topic: Topic::create(program, TOPIC, PARTITIONS)?, members: Vec::new() })
    }

    fn join(&mut self, session: &Session) -> Result<()> {
        let mut member = session.new_program("member")?;
        member.tell(&json!({"do": "join", "group": GROUP, "topic": TOPIC}))?;
        self.members.push(member);
        Ok(())
    }

    /// Waits until exactly the members that should be there share all partitions.
    fn await_members(&self, session: &Session) -> Result<()> {
        await_group(session.server.address(), GROUP, TOPIC, PARTITIONS, self.members.len())
    }

    /// Sends a round of records, and fails unless the members read exactly these.
    fn round(&mut self, program: &mut Program, name: &str) -> Result<()> {
        let before = self.topic.count();
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let how = Sending::safely(program.client);
        self.topic.send(program, how, numbered(name, ROUND_COUNT, PARTITIONS, i64::try_from(now)?))?;
        let read = self.gather(ROUND_COUNT)?;
        same_in_order(self.topic.sent_after(before), &read, PARTITIONS)
    }

    fn gather(&mut self, count: usize) -> Result<Vec<Record>> {
        let mut read = Vec::new();
        let give_up = Instant::now() + ROUND_LIMIT;
        let mut quiet_until = None;
        while quiet_until.is_none_or(|until| Instant::now() < until) {
            let mut idle = true;
            for (index, member) in self.members.iter_mut().enumerate() {
                let answer = member.poll().with_context(|| format!("member {index}"))?;
                if let Some(answer) = answer {
                    read.extend(records_of(&answer)?);
                    idle = false;
                }
            }
            if read.len() >= count && quiet_until.is_none() {
                quiet_until = Some(Instant::now() + QUIET);
            }
            if Instant::now() > give_up {
                bail!("the members read {} of {count} records in {} s", read.len(), ROUND_LIMIT.as_secs());
            }
            if idle {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(read)
    }
}
