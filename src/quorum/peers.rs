//! The other nodes of the quorum, as this node meets them: links to them, when they last acknowledged, and who they say they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use openraft::BasicNode;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::elections::majority_at;
use super::options::{Endpoint, Timing};
use super::published::Published;
use super::rpc::{Answer, Question, Refusal, Request, Response};
use super::types::{LogId, Voter};
use crate::io::clock;
use crate::metadata::DecodeError;
use crate::peer::{Address, Link, LinkError, LinkOptions};
use crate::protocol::api_key::ApiKey;

/// The most that one request or answer may have: a batch of records and what surrounds it.
pub const FRAME_BYTES_MAX: usize = 2 * super::BATCH_BYTES_MAX;

/// A request may take this much longer for every MiB of its body.
const TIMEOUT_PER_MIB: Duration = Duration::from_millis(500);

/// A second node under an id is told from one that got a new directory by the other one having spoken so lately.
pub const ALIVE: Duration = Duration::from_secs(3);

/// The pause between two lines of the log about nodes that are refused.
const COMPLAIN: Duration = Duration::from_secs(10);

/// A member that has answered nothing for the first time is worth a line of the log, and again after the second.
const UNHEARD: Duration = Duration::from_secs(3);
const UNHEARD_AGAIN: Duration = Duration::from_secs(60);

/// Connections that are kept beside those to members, for addresses of the configuration.
const LINKS_MAX: usize = 64;

/// What a connection is for: entries never wait behind a snapshot, nor votes behind entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    Control,
    Log,
    Snapshot,
}

/// Why there is no answer to use.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AskError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("an answer cannot be read: {0}")]
    Malformed(#[from] DecodeError),
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error("an answer to another question")]
    Unexpected,
}

/// What this node, as the leader, knows of one that follows it.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    /// When the last acknowledged request was sent: until then the follower certainly followed.
    pub sent_at: Instant,
    /// When the follower last acknowledged all that was committed.
    pub caught_up_at: Option<Instant>,
    /// The last entry that the follower has on stable storage.
    pub matching: Option<LogId>,
}

/// The leader that was heard.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    pub leader: Voter,
    pub at: Instant,
    /// It has said that it leads no more.
    pub has_resigned: bool,
}

/// The node behind an id, when it last spoke.
struct Seen {
    directory_id: Uuid,
    at: Instant,
}

/// Since when others have refused this node for another one under its id, and when they last did.
#[derive(Clone, Copy, Debug)]
struct Refused {
    since: Instant,
    last: Instant,
}

/// See the head of this file.
pub struct Peers {
    /// Our name in votes and memberships.
    pub me: Voter,
    /// Our node and directory; `me` of a static voter has no directory.
    pub identity: Voter,
    pub endpoint: Endpoint,
    pub timing: Timing,
    /// Wakes the driver.
    pub wake: Notify,
    /// Why this node must not go on.
    pub fatal: watch::Sender<Option<String>>,
    published: Arc<Published>,
    /// What our directories say, when no image does yet.
    known_cluster_id: Option<String>,
    links: Mutex<BTreeMap<(Address, Purpose), Arc<Link>>>,
    acks: Mutex<BTreeMap<Voter, Ack>>,
    heard: Mutex<Option<Heard>>,
    seen: Mutex<BTreeMap<Voter, Seen>>,
    complained_at: Mutex<Option<Instant>>,
    /// Questions that came from this node itself.
    to_itself: AtomicU64,
    unheard: Mutex<BTreeMap<Voter, Unheard>>,
    duplicate: Mutex<Option<Refused>>,
}

/// A member that answers nothing.
struct Unheard {
    since: Instant,
    told_at: Option<Instant>,
}

impl Peers {
    pub fn new(
        me: Voter,
        identity: Voter,
        endpoint: Endpoint,
        timing: Timing,
        known_cluster_id: Option<String>,
        published: Arc<Published>,
    ) -> Peers {
        Peers {
            me,
            identity,
            endpoint,
            timing,
            wake: Notify::new(),
            fatal: watch::Sender::new(None),
            published,
            known_cluster_id,
            links: Mutex::default(),
            acks: Mutex::default(),
            heard: Mutex::default(),
            seen: Mutex::default(),
            complained_at: Mutex::default(),
            to_itself: AtomicU64::new(0),
            unheard: Mutex::default(),
            duplicate: Mutex::default(),
        }
    }

