//! A broker's life in the cluster: it registers, says with every heartbeat that it lives and how far its image is, is let in,
//! and leaves in order.
//!
//! - A start registers under a new incarnation, and is fenced until the controller hears that it has seen its registration:
//!   so clients are told of it, and are served by it, only when it knows what the cluster knew when it came.
//! - A stop says so with its heartbeats, and goes on serving until the controller has moved its leaderships away and lets it
//!   go (`controlled.shutdown.enable`), or until that takes too long.
//!
//! A node that is alone and decides for itself has nobody to tell: its heartbeats rest until that changes.
//! Source: `BrokerLifecycleManager`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::Broker;
use super::controller::clocks::{CLOCK_TAG, encode_clock};
use super::controller_channel::NoController;
use super::cordoned::{self, CORDONED_TAG};
use super::start::{FEATURES, StartError};
use crate::controller::Registration;
use crate::io::threads::{self, Service};
use crate::io::{clock, random};
use crate::metadata::{Endpoint, Image};
use crate::model::{ErrorCode, Now};
use crate::peer::{Address, Link, LinkOptions};
use crate::protocol::message::broker_registration_request::{Feature, Listener};
use crate::protocol::message::{
    BrokerHeartbeatRequest, BrokerRegistrationRequest, DescribeClusterRequest, StrBytes, WireBrokerId,
};

/// How long a server that is to be joined may take to say which cluster it belongs to.
const FOREIGN_TIMEOUT: Duration = Duration::from_millis(500);
/// `EndpointType.CONTROLLER` of DescribeCluster, which every listener for controllers answers.
const CONTROLLERS: i8 = 2;
/// How long one try to register may take.
const REGISTRATION_TRY: Duration = Duration::from_secs(1);
/// The pause before a registration that was refused is tried again.
const REGISTRATION_RETRY: Duration = Duration::from_millis(100);
/// How long a broker that waits for something says nothing about it, and how often it speaks then.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a stop waits for the controller to move leaderships away.
const LEAVING_MAX: Duration = Duration::from_secs(10);
/// How long a broker that leaves looks for a controller.
const LEAVING_UNHEARD: Duration = Duration::from_secs(1);
/// The pause between two heartbeats of a broker that wants something: to be let in, or to go.
const URGENT: Duration = Duration::from_millis(25);

/// See the head of this file.
pub struct Lifecycle {
    /// Of this process, and of no other.
    pub(super) incarnation: Uuid,
    /// The epoch of this life, -1 before it is registered.
    epoch: AtomicI64,
    /// The epoch that the last clean stop left behind, -1 when it was none.
    previous_epoch: AtomicI64,
    /// Whether the logs are open: until then the broker lives, but wants no work.
    has_open_logs: AtomicBool,
    is_serving: AtomicBool,
    /// What a start waits for, until clients are served.
    awaited: Mutex<String>,
    /// When the last heartbeat was sent that another node has answered as the controller, by the monotonic clock.
    heard_ms: AtomicU64,
    wants_to_leave: AtomicBool,
    /// Whether the controller has let this broker go.
    may_leave: watch::Sender<bool>,
    is_closing: watch::Sender<bool>,
    /// Whether every log directory has failed.
    has_no_directory: watch::Sender<bool>,
    /// Has a heartbeat sent at once.
    wake: Notify,
    service: Mutex<Option<Service>>,
}

impl Default for Lifecycle {
    fn default() -> Lifecycle {
        Lifecycle {
            incarnation: random::uuid(),
            epoch: AtomicI64::new(-1),
            previous_epoch: AtomicI64::new(-1),
            has_open_logs: AtomicBool::new(false),
            is_serving: AtomicBool::new(false),
            awaited: Mutex::new(String::new()),
            heard_ms: AtomicU64::new(0),
            wants_to_leave: AtomicBool::new(false),
            may_leave: watch::Sender::new(false),
            is_closing: watch::Sender::new(false),
            has_no_directory: watch::Sender::new(false),
            wake: Notify::new(),
            service: Mutex::new(None),
        }
    }
}

impl Broker {
    /// The epoch that this life is registered with; -1 before.
    pub fn broker_epoch(&self) -> i64 {
        self.lifecycle.epoch.load(Ordering::Acquire)
    }

    /// Whether nobody else can lead in our place yet: we decide ourselves, or the controller has heard of us within a session.
    /// Beyond that what we know may be of the past, and leaders that followed us may have taken more than we have.
    pub fn holds_leadership(&self, now: Now) -> bool {
        let silent_ms = now.monotonic_ms.saturating_sub(self.lifecycle.heard_ms.load(Ordering::Acquire));
        Duration::from_millis(silent_ms) < self.cluster.liveness.session_timeout || self.is_active_controller()
    }

