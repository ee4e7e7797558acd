//! Heartbeats of brokers: letting in, fencing, and stopping in order (KIP-631, KIP-841).
//!
//! Follows `ReplicationControlManager.processBrokerHeartbeat` and `BrokerHeartbeatManager.calculateNextBrokerState`.

use super::leadership::{self, Leaving};
use super::sessions::Sessions;
use super::{Decision, Options, Refusal};
use crate::metadata::{Broker, Image, Record};
use crate::model::{BrokerId, ErrorCode, Offset};
use uuid::Uuid;

/// What a broker says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    pub broker_id: BrokerId,
    pub broker_epoch: i64,
    /// How far it has read the metadata.
    pub metadata_offset: Offset,
    pub wants_fence: bool,
    pub wants_shutdown: bool,
    /// The directories that it has lost since it started (KIP-858).
    pub offline_directories: Vec<Uuid>,
    /// The directories that are to get nothing new (KIP-1066), sorted; `None` says nothing of them.
    pub cordoned_directories: Option<Vec<Uuid>>,
}

/// What a broker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatAnswer {
    pub is_caught_up: bool,
    pub is_fenced: bool,
    pub should_shut_down: bool,
    /// The broker is on its way out: its leaders have been moved by the records of this answer or an earlier one.
    pub in_controlled_shutdown: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Fenced,
    Unfenced,
    ControlledShutdown,
    ShutdownNow,
}

/// Error: STALE_BROKER_EPOCH when the broker is not registered with this epoch (`ClusterControlManager.checkBrokerEpoch`).
pub fn check_broker_epoch(image: &Image, id: BrokerId, broker_epoch: i64) -> Result<&Broker, Refusal> {
    let Some(broker) = image.broker(id) else {
        let message = format!("No broker registration found for broker id {id}");
        return Err(Refusal::new(ErrorCode::StaleBrokerEpoch, message));
    };
    if broker.epoch != broker_epoch {
        let message = format!("Expected broker epoch {}, but got broker epoch {broker_epoch}", broker.epoch);
        return Err(Refusal::new(ErrorCode::StaleBrokerEpoch, message));
    }
    Ok(broker)
}

/// Decides on a heartbeat. Error: STALE_BROKER_EPOCH.
pub fn broker_heartbeat(
    image: &Image,
    options: &Options,
    sessions: &Sessions,
    heartbeat: &Heartbeat,
) -> Result<Decision<HeartbeatAnswer>, Refusal> {
    let broker = check_broker_epoch(image, heartbeat.broker_id, heartbeat.broker_epoch)?;
    let is_caught_up = sessions.is_caught_up(broker.id, heartbeat.metadata_offset);
    let current = state_of(broker);
    let lost = lose_directories(image, options, broker, &heartbeat.offline_directories);
    let next = match current {
        // Whatever else it wants is decided at its next heartbeat, without them.
        current if !lost.is_empty() => current,
        State::Fenced => from_fenced(heartbeat, is_caught_up),
        State::Unfenced => from_unfenced(image, heartbeat),
        State::ControlledShutdown | State::ShutdownNow => from_controlled_shutdown(image, sessions, broker),
    };
    let mut records = match next {
        _ if !lost.is_empty() => lost,
        next if next == current => Vec::new(),
        State::Unfenced => unfence(image, options, broker),
        State::ControlledShutdown => begin_shutdown(image, options, broker),
        State::ShutdownNow if broker.fenced => Vec::new(),
        State::Fenced | State::ShutdownNow => fence(image, options, broker),
    };
    records.extend(cordon(broker, heartbeat));
    let answer = HeartbeatAnswer {
        is_caught_up,
        is_fenced: matches!(next, State::Fenced | State::ShutdownNow),
        should_shut_down: next == State::ShutdownNow,
        in_controlled_shutdown: next == State::ControlledShutdown,
    };
    Ok(Decision { records, answer })
}

/// Fences a broker whose session ended or whose process is gone. Nothing when it has changed since.
pub fn fence_broker(image: &Image, options: &Options, id: BrokerId, broker_epoch: i64) -> Decision<()> {
    let broker = image.broker(id).filter(|broker| broker.epoch == broker_epoch && !broker.fenced);
    Decision { records: broker.map(|broker| fence(image, options, broker)).unwrap_or_default(), answer: () }
}

