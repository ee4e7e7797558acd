//! What makes a quorum move: heartbeats, surveys, elections, joining, stepping down.
//!
//! openraft's own timers are off. They would stand for election without asking first, and would never let a leader go that a
//! majority does not follow any more. A sole voter sets no timer here: it sleeps until something changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::core::{Core, NOBODY, ServerMetrics, is_static, leads, others, voters};
use super::elections::{Forming, Verdict, View, judge, judge_forming};
use super::members;
use super::mistakes::{self, on_refusal};
use super::network::is_refused;
use super::options::{Endpoint, Formation, FormedBy};
use super::peers::{AskError, Purpose, endpoint_of, node_of};
use super::rpc::{Answer, Outlook, Question};
use super::types::Voter;
use crate::io::{clock, random};
use crate::peer::Address;

/// How often the log says what the quorum waits for.
const REMIND: Duration = Duration::from_secs(10);

/// An observer that has been silent for this long is forgotten, as by Kafka (`LeaderState.OBSERVER_SESSION_TIMEOUT_MS`).
const OBSERVER_TIMEOUT: Duration = Duration::from_secs(300);

/// The longest pause between two attempts at anything.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// See the head of this file.
pub struct Driver {
    core: Arc<Core>,
    /// When this node started, or last lost sight of a leader.
    quiet_since: Instant,
    /// When this node began to look for a quorum, or last heard of one that it does not follow yet.
    unheard_since: Instant,
    /// The term that this node leads, and since when.
    leading: Option<(u64, Instant)>,
    /// The leader that was told our address.
    told: Option<Voter>,
    attempts: u32,
    not_before: Option<Instant>,
    reminded_at: Option<Instant>,
}

impl Driver {
    pub fn new(core: Arc<Core>) -> Driver {
        let now = clock::instant();
        Driver {
            core,
            quiet_since: now,
            unheard_since: now,
            leading: None,
            told: None,
            attempts: 0,
            not_before: None,
            reminded_at: None,
        }
    }

    /// Runs until it is stopped, or the quorum has died.
    pub async fn run(mut self, stopped: oneshot::Receiver<()>) {
        let core = Arc::clone(&self.core);
        // What is under way when the stop comes is dropped: every step can be repeated.
        let is_orderly = tokio::select! {
            biased;
            stopped = stopped => stopped.is_ok(),
            () = self.drive() => false,
        };
        // Whoever may lead next need not wait until this node is missed.
        let metrics = core.metrics();
        if is_orderly && core.is_active(&metrics, clock::instant()) && voters(&metrics).len() > 1 {
            hand_over(&core, &metrics).await;
        }
    }

    async fn drive(&mut self) {
        let core = Arc::clone(&self.core);
        let (mut server, mut data) = (core.raft.server_metrics(), core.raft.data_metrics());
        if server.borrow().membership_config.log_id().is_some() {
            tokio::spawn(mistakes::check_listed(Arc::clone(&core)));
        }
        mistakes::check_own_addresses(&core, &core.metrics()).await;
        loop {
            let metrics = server.borrow_and_update().clone();
            data.mark_unchanged();
            core.refresh(&metrics, clock::instant());
            if core.peers.fatal.borrow().is_some() {
                return;
            }
            let wake_at = self.step(&metrics).await;
            core.refresh(&core.metrics(), clock::instant());
            // An entry of our own term has yet to be applied.
            let awaits_term = leads(&metrics) && !core.leadership.borrow().is_active;
            tokio::select! {
                biased;
                changed = server.changed() => if changed.is_err() { return },
                changed = data.changed(), if awaits_term => if changed.is_err() { return },
                () = core.peers.wake.notified() => {}
                () = at(wake_at) => {}
            }
        }
    }

    /// Does what is due; answers when to look again.
    async fn step(&mut self, metrics: &ServerMetrics) -> Option<Instant> {
        if leads(metrics) {
            return self.lead(metrics).await;
        }
        if self.leading.take().is_some() {
            self.quiet_since = clock::instant();
        }
        let now = clock::instant();
        if let Some(not_before) = self.not_before.filter(|not_before| *not_before > now) {
            return Some(not_before);
        }
        let is_voter = voters(metrics).contains(&self.core.peers.me);
        if is_voter && !self.core.log.is_waiting() { self.follow(metrics).await } else { self.observe(metrics).await }
    }

    /// A pause that grows with every attempt in vain, and is never quite the same.
    fn pause(&mut self) -> Option<Instant> {
        let base = self.core.timing.heartbeat / 2;
        let pause = base.saturating_mul(2_u32.saturating_pow(self.attempts.min(8))).min(PAUSE_MAX);
        self.attempts = self.attempts.saturating_add(1);
        let until = clock::instant() + pause + random_part(base);
        self.not_before = Some(until);
        Some(until)
    }

