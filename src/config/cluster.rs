//! Typed views of what a node of a cluster looks up again and again: heartbeats, replication, what its controller does by the clock.
//!
//! Taken once, at the start: none of it changes while a process runs.

use std::time::Duration;

use super::settings::Settings;

/// See the head of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    pub liveness: LivenessConfig,
    pub replication: ReplicationConfig,
    pub passes: PassesConfig,
}

/// How a broker shows that it lives, and how it comes and goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivenessConfig {
    /// `broker.heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// `broker.session.timeout.ms`.
    pub session_timeout: Duration,
    /// `initial.broker.registration.timeout.ms`.
    pub registration_timeout: Duration,
    /// `controlled.shutdown.enable`.
    pub hands_over: bool,
    /// `broker.rack`.
    pub rack: Option<String>,
}

/// How a follower fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationConfig {
    /// `inter.broker.listener.name`, or what stands for it: where other brokers are reached.
    pub listener: String,
    /// `replica.fetch.backoff.ms`: the longest rest of a partition that fails.
    pub backoff_max_ms: u64,
    /// `replica.fetch.wait.max.ms`.
    pub wait_max_ms: u64,
    /// `replica.fetch.min.bytes`.
    pub min_bytes: i32,
    /// `replica.fetch.max.bytes`: of one partition.
    pub partition_max_bytes: i32,
    /// `replica.fetch.response.max.bytes`.
    pub response_max_bytes: i32,
    /// Of an answer with one batch that is larger than what was asked for.
    pub answer_bytes_max: usize,
    /// `replica.socket.timeout.ms`.
    pub timeout_ms: u64,
    /// Half of `replica.lag.time.max.ms`: how often followers are looked at.
    pub lag_check_interval_ms: u64,
}

/// What the active controller does by the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassesConfig {
    /// `unclean.leader.election.interval.ms`.
    pub unclean_election_interval_ms: u64,
    /// `leader.imbalance.check.interval.seconds`, in ms; `None` when `auto.leader.rebalance.enable` is false.
    pub balance_interval_ms: Option<u64>,
}

impl ClusterConfig {
    pub fn of(settings: &Settings) -> ClusterConfig {
        let millis = |name| Duration::from_millis(settings.get_u64(name));
        let balance_interval_ms = 1000 * settings.get_u64("leader.imbalance.check.interval.seconds");
        let response_max_bytes = "replica.fetch.response.max.bytes";
        let answer_bytes_max =
            settings.get_usize(response_max_bytes).saturating_add(settings.get_usize("socket.request.max.bytes"));
        ClusterConfig {
            liveness: LivenessConfig {
                heartbeat_interval: millis("broker.heartbeat.interval.ms"),
                session_timeout: millis("broker.session.timeout.ms"),
                registration_timeout: millis("initial.broker.registration.timeout.ms"),
                hands_over: settings.get_bool("controlled.shutdown.enable"),
                rack: settings.get_text("broker.rack").map(str::to_owned),
            },
            replication: ReplicationConfig {
                listener: settings.inter_broker_listener(),
                backoff_max_ms: settings.get_u64("replica.fetch.backoff.ms"),
                wait_max_ms: settings.get_u64("replica.fetch.wait.max.ms"),
                min_bytes: settings.get_i32("replica.fetch.min.bytes"),
                partition_max_bytes: settings.get_i32("replica.fetch.max.bytes"),
                response_max_bytes: settings.get_i32(response_max_bytes),
                answer_bytes_max,
                timeout_ms: settings.get_u64("replica.socket.timeout.ms"),
                lag_check_interval_ms: settings.get_u64("replica.lag.time.max.ms") / 2,
            },
            passes: PassesConfig {
                unclean_election_interval_ms: settings.get_u64("unclean.leader.election.interval.ms"),
                balance_interval_ms: settings.get_bool("auto.leader.rebalance.enable").then_some(balance_interval_ms),
            },
        }
    }
}