    /// The cluster that this node belongs to; empty when it knows of none yet.
    pub fn cluster_id(&self) -> String {
        let image = self.published.load();
        if !image.cluster_id().is_empty() {
            return image.cluster_id().to_string();
        }
        self.known_cluster_id.clone().unwrap_or_default()
    }

    /// Asks a node. A refusal is an error here; `to` is `None` when only the address is known.
    pub async fn ask(
        &self,
        address: &Address,
        to: Option<Voter>,
        purpose: Purpose,
        question: Question,
    ) -> Result<Response, AskError> {
        let cluster_id = self.cluster_id();
        let timeout = match &question {
            // Sooner than a candidate gives up, and than another one may stand meanwhile.
            Question::Survey | Question::Vote(_) | Question::Resigned { .. } => {
                self.timing.request_timeout.min(self.timing.lease * 4 / 5)
            }
            _ => self.timing.request_timeout,
        };
        let request = Request { cluster_id, from: self.me, from_directory: self.identity.directory_id, to, question };
        let body = Bytes::from(request.encode());
        let mibs = u32::try_from(body.len() >> 20).expect("a request of far less than 2^52 bytes");
        let timeout = timeout + TIMEOUT_PER_MIB * mibs;
        let answer = self.link(address, purpose).call_raw(ApiKey::Quorum, 0, body, timeout).await?;
        let response = Response::decode(&answer)?;
        match &response.answer {
            Answer::Refused(refusal) => Err(AskError::Refused(refusal.clone())),
            _ => Ok(response),
        }
    }

    fn link(&self, address: &Address, purpose: Purpose) -> Arc<Link> {
        let mut links = self.links.lock();
        let link = links.entry((address.clone(), purpose)).or_insert_with(|| {
            Arc::new(Link::new(LinkOptions {
                in_flight_max: 8,
                in_flight_bytes_max: 2 * FRAME_BYTES_MAX,
                answer_bytes_max: FRAME_BYTES_MAX,
                backoff_min: Duration::from_millis(20),
                backoff_max: Duration::from_millis(300),
                connect_timeout: self.timing.request_timeout,
                ..LinkOptions::new(address.clone(), format!("quorum-{}", self.me.node_id))
            }))
        });
        Arc::clone(link)
    }

    /// Closes the connections to nodes that are in no membership any more, when there are many.
    pub fn keep_links(&self, addresses: &BTreeSet<Address>) {
        let mut links = self.links.lock();
        if links.len() > LINKS_MAX {
            links.retain(|(address, _), _| addresses.contains(address));
        }
    }

    /// A follower has acknowledged a request. `committed` is what the request said of the leader.
    pub fn on_ack(&self, from: Voter, sent_at: Instant, matching: Option<LogId>, committed: Option<LogId>) {
        let mut acks = self.acks.lock();
        let ack = acks.entry(from).or_insert(Ack { sent_at, caught_up_at: None, matching: None });
        ack.sent_at = ack.sent_at.max(sent_at);
        ack.matching = ack.matching.max(matching);
        if ack.matching >= committed {
            ack.caught_up_at = Some(ack.sent_at);
        }
    }

    /// Everybody starts anew under a new leader.
    pub fn forget_acks(&self) {
        self.acks.lock().clear();
    }

    pub fn ack_of(&self, voter: &Voter) -> Option<Ack> {
        self.acks.lock().get(voter).copied()
    }

    /// Until when a majority of every configuration certainly followed this node as the leader; `None` when it never has.
    pub fn majority_acked_at(&self, configs: &[BTreeSet<Voter>], now: Instant) -> Option<Instant> {
        let acks = self.acks.lock();
        let of = |voter: &Voter| if *voter == self.me { Some(now) } else { acks.get(voter).map(|ack| ack.sent_at) };
        majority_at(configs, of)
    }

    /// A follower does not have this entry. Whether it had acknowledged it: then its directory was emptied.
    pub fn forget_what_is_lost(&self, follower: Voter, missing: Option<LogId>) -> bool {
        let mut acks = self.acks.lock();
        let ack = acks.get_mut(&follower).filter(|ack| missing <= ack.matching);
        if let Some(ack) = ack {
            ack.matching = None;
            return true;
        }
        false
    }

