//! Who is alive: when each broker was last heard of, and how far it has read the metadata.
//!
//! This is the controller's own knowledge and in no record: a new controller starts everybody's time anew, since it cannot know
//! when they were last heard of (`BrokerHeartbeatManager`). A broker that was silent for its session timeout is to be fenced.
//! One whose process is gone can be told earlier: after two missed heartbeats the shell tries to connect to it, and only a
//! refused connection counts; silence, a slow answer or a lost packet below the timeout prove nothing.
//!
//! Invariant: nobody is declared dead for silence within its session timeout, also when it was this controller that stood still.

use std::collections::BTreeMap;

use crate::metadata::Image;
use crate::model::{BrokerId, Now, Offset};

/// When brokers count as silent and as dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// `broker.session.timeout.ms`.
    pub session_timeout_ms: u64,
    /// `broker.heartbeat.interval.ms`; two of them without a heartbeat make a broker worth a probe.
    pub heartbeat_interval_ms: u64,
}

/// What came of a try to connect to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Its machine answers, and nobody listens there: the process is gone.
    Refused,
    /// Anything else, an established connection or none within the time: says nothing.
    Unknown,
}

/// What is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Silent for too long, with the broker epochs that are to be fenced.
    pub to_fence: Vec<(BrokerId, i64)>,
    /// To be probed, each once until it is heard of again.
    pub to_probe: Vec<(BrokerId, i64)>,
}

#[derive(Clone, Debug)]
struct Session {
    broker_epoch: i64,
    /// By the monotonic clock.
    last_contact_ms: u64,
    /// How far the broker has read the metadata, as it last said.
    metadata_offset: Offset,
    /// What it must have read before it is let in: its own registration.
    required_offset: Offset,
    /// What all others must have read before it may stop: the records that moved its leaders.
    shutdown_offset: Option<Offset>,
    is_probed: bool,
    /// Not heard of since this controller is in charge. What unseated the one before may have taken brokers with it.
    is_unheard: bool,
    /// Its process is gone, or has leave to go: its id is free for the next one before the timeout is over.
    has_ended: bool,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Sessions {
    options: SessionOptions,
    sessions: BTreeMap<BrokerId, Session>,
    last_tick_ms: Option<u64>,
}

impl Sessions {
    pub fn new(options: SessionOptions) -> Sessions {
        Sessions { options, sessions: BTreeMap::new(), last_tick_ms: None }
    }

    /// A new controllership: every broker has its whole timeout before it, and a fenced one must have read what is there now.
    /// Each is probed at once, unless it is heard of first: a broker that died with the controller before is found without
    /// waiting for heartbeats that it cannot miss twice yet.
    pub fn restart(&mut self, now: Now, image: &Image) {
        self.sessions.clear();
        self.last_tick_ms = None;
        for broker in image.brokers() {
            self.register(now, broker.id, broker.epoch, image.last_applied());
        }
        self.sessions.values_mut().for_each(|session| session.is_unheard = true);
    }

    /// A broker was registered by records that end at this offset of the metadata.
    pub fn register(&mut self, now: Now, id: BrokerId, broker_epoch: i64, required_offset: Offset) {
        let session = Session {
            broker_epoch,
            last_contact_ms: now.monotonic_ms,
            metadata_offset: Offset::NONE,
            required_offset,
            shutdown_offset: None,
            is_probed: false,
            is_unheard: false,
            has_ended: false,
        };
        self.sessions.insert(id, session);
    }

    /// A broker is no longer registered.
    pub fn forget(&mut self, id: BrokerId) {
        self.sessions.remove(&id);
    }

    /// A heartbeat has come. Counts when it arrives, not when it is decided on: a slow controller must not fence for it.
    pub fn touch(&mut self, now: Now, id: BrokerId, broker_epoch: i64, metadata_offset: Offset) {
        let Some(session) = self.session_mut(id, broker_epoch) else { return };
        session.last_contact_ms = session.last_contact_ms.max(now.monotonic_ms);
        session.metadata_offset = session.metadata_offset.max(metadata_offset);
        session.is_probed = false;
        session.is_unheard = false;
        session.has_ended = false;
    }

