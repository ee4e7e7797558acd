//! After any trouble a group comes to rest: consumers as they are, random crashes, restarts, slow and failed writes.
//!
//! Checked all the time: within one generation no partition is given to two members. Checked at the end: once nothing
//! breaks any more, within two session and rebalance timeouts the group is stable and has every partition read.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::super::*;
use super::parse;

const SESSION_MS: i32 = 10_000;
const REBALANCE_MS: i32 = 10_000;
const HEARTBEAT_MS: u64 = 3000;
const STEP_MS: u64 = 100;
const PARTITIONS: u8 = 12;
const SETTLES_WITHIN_MS: u64 = 40_000;

/// Something that goes wrong, or right again.
#[derive(Clone, Debug)]
enum Trouble {
    Start {
        is_static: bool,
    },
    /// A process dies without a word.
    Crash(usize),
    Leave(usize),
    /// A static member's process is replaced by another at once.
    Bounce(usize),
    /// Writes stay uncommitted for some steps.
    Stall(u64),
    /// The next write fails.
    Fail,
    Wait(u64),
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        4 => any::<bool>().prop_map(|is_static| Trouble::Start { is_static }),
        2 => any::<usize>().prop_map(Trouble::Crash),
        2 => any::<usize>().prop_map(Trouble::Leave),
        2 => any::<usize>().prop_map(Trouble::Bounce),
        2 => (1..80u64).prop_map(Trouble::Stall),
        1 => Just(Trouble::Fail),
        6 => (1..60u64).prop_map(Trouble::Wait),
    ]
}

/// One process with a consumer, as Java's behaves.
#[derive(Clone, Debug, Default)]
struct Consumer {
    member_id: String,
    instance: Option<String>,
    generation_id: i32,
    /// Waits for an answer.
    is_waiting: bool,
    /// Is to join, at the next step.
    must_join: bool,
    assignment: Option<Bytes>,
    next_heartbeat_ms: u64,
    is_alive: bool,
}

struct Simulation {
    machine: Coordinator<usize>,
    now: Now,
    end: i64,
    stalled_steps: u64,
    fails_next: bool,
    consumers: Vec<Consumer>,
    uuids: u128,
    instances: usize,
    /// Who was given a partition, by generation and partition.
    given: BTreeMap<(i32, u8), String>,
}

impl Simulation {
    fn new() -> Simulation {
        let options = Options { initial_rebalance_delay_ms: 0, ..Options::default() };
        let mut machine = Coordinator::new(options);
        let now = Now { wall_ms: 1, monotonic_ms: 0 };
        machine.loaded(now, Offset::ZERO);
        let (consumers, given) = (Vec::new(), BTreeMap::new());
        Simulation {
            machine,
            now,
            end: 0,
            stalled_steps: 0,
            fails_next: false,
            consumers,
            uuids: 0,
            instances: 0,
            given,
        }
    }

    fn make(&mut self, trouble: &Trouble) {
        let living: Vec<usize> = (0..self.consumers.len()).filter(|index| self.consumers[*index].is_alive).collect();
        let pick = |number: usize| (!living.is_empty()).then(|| living[number % living.len()]);
        match trouble {
            Trouble::Start { is_static } => {
                self.instances += 1;
                self.start(is_static.then(|| format!("i{}", self.instances)));
            }
            Trouble::Crash(number) => {
                pick(*number).into_iter().for_each(|index| self.consumers[index].is_alive = false)
            }
            Trouble::Leave(number) => pick(*number).into_iter().for_each(|index| self.leave(index)),
            Trouble::Bounce(number) => {
                let Some(index) = pick(*number).filter(|index| self.consumers[*index].instance.is_some()) else {
                    return;
                };
                self.consumers[index].is_alive = false;
                self.start(self.consumers[index].instance.clone());
            }
            Trouble::Stall(steps) => self.stalled_steps = *steps,
            Trouble::Fail => self.fails_next = true,
            Trouble::Wait(steps) => (0..*steps).for_each(|_| self.step()),
        }
    }

    fn start(&mut self, instance: Option<String>) {
        self.consumers.push(Consumer { instance, is_alive: true, must_join: true, ..Consumer::default() });
    }

    fn leave(&mut self, index: usize) {
        let consumer = &mut self.consumers[index];
        consumer.is_alive = false;
        let leaving =
            LeavingMember { member_id: consumer.member_id.clone(), group_instance_id: consumer.instance.clone() };
        let outcome = self.machine.leave(self.now, "g", vec![leaving], index);
        self.carry_out(outcome);
    }