    fn has_to_remind(&mut self) -> bool {
        let now = clock::instant();
        let is_due = match self.reminded_at {
            Some(at) => now - at >= REMIND,
            // A start takes a moment; only what lasts is worth a line.
            None => now - self.quiet_since >= REMIND / 5,
        };
        if is_due {
            self.reminded_at = Some(now);
        }
        is_due
    }
}

/// Leading.
impl Driver {
    async fn lead(&mut self, metrics: &ServerMetrics) -> Option<Instant> {
        let core = Arc::clone(&self.core);
        let term = metrics.vote.leader_id.term;
        let now = clock::instant();
        let since = match self.leading {
            Some((led, since)) if led == term => since,
            _ => {
                core.peers.forget_acks();
                self.leading = Some((term, now));
                (self.told, self.attempts, self.not_before, self.reminded_at) = (None, 0, None, None);
                now
            }
        };
        self.correct_addresses(metrics);
        let others = others(metrics);
        if others.is_empty() {
            return None;
        }
        core.peers.keep_links(&addresses(&core, metrics));
        if self.must_step_down(metrics, since, now) {
            hand_over(&core, metrics).await;
            return Some(clock::instant() + core.timing.lease);
        }
        self.forget_silent(metrics, since, now);
        // The raft's task is gone when this fails, which the metrics say too.
        let _ = core.raft.trigger().heartbeat().await;
        Some(now + core.timing.heartbeat)
    }

    fn must_step_down(&self, metrics: &ServerMetrics, since: Instant, now: Instant) -> bool {
        let core = &self.core;
        let applied = core.raft.data_metrics().borrow().last_applied;
        if !voters(metrics).contains(&core.peers.me) && applied >= *metrics.membership_config.log_id() {
            return true;
        }
        let acked_at = core.majority_acked_at(metrics, now).unwrap_or(since);
        if now - acked_at.max(since) >= core.timing.fetch_timeout {
            tracing::warn!("a majority of the voters has not been heard: this node leads no more");
            return true;
        }
        false
    }

    /// Puts our own address right, and those that the configuration fixes.
    fn correct_addresses(&self, metrics: &ServerMetrics) {
        let core = &self.core;
        let membership = metrics.membership_config.membership();
        let mut wrong = BTreeMap::new();
        let mut expect = |voter: Voter, endpoint: &Endpoint| {
            let node = node_of(endpoint);
            if membership.get_node(&voter).is_some_and(|known| *known != node) {
                wrong.insert(voter, node);
            }
        };
        match &core.formation {
            Formation::Voters(listed) if is_static(&metrics.membership_config) => {
                for (node_id, address) in listed {
                    let listener = core.peers.endpoint.listener.clone();
                    expect(members::fixed(*node_id), &Endpoint { listener, address: address.clone() });
                }
            }
            _ => expect(core.peers.me, &core.peers.endpoint),
        }
        if !wrong.is_empty() {
            tokio::spawn(members::correct_addresses(Arc::clone(core), wrong));
        }
    }

    fn forget_silent(&self, metrics: &ServerMetrics, since: Instant, now: Instant) {
        let heard = |voter: &Voter| self.core.peers.ack_of(voter).map_or(since, |ack| ack.sent_at);
        let voters = voters(metrics);
        let observers = others(metrics).into_keys().filter(|voter| !voters.contains(voter));
        let silent: BTreeSet<Voter> = observers.filter(|voter| now - heard(voter) >= OBSERVER_TIMEOUT).collect();
        if !silent.is_empty() {
            tokio::spawn(members::forget(Arc::clone(&self.core), silent));
        }
    }
}