    /// Whether clients are served: the broker has been let in, and its logs are open.
    pub fn is_serving(&self) -> bool {
        self.lifecycle.is_serving.load(Ordering::Acquire)
    }

    /// What the start waits for; nothing once clients are served.
    pub fn awaited(&self) -> Option<String> {
        (!self.is_serving()).then(|| self.lifecycle.awaited.lock().clone())
    }

    pub(super) fn await_now(&self, what: impl Into<String>) {
        *self.lifecycle.awaited.lock() = what.into();
    }

    pub(super) fn logs_are_open(&self) {
        self.lifecycle.has_open_logs.store(true, Ordering::Release);
        self.lifecycle.wake.notify_one();
    }

    pub(super) fn set_serving(&self) {
        self.lifecycle.is_serving.store(true, Ordering::Release);
    }

    pub(super) fn set_previous_epoch(&self, epoch: i64) {
        self.lifecycle.previous_epoch.store(epoch, Ordering::Release);
    }

    /// Returns when a controller is active; says once a second that there is none.
    pub(super) async fn wait_for_controller(&self) {
        let mut leadership = self.quorum().leadership();
        let mut speaks_at = clock::instant() + PATIENCE;
        loop {
            let known = leadership.borrow_and_update().clone();
            if known.is_active || known.leader.as_ref().is_some_and(|leader| leader.id != self.node_id()) {
                return;
            }
            tokio::select! {
                biased;
                changed = leadership.changed() => {
                    if changed.is_err() {
                        // The quorum has ended; whoever looks after it says why.
                        std::future::pending::<()>().await;
                    }
                }
                () = tokio::time::sleep_until(speaks_at) => {
                    speaks_at += PATIENCE;
                    let missing = self.missing_for_a_controller();
                    tracing::warn!(term = known.term, missing, "waiting for a controller");
                }
            }
        }
    }

    /// Refuses a node that has metadata of one cluster and is told to join another: it would serve that metadata while its owner
    /// takes it for a part of the other one. A server that does not answer proves nothing, and holds nobody up for long: what
    /// quorums say to each other names the cluster, and crosses from none to another later either.
    pub(super) async fn check_joined_cluster(&self) -> Result<(), StartError> {
        let own = self.image().cluster_id().to_string();
        if own.is_empty() || !self.settings().voters().is_empty() {
            return Ok(());
        }
        let mut asked = JoinSet::new();
        for server in self.settings().bootstrap_servers() {
            let address = Address { host: server.host, port: server.port };
            let link = Link::new(LinkOptions::new(address.clone(), format!("broker-{}", self.node_id())));
            asked.spawn(async move {
                let request = DescribeClusterRequest::default().with_endpoint_type(CONTROLLERS);
                (address, link.call(&request, 2, FOREIGN_TIMEOUT).await)
            });
        }
        let mut silent = Vec::new();
        while let Some(answered) = asked.join_next().await {
            let (address, answer) = match answered {
                Ok((address, Ok(answer))) => (address, answer),
                Ok((address, Err(_))) => {
                    silent.push(address.to_string());
                    continue;
                }
                Err(_) => continue,
            };
            let theirs = answer.cluster_id.to_string();
            if answer.error_code == ErrorCode::None.code() && !theirs.is_empty() && theirs != own {
                return Err(StartError::OtherQuorum { own, server: address.to_string(), theirs });
            }
        }
        if !silent.is_empty() {
            tracing::warn!(?silent, cluster = own, "servers do not say whether they belong to this node's cluster too");
        }
        Ok(())
    }

    /// Returns when the cluster has an id, and this node knows it.
    pub(super) async fn see_cluster(&self) {
        let mut images = self.quorum().images();
        if images.wait_for(|image| !image.cluster_id().is_empty()).await.is_err() {
            // The quorum has ended; whoever looks after it says why.
            std::future::pending::<()>().await;
        }
    }

    fn missing_for_a_controller(&self) -> String {
        let settings = self.settings();
        let list = |key: &str| format!("{key} = {}", settings.get_str(key));
        if !settings.get_str("controller.quorum.voters").is_empty() {
            let voters = list("controller.quorum.voters");
            return format!("a majority of {voters} must be in reach, and all of them to begin with");
        }
        format!("one of {} must know the quorum and be in reach", list("controller.quorum.bootstrap.servers"))
    }