    /// Time goes on: writes are committed, timers go off, consumers do what they have to.
    fn step(&mut self) {
        self.now = self.now.plus_ms(STEP_MS);
        self.stalled_steps = self.stalled_steps.saturating_sub(1);
        if self.stalled_steps == 0 {
            let replies = self.machine.committed(self.now, Offset(self.end));
            self.hear(replies);
        }
        while let Some(outcome) = self.machine.expire(self.now) {
            self.carry_out(outcome);
        }
        for index in 0..self.consumers.len() {
            let consumer = &self.consumers[index];
            if !consumer.is_alive || consumer.is_waiting {
                continue;
            }
            if consumer.must_join {
                self.join(index);
            } else if consumer.assignment.is_some() && consumer.next_heartbeat_ms <= self.now.monotonic_ms {
                self.heartbeat(index);
            }
        }
    }

    fn carry_out(&mut self, outcome: Outcome<usize>) {
        let Outcome { records, replies, .. } = outcome;
        self.hear(replies);
        if records.is_empty() {
            return;
        }
        if std::mem::take(&mut self.fails_next) {
            let replies = self.machine.append_failed(self.now, ErrorCode::NotEnoughReplicas);
            return self.hear(replies);
        }
        self.end += i64::try_from(records.len()).expect("few");
        self.machine.appended(self.now, Offset(self.end));
    }

    fn join(&mut self, index: usize) {
        self.uuids += 1;
        let (name, metadata) = parse::protocol("range/t");
        let consumer = &mut self.consumers[index];
        consumer.must_join = false;
        consumer.is_waiting = true;
        consumer.assignment = None;
        let request = JoinRequest {
            version: 9,
            client_id: "c".into(),
            client_host: "/h".into(),
            new_member_uuid: Uuid::from_u128(self.uuids),
            group_id: "g".into(),
            member_id: consumer.member_id.clone(),
            group_instance_id: consumer.instance.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![Protocol { name, metadata }],
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
        };
        let outcome = self.machine.join(self.now, &request, index);
        self.carry_out(outcome);
    }

    fn heartbeat(&mut self, index: usize) {
        let consumer = &mut self.consumers[index];
        consumer.is_waiting = true;
        consumer.next_heartbeat_ms = self.now.monotonic_ms + HEARTBEAT_MS;
        let consumer = consumer.clone();
        let identity = MemberIdentity {
            member_id: &consumer.member_id,
            group_instance_id: consumer.instance.as_deref(),
            generation_id: consumer.generation_id,
        };
        let outcome = self.machine.heartbeat(self.now, "g", identity, index);
        self.carry_out(outcome);
    }

    fn sync(&mut self, index: usize, members: &[JoinMember]) {
        let consumer = &mut self.consumers[index];
        consumer.is_waiting = true;
        let share = |position: usize| -> Bytes {
            let position = u8::try_from(position).expect("few members");
            let count = u8::try_from(members.len()).expect("few members");
            (0..PARTITIONS).filter(|partition| partition % count == position).collect::<Vec<u8>>().into()
        };
        let assignments = members
            .iter()
            .enumerate()
            .map(|(position, member)| Assignment { member_id: member.member_id.clone(), assignment: share(position) });
        let request = SyncRequest {
            group_id: "g".into(),
            generation_id: consumer.generation_id,
            member_id: consumer.member_id.clone(),
            group_instance_id: consumer.instance.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: assignments.collect(),
        };
        let outcome = self.machine.sync(self.now, &request, index);
        self.carry_out(outcome);
    }

    /// Replies reach their consumers; those of the dead reach nobody.
    fn hear(&mut self, replies: Vec<(usize, Reply)>) {
        for (index, reply) in replies {
            if !self.consumers[index].is_alive {
                continue;
            }
            self.consumers[index].is_waiting = false;
            match reply {
                Reply::Join(reply) => self.hear_join(index, &reply),
                Reply::Sync(reply) if !reply.error.is_error() => self.hear_assignment(index, reply.assignment),
                Reply::Sync(reply) => self.hear_error(index, reply.error),
                Reply::Heartbeat(error) => self.hear_error(index, error),
                other => panic!("nobody asked for {other:?}"),
            }
        }
    }