/// Following.
impl Driver {
    async fn follow(&mut self, metrics: &ServerMetrics) -> Option<Instant> {
        let core = Arc::clone(&self.core);
        let now = clock::instant();
        let heard = core.peers.heard().filter(|heard| Some(heard.leader) == metrics.current_leader);
        let last_heard = heard.map_or(self.quiet_since, |heard| heard.at);
        let has_resigned = heard.is_some_and(|heard| heard.has_resigned);
        let leader = metrics.current_leader.filter(|leader| *leader != NOBODY && !has_resigned);
        if leader.is_some() && now - last_heard < core.timing.suspicion {
            (self.attempts, self.reminded_at) = (0, None);
            self.quiet_since = now;
            if let Some(leader) = leader {
                self.tell(metrics, leader).await;
            }
            return Some(last_heard + core.timing.suspicion);
        }
        // Those who heard the leader that has resigned are bound by its lease a little longer.
        if has_resigned && now - last_heard <= core.timing.lease {
            return Some(last_heard + core.timing.lease + Duration::from_millis(1));
        }
        let (answers, failures) = survey(&core, &others_voting(metrics)).await;
        mistakes::on_voters_refusals(&core, metrics, &failures);
        let refused = failures.iter().filter(|(_, error)| is_refused(error)).map(|(voter, _)| *voter).collect();
        let now = clock::instant();
        if core.log.vote() != metrics.vote {
            // Somebody stands, or leads, since the others were asked: what they said is of yesterday.
            return Some(self.rest(core.timing.heartbeat));
        }
        // The leader may have spoken while the others were asked.
        let leader = leader.map(|leader| {
            let heard = core.peers.heard().filter(|heard| heard.leader == leader);
            (leader, now - heard.map_or(last_heard, |heard| heard.at))
        });
        let configs = metrics.membership_config.membership().get_joint_config().clone();
        let view = View {
            me: core.peers.me,
            configs: &configs,
            term: metrics.vote.leader_id.term,
            last_log_id: core.log.last_log_id(),
            leader,
            answers,
            refused,
            jitter: random_part(core.timing.heartbeat),
        };
        match judge(&view, &core.timing) {
            Verdict::Stand => {
                tracing::info!(term = view.term + 1, "stands for election");
                // The raft's task is gone when this fails, which the metrics say too.
                let _ = core.raft.trigger().elect().await;
                let patience = core.timing.election_timeout + random_part(core.timing.election_timeout);
                self.attempts = 0;
                Some(self.rest(patience))
            }
            Verdict::LeaderLives => {
                if last_heard < now - core.timing.fetch_timeout && self.has_moved(metrics) {
                    // The leader speaks to an address that is ours no more.
                    self.join(addresses(&core, metrics)).await;
                }
                if self.has_to_remind() {
                    mistakes::check_own_addresses(&core, metrics).await;
                    tracing::warn!(
                        "a leader lives, and does not speak to this node: have the others its right address?"
                    );
                }
                Some(self.rest(core.timing.heartbeat / 2))
            }
            Verdict::NoMajority { missing } => {
                if self.has_to_remind() {
                    mistakes::check_own_addresses(&core, metrics).await;
                    let missing = mistakes::unanswered(metrics, &failures, &missing);
                    tracing::warn!(
                        ?missing,
                        "no controller: a majority of the voters must be in reach, and these are not"
                    );
                }
                self.pause()
            }
        }
    }

    fn rest(&mut self, pause: Duration) -> Instant {
        let until = clock::instant() + pause;
        self.not_before = Some(until);
        until
    }
}

/// Observing: without a vote, or without a quorum.
impl Driver {
    async fn observe(&mut self, metrics: &ServerMetrics) -> Option<Instant> {
        let core = Arc::clone(&self.core);
        if self.has_nothing(metrics) && self.form().await {
            let patience = core.timing.election_timeout / 2 + random_part(core.timing.election_timeout / 2);
            return Some(self.rest(patience));
        }
        let now = clock::instant();
        if let Some(heard) = core.peers.heard().filter(|heard| now - heard.at < core.timing.fetch_timeout) {
            (self.attempts, self.reminded_at) = (0, None);
            self.quiet_since = now;
            self.tell(metrics, heard.leader).await;
            let next = heard.at + core.timing.fetch_timeout;
            return Some(if self.wants_vote(metrics) { next.min(now + PAUSE_MAX) } else { next });
        }
        self.told = None;
        if self.has_to_remind() {
            mistakes::check_own_addresses(&core, metrics).await;
            let asked = mistakes::asked(&core, &addresses(&core, metrics)).await;
            if self.has_nothing(metrics)
                && core.formation.lets_form(core.peers.me.node_id)
                && core.formed_by == FormedBy::All
            {
                tracing::warn!(
                    ?asked,
                    "no leader of the metadata quorum has been found: this node waits for one. Where there is none yet, all that \
                     are listed must be there to form it; when the cluster is new and some will not come, \
                     controller.quorum.formation=majority does without them"
                );
            } else {
                tracing::warn!(?asked, "no leader of the metadata quorum has been found: this node waits for one");
            }
        }
        // A fixed voter is in the quorum already: its leader comes by itself.
        if !core.peers.me.directory_id.is_nil() {
            self.join(addresses(&core, metrics)).await;
        }
        self.pause()
    }