    /// Registers this life. Errors: it is refused for good, or `initial.broker.registration.timeout.ms` is over.
    pub(super) async fn register(
        self: &Arc<Broker>,
        directories: &[Uuid],
        cluster_id: Option<&str>,
    ) -> Result<(), StartError> {
        let limit = self.cluster.liveness.registration_timeout;
        let (begun, mut spoken) = (clock::instant(), clock::instant());
        loop {
            let refused = match self.try_to_register(directories, cluster_id).await {
                Ok(epoch) => {
                    self.lifecycle.epoch.store(epoch, Ordering::Release);
                    return self.see_registration(epoch, begun + limit).await;
                }
                Err(refused) => refused,
            };
            if refused.is_final || begun.elapsed() >= limit {
                return Err(StartError::Refused(refused.reason));
            }
            if spoken.elapsed() >= PATIENCE {
                spoken = clock::instant();
                tracing::warn!(reason = refused.reason, "this broker is not registered yet");
            }
            tokio::time::sleep(REGISTRATION_RETRY).await;
        }
    }

    async fn try_to_register(
        self: &Arc<Broker>,
        directories: &[Uuid],
        cluster_id: Option<&str>,
    ) -> Result<i64, Refused> {
        let image = self.image();
        let is_alone = image.brokers().all(|broker| broker.id == self.node_id());
        if self.is_active_controller() && is_alone {
            let registration = self.own_registration(directories, &image);
            return self.register_alone(registration).await.map_err(Refused::of_refusal);
        }
        // Without an id the cluster is not founded yet: its controller does so before it admits anybody.
        let request = self.registration_request(directories, cluster_id.unwrap_or_default());
        let answered = self.controller_call(&request, REGISTRATION_TRY).await;
        let answer = answered.map_err(|NoController(reason)| Refused { reason, is_final: false })?;
        match ErrorCode::from(answer.error_code) {
            ErrorCode::None => Ok(answer.broker_epoch),
            code => Err(self.refused(code)),
        }
    }

    fn own_registration(&self, directories: &[Uuid], image: &Image) -> Registration {
        Registration {
            broker_id: self.node_id(),
            incarnation: self.lifecycle.incarnation,
            endpoints: self.reachable_endpoints(),
            rack: self.cluster.liveness.rack.clone(),
            // Another id is refused where identities are compared, with the path of the directory that says so.
            cluster_id: image.cluster_id().to_string(),
            features: Vec::new(),
            directories: directories.to_vec(),
            previous_broker_epoch: self.lifecycle.previous_epoch.load(Ordering::Acquire),
            is_controller: true,
        }
    }

    fn registration_request(&self, directories: &[Uuid], cluster_id: &str) -> BrokerRegistrationRequest {
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let listeners = self.reachable_endpoints().into_iter().map(|endpoint| {
            Listener::default()
                .with_name(text(&endpoint.listener))
                .with_host(text(&endpoint.host))
                .with_port(endpoint.port)
                .with_security_protocol(endpoint.security_protocol)
        });
        let features = FEATURES.iter().map(|(name, level)| {
            Feature::default().with_name(text(name)).with_min_supported_version(0).with_max_supported_version(*level)
        });
        BrokerRegistrationRequest::default()
            .with_broker_id(WireBrokerId(self.node_id().0))
            .with_cluster_id(text(cluster_id))
            .with_incarnation_id(self.lifecycle.incarnation)
            .with_listeners(listeners.collect())
            .with_features(features.collect())
            .with_rack(self.cluster.liveness.rack.as_deref().map(text))
            .with_log_dirs(directories.to_vec())
            .with_previous_broker_epoch(self.lifecycle.previous_epoch.load(Ordering::Acquire))
    }

    /// Where others reach this broker: a listener on every address of the machine is known by the machine's name
    /// (`ListenerInfo.withWildcardHostnamesResolved`).
    fn reachable_endpoints(&self) -> Vec<Endpoint> {
        let reachable = |endpoint: &Endpoint| match crate::io::net::is_wildcard_host(&endpoint.host) {
            true => Endpoint { host: crate::io::net::own_name(), ..endpoint.clone() },
            false => endpoint.clone(),
        };
        self.endpoints.iter().map(reachable).collect()
    }

    fn refused(&self, code: ErrorCode) -> Refused {
        let id = self.node_id();
        let (reason, is_final) = match code {
            ErrorCode::DuplicateBrokerRegistration => {
                let reason = format!(
                    "another live broker has the id {id}: give one of them another node.id. After a crash this passes \
                     when broker.session.timeout.ms is over"
                );
                (reason, false)
            }
            ErrorCode::InconsistentClusterId => {
                let reason = "the directories belong to another cluster than the controllers: correct log.dirs, or \
                              controller.quorum.voters or .bootstrap.servers";
                (reason.to_owned(), true)
            }
            ErrorCode::UnsupportedVersion => {
                ("the cluster uses features that this version does not have; start a newer one".to_owned(), true)
            }
            ErrorCode::InvalidRegistration => {
                ("the controller refuses it: another broker has the same log directories".to_owned(), true)
            }
            code => (format!("the controller answers {code}"), false),
        };
        Refused { reason, is_final }
    }