    /// The broker's process is gone, or was told to stop: who registers with its id is no double.
    pub fn end(&mut self, id: BrokerId, broker_epoch: i64) {
        if let Some(session) = self.session_mut(id, broker_epoch) {
            session.has_ended = true;
        }
    }

    /// Whether the broker was heard of within its timeout.
    pub fn is_alive(&self, now: Now, id: BrokerId, broker_epoch: i64) -> bool {
        let session = self.sessions.get(&id).filter(|session| session.broker_epoch == broker_epoch);
        session.is_some_and(|session| {
            !session.has_ended && self.silence_ms(now, session) < self.options.session_timeout_ms
        })
    }

    /// The broker was fenced by records that end at this offset: it is let in again when it knows who leads in its place.
    pub fn require(&mut self, id: BrokerId, broker_epoch: i64, offset: Offset) {
        if let Some(session) = self.session_mut(id, broker_epoch) {
            session.required_offset = session.required_offset.max(offset);
        }
    }

    /// Whether the broker has read its registration, and that it was fenced.
    pub fn is_caught_up(&self, id: BrokerId, metadata_offset: Offset) -> bool {
        self.sessions.get(&id).is_some_and(|session| metadata_offset >= session.required_offset)
    }

    /// What every other broker must have read before this one may stop; `None` until [`Sessions::shut_down_after`].
    pub fn shutdown_offset(&self, id: BrokerId) -> Option<Offset> {
        self.sessions.get(&id)?.shutdown_offset
    }

    /// The broker's leaders were moved by records that end at this offset. Only the first counts.
    pub fn shut_down_after(&mut self, id: BrokerId, offset: Offset) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.shutdown_offset.get_or_insert(offset);
        }
    }

    /// How far the slowest active broker has read the metadata; without one there is nobody to wait for.
    pub fn lowest_active_offset(&self, image: &Image) -> Option<Offset> {
        let active = image.active_brokers().filter_map(|broker| self.sessions.get(&broker.id));
        active.map(|session| session.metadata_offset).min()
    }

    /// Who is to be fenced and who to be probed. Call it at least every heartbeat interval.
    pub fn tick(&mut self, now: Now, image: &Image) -> Due {
        self.forgive_own_stall(now);
        let probe_after_ms = 2 * self.options.heartbeat_interval_ms;
        let mut due = Due::default();
        for broker in image.unfenced_brokers() {
            let Some(session) = self.sessions.get_mut(&broker.id) else { continue };
            let silence_ms = now.monotonic_ms.saturating_sub(session.last_contact_ms);
            let key = (broker.id, session.broker_epoch);
            if silence_ms >= self.options.session_timeout_ms {
                due.to_fence.push(key);
            } else if (silence_ms >= probe_after_ms || session.is_unheard) && !session.is_probed {
                session.is_probed = true;
                due.to_probe.push(key);
            }
        }
        due
    }

    /// The end of a probe: whether the broker is to be fenced at once.
    pub fn on_probe(&mut self, id: BrokerId, broker_epoch: i64, probe: Probe) -> bool {
        let Some(session) = self.session_mut(id, broker_epoch) else { return false };
        if !session.is_probed {
            // It was heard of while the probe ran.
            return false;
        }
        match probe {
            Probe::Refused => {
                session.has_ended = true;
                true
            }
            Probe::Unknown => {
                // The next tick may try again.
                session.is_probed = false;
                false
            }
        }
    }

    /// When this controller stood still, heartbeats could not reach it: its own stall is nobody's silence.
    fn forgive_own_stall(&mut self, now: Now) {
        let last_ms = self.last_tick_ms.replace(now.monotonic_ms);
        let stall_ms = last_ms.map_or(0, |last_ms| now.monotonic_ms.saturating_sub(last_ms));
        if stall_ms <= 2 * self.options.heartbeat_interval_ms {
            return;
        }
        for session in self.sessions.values_mut() {
            session.last_contact_ms = (session.last_contact_ms + stall_ms).min(now.monotonic_ms);
        }
    }

    fn silence_ms(&self, now: Now, session: &Session) -> u64 {
        now.monotonic_ms.saturating_sub(session.last_contact_ms)
    }

    fn session_mut(&mut self, id: BrokerId, broker_epoch: i64) -> Option<&mut Session> {
        self.sessions.get_mut(&id).filter(|session| session.broker_epoch == broker_epoch)
    }
}