    /// Asks one address after the other, and whom they name, to take this node in.
    async fn join(&mut self, addresses: BTreeSet<Address>) {
        let core = Arc::clone(&self.core);
        let mut rest: Vec<Address> = addresses.into_iter().collect();
        let mut tries = rest.len() + 2;
        while let Some(address) = rest.pop()
            && tries > 0
        {
            tries -= 1;
            let question = Question::Join { endpoint: core.peers.endpoint.to_string() };
            match core.peers.ask(&address, None, Purpose::Control, question).await.map(|response| response.answer) {
                Ok(Answer::Done) => return,
                Ok(Answer::NotLeader(Some(leader))) => {
                    rest.extend(endpoint_of(&openraft::BasicNode::new(leader)).map(|endpoint| endpoint.address));
                }
                Ok(_) => {}
                Err(error) => on_refusal(&core, &address, &error),
            }
        }
    }

    /// Whether this directory is part of no quorum. A first entry alone, that a leader has sent who may be dead, makes it no part
    /// of one as long as it must not vote: those who wait for such votes would wait for ever.
    fn has_nothing(&self, metrics: &ServerMetrics) -> bool {
        let log = &self.core.log;
        metrics.membership_config.log_id().is_none()
            || (log.is_waiting() && log.last_log_id().is_none_or(|last| last.index == 0))
    }

    /// Forms a quorum if this node may, and says whether it has.
    async fn form(&mut self) -> bool {
        let core = Arc::clone(&self.core);
        let own = &core.peers.endpoint;
        let (listed, addresses): (BTreeMap<Voter, Endpoint>, Vec<Address>) = match &core.formation {
            Formation::Voters(listed) if listed.iter().any(|(id, _)| *id == core.peers.me.node_id) => {
                let of = |address: &Address| Endpoint { listener: own.listener.clone(), address: address.clone() };
                let addresses = listed.iter().filter(|(id, _)| *id != core.peers.me.node_id);
                let addresses = addresses.map(|(_, address)| address.clone()).collect();
                (listed.iter().map(|(id, address)| (members::fixed(*id), of(address))).collect(), addresses)
            }
            Formation::Join { addresses, may_form: true, .. } => {
                (BTreeMap::from([(core.peers.me, own.clone())]), addresses.iter().skip(1).cloned().collect())
            }
            _ => return false,
        };
        let answers = survey_addresses(&core, &addresses).await;
        for (address, error) in answers.iter().filter_map(|(address, answer)| Some((address, answer.as_ref().err()?))) {
            on_refusal(&core, address, error);
        }
        let outlooks: Vec<Outlook> = answers.into_iter().filter_map(|(_, answer)| answer.ok()).collect();
        let now = clock::instant();
        // A leader that was heard once may have died before it could commit anything.
        let has_leader = core.peers.leader_silence(now).is_some_and(|silence| silence < core.timing.fetch_timeout);
        let forming = judge_forming(core.formed_by, addresses.len() + 1, &outlooks, now - self.unheard_since);
        if forming == Forming::Exists || has_leader {
            self.unheard_since = now;
        }
        if forming != Forming::Form || has_leader {
            return false;
        }
        let names: Vec<String> =
            listed.iter().map(|(voter, endpoint)| format!("{}@{endpoint}", voter.node_id)).collect();
        tracing::info!(voters = ?names, "forms the metadata quorum: of those listed, nobody who is there has ever been part of one");
        if let Err(error) = core.log.end_waiting() {
            tracing::error!(%error, "the metadata journal cannot be written");
            return false;
        }
        let nodes: BTreeMap<_, _> = listed.iter().map(|(voter, endpoint)| (*voter, node_of(endpoint))).collect();
        // Refused when a leader was faster: then there is a quorum, as was wanted.
        let _ = core.raft.initialize(nodes).await;
        true
    }

    /// Tells the leader our address when it has another one, and that we want to vote when we do.
    async fn tell(&mut self, metrics: &ServerMetrics, leader: Voter) {
        let core = Arc::clone(&self.core);
        let membership = metrics.membership_config.membership();
        let Some(address) = membership.get_node(&leader).and_then(endpoint_of).map(|endpoint| endpoint.address) else {
            return;
        };
        if self.told != Some(leader) && self.has_moved(metrics) {
            let question = Question::Join { endpoint: core.peers.endpoint.to_string() };
            if core.peers.ask(&address, Some(leader), Purpose::Control, question).await.is_ok() {
                self.told = Some(leader);
            }
        } else if self.wants_vote(metrics) {
            match core.peers.ask(&address, Some(leader), Purpose::Control, Question::BecomeVoter).await {
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "does not become a voter yet"),
            }
        }
    }

    /// Whether the membership does not have our address. That of a fixed voter is the configuration's.
    fn has_moved(&self, metrics: &ServerMetrics) -> bool {
        let peers = &self.core.peers;
        let known = metrics.membership_config.membership().get_node(&peers.me);
        !peers.me.directory_id.is_nil() && known != Some(&node_of(&peers.endpoint))
    }

    /// Whether this node, an observer that has caught up, is to become a voter by itself.
    fn wants_vote(&self, metrics: &ServerMetrics) -> bool {
        matches!(self.core.formation, Formation::Join { auto_join: true, .. })
            && !is_static(&metrics.membership_config)
            && !self.core.log.is_waiting()
            && !voters(metrics).contains(&self.core.peers.me)
    }
}