    /// Returns when the image holds the registration, and the cluster's id.
    async fn see_registration(&self, epoch: i64, deadline: tokio::time::Instant) -> Result<(), StartError> {
        let mut images = self.quorum().images();
        // The cluster's id may come behind the first registrations; the directories are to be marked with it.
        let is_seen = |image: &Arc<Image>| {
            let is_registered = image.broker(self.node_id()).is_some_and(|broker| broker.epoch >= epoch);
            is_registered && !image.cluster_id().is_empty()
        };
        match tokio::time::timeout_at(deadline, images.wait_for(is_seen)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(StartError::Refused("the quorum has ended".to_owned())),
            Err(_) => Err(StartError::Refused("the controllers' log does not come".to_owned())),
        }
    }

    /// Starts the heartbeats.
    pub(super) fn start_heartbeats(self: &Arc<Broker>) -> std::io::Result<()> {
        let broker = Arc::downgrade(self);
        let service = threads::service("heartbeats", move || async move {
            let Some(mut closing) = broker.upgrade().map(|broker| broker.lifecycle.is_closing.subscribe()) else {
                return;
            };
            let beats = async {
                while let Some(broker) = broker.upgrade() {
                    broker.beat().await;
                    broker.rest().await;
                }
            };
            tokio::select! {
                biased;
                _ = closing.wait_for(|is_closing| *is_closing) => {}
                () = beats => {}
            }
        })?;
        *self.lifecycle.service.lock() = Some(service);
        Ok(())
    }

    /// Returns when the controller has let this broker in, and its image says so.
    pub(super) async fn wait_until_let_in(&self) {
        let mut images = self.quorum().images();
        let mut speaks_at = clock::instant() + PATIENCE;
        let is_in = |image: &Arc<Image>| image.broker(self.node_id()).is_some_and(|broker| !broker.fenced);
        loop {
            match tokio::time::timeout_at(speaks_at, images.wait_for(is_in)).await {
                Ok(Ok(_)) => return,
                // The quorum has ended; whoever looks after it says why.
                Ok(Err(_)) => std::future::pending().await,
                Err(_) => {
                    speaks_at += PATIENCE;
                    let offset = self.image().last_applied();
                    tracing::warn!(%offset, "waiting for the controller to let this broker in");
                }
            }
        }
    }