    fn hear_join(&mut self, index: usize, reply: &JoinReply) {
        let consumer = &mut self.consumers[index];
        if reply.error.is_error() {
            if reply.error == ErrorCode::MemberIdRequired {
                consumer.member_id.clone_from(&reply.member_id);
            }
            return self.hear_error(index, reply.error);
        }
        consumer.member_id.clone_from(&reply.member_id);
        consumer.generation_id = reply.generation_id;
        let members = if reply.skip_assignment { &[] } else { reply.members.as_slice() };
        self.sync(index, members);
    }

    fn hear_assignment(&mut self, index: usize, assignment: Bytes) {
        let consumer = &mut self.consumers[index];
        // A static member holds its place under whatever id.
        let holder = consumer.instance.clone().unwrap_or_else(|| consumer.member_id.clone());
        for partition in &assignment {
            let known = self.given.entry((consumer.generation_id, *partition)).or_insert_with(|| holder.clone());
            assert_eq!(*known, holder, "partition {partition} in generation {}", consumer.generation_id);
        }
        consumer.assignment = Some(assignment);
        consumer.next_heartbeat_ms = self.now.monotonic_ms + HEARTBEAT_MS;
    }

    /// As `AbstractCoordinator` of Kafka's Java client.
    fn hear_error(&mut self, index: usize, error: ErrorCode) {
        let consumer = &mut self.consumers[index];
        match error {
            ErrorCode::None => {}
            ErrorCode::FencedInstanceId => consumer.is_alive = false,
            ErrorCode::UnknownMemberId => {
                consumer.member_id.clear();
                consumer.must_join = true;
            }
            ErrorCode::MemberIdRequired
            | ErrorCode::RebalanceInProgress
            | ErrorCode::IllegalGeneration
            | ErrorCode::CoordinatorNotAvailable => consumer.must_join = true,
            other => panic!("no client should hear {other}"),
        }
    }

    /// What is wrong with the group as it is; `None` when all is well.
    fn unrest(&self) -> Option<String> {
        let living: Vec<&Consumer> = self.consumers.iter().filter(|consumer| consumer.is_alive).collect();
        let group = self.machine.group("g");
        if living.is_empty() {
            return group
                .filter(|group| !group.members.is_empty())
                .map(|group| format!("{} members", group.members.len()));
        }
        let group = group.expect("a group that was joined");
        if group.state != State::Stable || group.members.len() != living.len() {
            return Some(format!("{} with {} members of {}", group.state, group.members.len(), living.len()));
        }
        let mut read: Vec<u8> =
            living.iter().filter_map(|consumer| consumer.assignment.as_ref()).flatten().copied().collect();
        read.sort_unstable();
        (read != (0..PARTITIONS).collect::<Vec<u8>>()).then(|| format!("partitions {read:?} are read"))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_group_comes_to_rest_after_any_trouble(troubles in prop::collection::vec(trouble(), 1..60)) {
        let mut simulation = Simulation::new();
        for trouble in &troubles {
            simulation.make(trouble);
        }
        simulation.stalled_steps = 0;
        simulation.fails_next = false;
        let steps = SETTLES_WITHIN_MS / STEP_MS;
        let rested = (0..steps).any(|_| {
            simulation.step();
            simulation.unrest().is_none()
        });
        prop_assert!(rested, "{:?}", simulation.unrest());
        // And it stays at rest.
        (0..steps).for_each(|_| simulation.step());
        prop_assert_eq!(simulation.unrest(), None);
    }
}

/// Rule of thumb for operators: a rolling restart of static members costs no rebalance at all (KIP-345).
#[test]
fn a_rolling_restart_of_200_static_members_moves_nothing() {
    let mut simulation = Simulation::new();
    (0..200).for_each(|number| simulation.start(Some(format!("i{number}"))));
    (0..600).for_each(|_| simulation.step());
    let generation =
        |simulation: &Simulation| simulation.machine.group("g").map(|group| (group.generation_id, group.state));
    let before = generation(&simulation);
    assert_eq!(before.map(|(_, state)| state), Some(State::Stable));
    for index in 0..200 {
        simulation.make(&Trouble::Bounce(0));
        assert!(!simulation.consumers[index].is_alive, "the first that lives is bounced");
        (0..20).for_each(|_| simulation.step());
    }
    assert_eq!(generation(&simulation), before);
    assert_eq!(simulation.unrest(), None);
}