    /// A leader was heard, and is one for us.
    pub fn on_leader(&self, leader: Voter) {
        let at = clock::instant();
        let before = self.heard.lock().replace(Heard { leader, at, has_resigned: false });
        // The driver sleeps until the old deadline; it need not hear of every heartbeat.
        if before.is_none_or(|before| before.leader != leader || before.has_resigned) {
            self.wake.notify_one();
        }
    }

    pub fn on_resigned(&self, leader: Voter) {
        let mut heard = self.heard.lock();
        if let Some(heard) = heard.as_mut().filter(|heard| heard.leader == leader) {
            heard.has_resigned = true;
        }
        drop(heard);
        self.wake.notify_one();
    }

    pub fn heard(&self) -> Option<Heard> {
        *self.heard.lock()
    }

    /// How long ago a leader was heard that has not resigned.
    pub fn leader_silence(&self, now: Instant) -> Option<Duration> {
        self.heard().filter(|heard| !heard.has_resigned).map(|heard| now - heard.at)
    }

    /// Notes who speaks under an id. Whether another one has lately done so, who has the right to it.
    pub fn is_duplicate(&self, from: Voter, directory_id: Uuid) -> bool {
        if from.node_id == self.me.node_id {
            return directory_id != self.identity.directory_id;
        }
        let at = clock::instant();
        let mut seen = self.seen.lock();
        // Who has a directory in its name cannot be taken for another.
        let is_other = seen.get(&from).is_some_and(|other| other.directory_id != directory_id && at - other.at < ALIVE);
        if !is_other {
            seen.insert(from, Seen { directory_id, at });
        }
        is_other
    }

    /// Notes that this node was refused for another one under its id, and says whether for so long that the other one must have
    /// spoken meanwhile: the last words of an earlier life of this node are forgotten sooner.
    pub fn is_refused_for_long(&self) -> bool {
        let now = clock::instant();
        let mut duplicate = self.duplicate.lock();
        let since = duplicate.filter(|refused| now - refused.last < ALIVE).map_or(now, |refused| refused.since);
        *duplicate = Some(Refused { since, last: now });
        // An answer may be as old as a request takes.
        now - since > ALIVE + self.timing.request_timeout
    }

    /// Whether the log may tell once more of a node that asks and has no right to: it will ask again at once.
    pub fn may_complain(&self) -> bool {
        let now = clock::instant();
        let mut complained_at = self.complained_at.lock();
        let may = complained_at.is_none_or(|at| now - at >= COMPLAIN);
        if may {
            *complained_at = Some(now);
        }
        may
    }

    /// Notes whether a question came from this node itself, by a detour.
    pub fn on_question(&self, from: Voter, directory_id: Uuid) {
        if from.node_id == self.me.node_id && directory_id == self.identity.directory_id {
            self.to_itself.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many questions of its own this node was asked.
    pub fn questions_to_itself(&self) -> u64 {
        self.to_itself.load(Ordering::Relaxed)
    }

    /// Notes how asking a member went, and tells of one that never answers.
    pub fn on_asked(&self, member: Voter, address: &Address, error: Option<&AskError>) {
        let mut unheard = self.unheard.lock();
        let Some(error) = error else {
            unheard.remove(&member);
            return;
        };
        let now = clock::instant();
        let of_member = unheard.entry(member).or_insert(Unheard { since: now, told_at: None });
        let is_due = of_member.told_at.is_none_or(|at| now - at >= UNHEARD_AGAIN);
        if now - of_member.since >= UNHEARD && is_due {
            of_member.told_at = Some(now);
            tracing::warn!(node = %member.node_id, %address, %error, "a member of the metadata quorum does not answer");
        }
    }

    /// Whether a member has acknowledged lately.
    pub fn is_alive(&self, voter: &Voter) -> bool {
        self.ack_of(voter).is_some_and(|ack| clock::instant() - ack.sent_at < ALIVE)
    }

    /// This node must not go on; the process is to end with these words.
    pub fn die(&self, reason: String) {
        tracing::error!(reason, "the quorum ends");
        self.fatal.send_replace(Some(reason));
        self.wake.notify_one();
    }
}

/// A member's endpoint, as its membership has it; `None` for a sole voter of an old directory.
pub fn endpoint_of(node: &BasicNode) -> Option<Endpoint> {
    let (listener, address) = node.addr.split_once("://")?;
    Some(Endpoint { listener: listener.to_owned(), address: address.parse().ok()? })
}

/// How a membership has an endpoint.
pub fn node_of(endpoint: &Endpoint) -> BasicNode {
    BasicNode::new(endpoint.to_string())
}