    /// One heartbeat.
    async fn beat(self: &Arc<Broker>) {
        let image = self.image();
        if self.rests(&image) {
            return;
        }
        // What is told to be lost must serve nobody any more.
        self.fence_failed_directories();
        let wants_to_leave = self.lifecycle.wants_to_leave.load(Ordering::Acquire);
        let mut request = BrokerHeartbeatRequest::default()
            .with_broker_id(WireBrokerId(self.node_id().0))
            .with_broker_epoch(self.broker_epoch())
            .with_current_metadata_offset(image.last_applied().0)
            .with_want_fence(!self.lifecycle.has_open_logs.load(Ordering::Acquire))
            .with_want_shut_down(wants_to_leave)
            .with_offline_log_dirs(self.offline_directory_ids())
            .with_unknown_tagged_field(CLOCK_TAG, encode_clock(self.now()));
        if let Some(directories) = self.cordoned_untold(&image) {
            request = request.with_unknown_tagged_field(CORDONED_TAG, cordoned::encode(&directories));
        }
        let timeout = match wants_to_leave {
            true => LEAVING_UNHEARD,
            false => self.cluster.liveness.session_timeout,
        };
        let (sent_ms, asks_itself) = (self.now().monotonic_ms, self.is_active_controller());
        let answer = match self.controller_call(&request, timeout).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "a heartbeat has no answer");
                if wants_to_leave {
                    // Without a controller nothing can be handed over: whoever comes back finds it as after a crash.
                    let _ = self.lifecycle.may_leave.send_replace(true);
                }
                return;
            }
        };
        match ErrorCode::from(answer.error_code) {
            ErrorCode::None if answer.should_shut_down => {
                // Nobody need wait for it any more.
                let _ = self.lifecycle.may_leave.send_replace(true);
            }
            // What this node says to itself is worth nothing when others have elected another controller, and a fenced one leads
            // nothing, whatever its image says.
            ErrorCode::None if !asks_itself && !answer.is_fenced => {
                self.lifecycle.heard_ms.store(sent_ms, Ordering::Release)
            }
            ErrorCode::None => {}
            code => tracing::warn!(%code, broker_epoch = self.broker_epoch(), "a heartbeat is refused"),
        }
    }

    /// Whether there is nobody to tell: this node decides for itself, and no other broker is there.
    fn rests(&self, image: &Image) -> bool {
        let is_alone = image.brokers().all(|broker| broker.id == self.node_id() && !broker.fenced);
        let has_news = || self.has_lost_directories(image) || self.cordoned_untold(image).is_some();
        is_alone && self.is_active_controller() && !has_news()
    }

    /// The directories that have failed since they were registered.
    fn offline_directory_ids(&self) -> Vec<Uuid> {
        let failed = self.directories.iter().filter(|directory| directory.is_poisoned());
        failed.filter_map(|directory| directory.id()).collect()
    }

    /// Whether the controller has yet to hear that some of the directories have failed.
    pub(super) fn has_lost_directories(&self, image: &Image) -> bool {
        let registered = image.broker(self.node_id()).map_or(&[][..], |broker| &broker.directories);
        registered.len() > 1 && self.offline_directory_ids().iter().any(|id| registered.contains(id))
    }

    /// Returns when no log directory works any more: a process that lives on would only keep others from taking over
    /// (`LogManager.handleLogDirFailure`).
    pub async fn without_directories(&self) {
        // Our own sender outlives this.
        let _ = self.lifecycle.has_no_directory.subscribe().wait_for(|has_none| *has_none).await;
    }

    pub(super) fn end_without_directories(&self) {
        let _ = self.lifecycle.has_no_directory.send_replace(true);
    }

    /// Has a heartbeat sent at once.
    pub(super) fn wake_heartbeats(&self) {
        self.lifecycle.wake.notify_one();
    }

    /// The pause until the next heartbeat.
    async fn rest(&self) {
        let mut images = self.quorum().images();
        let mut leadership = self.quorum().leadership();
        let (image, known) = (Arc::clone(&images.borrow_and_update()), leadership.borrow_and_update().clone());
        if self.rests(&image) {
            tokio::select! {
                biased;
                () = self.lifecycle.wake.notified() => {}
                _ = images.wait_for(|image| !self.rests(image)) => {}
                _ = leadership.wait_for(|now| *now != known) => {}
            }
            return;
        }
        let is_fenced = image.broker(self.node_id()).is_none_or(|broker| broker.fenced);
        let is_urgent = is_fenced || self.lifecycle.wants_to_leave.load(Ordering::Acquire);
        let interval = self.cluster.liveness.heartbeat_interval;
        tokio::select! {
            biased;
            () = self.lifecycle.wake.notified() => {}
            () = tokio::time::sleep(if is_urgent { URGENT.min(interval) } else { interval }) => {}
        }
    }

    /// Leaves the cluster in order: returns when the controller has moved away what this broker leads, or when that takes too
    /// long. Clients and followers are to be served meanwhile.
    pub async fn leave(&self) {
        let is_alone = self.image().brokers().all(|broker| broker.id == self.node_id());
        let is_registered = self.broker_epoch() >= 0 && self.is_serving();
        if is_alone || !is_registered || !self.cluster.liveness.hands_over {
            return;
        }
        self.lifecycle.wants_to_leave.store(true, Ordering::Release);
        self.lifecycle.wake.notify_one();
        let mut may_leave = self.lifecycle.may_leave.subscribe();
        if tokio::time::timeout(LEAVING_MAX, may_leave.wait_for(|may_leave| *may_leave)).await.is_err() {
            let seconds = LEAVING_MAX.as_secs();
            tracing::warn!(seconds, "leaves although the controller has not moved everything away that it leads");
        }
    }

    /// Ends the heartbeats.
    pub(super) async fn close_heartbeats(&self) {
        let _ = self.lifecycle.is_closing.send_replace(true);
        let service = self.lifecycle.service.lock().take();
        if let Some(service) = service {
            service.ended().await;
        }
    }
}

/// Why a broker is not registered, and whether asking again is in vain.
struct Refused {
    reason: String,
    is_final: bool,
}

impl Refused {
    fn of_refusal(refusal: crate::controller::Refusal) -> Refused {
        let is_final = !matches!(refusal.code, ErrorCode::NotController | ErrorCode::RequestTimedOut);
        let reason = refusal.message.unwrap_or_else(|| refusal.code.to_string());
        Refused { reason, is_final }
    }
}