fn state_of(broker: &Broker) -> State {
    match (broker.fenced, broker.in_controlled_shutdown) {
        (true, _) => State::Fenced,
        (false, true) => State::ControlledShutdown,
        (false, false) => State::Unfenced,
    }
}

fn from_fenced(heartbeat: &Heartbeat, is_caught_up: bool) -> State {
    match heartbeat {
        Heartbeat { wants_shutdown: true, .. } => State::ShutdownNow,
        Heartbeat { wants_fence: false, .. } if is_caught_up => State::Unfenced,
        _ => State::Fenced,
    }
}

fn from_unfenced(image: &Image, heartbeat: &Heartbeat) -> State {
    match heartbeat {
        Heartbeat { wants_fence: true, wants_shutdown: true, .. } => State::ShutdownNow,
        Heartbeat { wants_fence: true, .. } => State::Fenced,
        Heartbeat { wants_shutdown: true, .. } if leads_any(image, heartbeat.broker_id) => State::ControlledShutdown,
        Heartbeat { wants_shutdown: true, .. } => State::ShutdownNow,
        _ => State::Unfenced,
    }
}

/// A broker stops when nothing is led by it and everybody active knows: a client must find the new leaders wherever it asks.
fn from_controlled_shutdown(image: &Image, sessions: &Sessions, broker: &Broker) -> State {
    let everybody_knows = match (sessions.shutdown_offset(broker.id), sessions.lowest_active_offset(image)) {
        (Some(offset), Some(lowest)) => offset <= lowest,
        (Some(_), None) => true,
        (None, _) => false,
    };
    match everybody_knows && !leads_any(image, broker.id) {
        true => State::ShutdownNow,
        false => State::ControlledShutdown,
    }
}

fn leads_any(image: &Image, id: BrokerId) -> bool {
    image.partitions_led_by(id).next().is_some()
}

fn broker_changed(broker: &Broker, fenced: bool, in_controlled_shutdown: bool) -> Record {
    let (broker_id, broker_epoch) = (broker.id, broker.epoch);
    Record::BrokerChanged { broker_id, broker_epoch, fenced, in_controlled_shutdown, directories: None }
}

/// Takes a broker's failed directories out of its registration, and it out of the partitions that lie there
/// (`ReplicationControlManager.handleDirectoriesOffline`). A broker that has lost all of them stops by itself, and is remembered
/// with them: it must not come back as one that never had any.
fn lose_directories(image: &Image, options: &Options, broker: &Broker, offline: &[Uuid]) -> Vec<Record> {
    let (failed, left): (Vec<Uuid>, Vec<Uuid>) =
        broker.directories.iter().copied().partition(|directory| offline.contains(directory));
    if failed.is_empty() || left.is_empty() {
        return Vec::new();
    }
    let mut records = leadership::without_directories(image, options, broker, &failed);
    records.push(Record::BrokerChanged {
        broker_id: broker.id,
        broker_epoch: broker.epoch,
        fenced: broker.fenced,
        in_controlled_shutdown: broker.in_controlled_shutdown,
        directories: Some(left),
    });
    records
}

/// What has changed of a broker's cordoned directories (`ReplicationControlManager.processBrokerHeartbeat`).
fn cordon(broker: &Broker, heartbeat: &Heartbeat) -> Option<Record> {
    let mut directories = heartbeat.cordoned_directories.clone()?;
    directories.sort_unstable();
    let (broker_id, broker_epoch) = (broker.id, broker.epoch);
    (directories != broker.cordoned).then_some(Record::BrokerCordoned { broker_id, broker_epoch, directories })
}

fn fence(image: &Image, options: &Options, broker: &Broker) -> Vec<Record> {
    let mut records = leadership::without_broker(image, options, broker.id, Leaving::Clean);
    records.push(broker_changed(broker, true, broker.in_controlled_shutdown));
    records
}

fn unfence(image: &Image, options: &Options, broker: &Broker) -> Vec<Record> {
    // A broker that is let in has not asked to stop since it registered.
    let mut records = vec![broker_changed(broker, false, false)];
    records.extend(leadership::with_broker(image, options, broker.id, &broker.directories));
    records
}

fn begin_shutdown(image: &Image, options: &Options, broker: &Broker) -> Vec<Record> {
    let mut records = vec![broker_changed(broker, false, true)];
    records.extend(leadership::without_broker(image, options, broker.id, Leaving::Clean));
    records
}