/// Stops leading in an orderly way: nobody is left with a lease for longer than it lasts.
async fn hand_over(core: &Arc<Core>, metrics: &ServerMetrics) {
    if !core.resign(metrics).await {
        return;
    }
    core.refresh(&core.metrics(), clock::instant());
    let term = metrics.vote.leader_id.term;
    let mut told = JoinSet::new();
    for (voter, node) in others(metrics) {
        let Some(endpoint) = endpoint_of(&node) else { continue };
        let core = Arc::clone(core);
        told.spawn(async move {
            let question = Question::Resigned { term };
            // Who does not hear of it will miss the leader.
            let _ = core.peers.ask(&endpoint.address, Some(voter), Purpose::Control, question).await;
        });
    }
    while told.join_next().await.is_some() {}
}

type Surveyed = (BTreeMap<Voter, Outlook>, BTreeMap<Voter, AskError>);

/// Asks voters how they see the quorum. Also says why others did not answer.
async fn survey(core: &Arc<Core>, voters: &BTreeMap<Voter, Address>) -> Surveyed {
    let mut asked = JoinSet::new();
    for (voter, address) in voters.clone() {
        let core = Arc::clone(core);
        asked.spawn(
            async move { (voter, core.peers.ask(&address, Some(voter), Purpose::Control, Question::Survey).await) },
        );
    }
    let mut surveyed = Surveyed::default();
    while let Some(answered) = asked.join_next().await {
        match answered {
            Ok((voter, Ok(response))) => {
                if let Answer::Survey(outlook) = response.answer {
                    surveyed.0.insert(voter, outlook);
                }
            }
            Ok((voter, Err(error))) => drop(surveyed.1.insert(voter, error)),
            Err(_) => {}
        }
    }
    surveyed
}

/// Asks addresses, of which no more is known. An answer of this node itself does not count.
pub async fn survey_addresses(core: &Arc<Core>, addresses: &[Address]) -> Vec<(Address, Result<Outlook, AskError>)> {
    let mut asked = JoinSet::new();
    for address in addresses.iter().cloned() {
        let core = Arc::clone(core);
        asked.spawn(async move {
            let answered = core.peers.ask(&address, None, Purpose::Control, Question::Survey).await;
            (address, answered)
        });
    }
    let mut answers = Vec::new();
    while let Some(answered) = asked.join_next().await {
        let Ok((address, answered)) = answered else { continue };
        match answered {
            Ok(response) if response.from_directory == core.peers.identity.directory_id => {}
            Ok(response) => {
                let Answer::Survey(outlook) = response.answer else { continue };
                answers.push((address, Ok(outlook)));
            }
            Err(error) => answers.push((address, Err(error))),
        }
    }
    answers.sort_by(|left, right| left.0.cmp(&right.0));
    answers
}

/// The other voters whose address is known.
fn others_voting(metrics: &ServerMetrics) -> BTreeMap<Voter, Address> {
    let voters = voters(metrics);
    let others = others(metrics).into_iter().filter(|(voter, _)| voters.contains(voter));
    others.filter_map(|(voter, node)| Some((voter, endpoint_of(&node)?.address))).collect()
}

/// Where the quorum may be found: its members', and those of the configuration, but for our own.
fn addresses(core: &Core, metrics: &ServerMetrics) -> BTreeSet<Address> {
    let members = others(metrics).into_values().filter_map(|node| Some(endpoint_of(&node)?.address));
    let configured: Vec<Address> = match &core.formation {
        Formation::Standalone => Vec::new(),
        Formation::Voters(listed) => listed.iter().map(|(_, address)| address.clone()).collect(),
        Formation::Join { addresses, .. } => addresses.clone(),
    };
    let own = &core.peers.endpoint.address;
    members.chain(configured).filter(|address| address != own).collect()
}

fn random_part(of: Duration) -> Duration {
    let part = u32::try_from(random::seed() % 1024).expect("below 1,024");
    of * part / 1024
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
