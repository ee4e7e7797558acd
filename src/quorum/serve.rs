//! What other nodes of the quorum are answered.
//!
//! Runs on the thread of the connection that the question came over: a quorum whose own thread waits for its disk still says
//! that its leader lives.
//!
//! Invariant: a directory that was empty gives no vote before it has all that was committed when a leader first spoke to it.
//! Invariant: no vote is given within the lease of a leader that was heard, nor by a leader that a majority follows: a node that
//! was cut off cannot unseat a leader by coming back with a higher term.

use openraft::Snapshot;
use openraft::raft::{AppendEntriesResponse, VoteRequest, VoteResponse};

use super::core::{Core, knows_committed, leads};
use super::members;
use super::peers::FRAME_BYTES_MAX;
use super::rpc::{Answer, Append, Chunk, Question, Refusal, Request, Response};
use super::state_machine;
use super::types::{LogId, Vote, Voter};
use crate::io::clock;

/// The largest snapshot that is taken from a peer, in bytes: what 10 million partitions have.
const SNAPSHOT_BYTES_MAX: usize = 1 << 30;

/// A snapshot on its way in.
pub struct Receiving {
    vote: Vote,
    snapshot_id: String,
    bytes: Vec<u8>,
}

/// Answers one request of another node.
pub async fn answer(core: &Core, body: &[u8]) -> Vec<u8> {
    let answer = match Request::decode(body) {
        _ if body.len() > FRAME_BYTES_MAX => Answer::Refused(Refusal::Malformed("too many bytes".into())),
        Ok(request) => answer_request(core, request).await,
        Err(error) => Answer::Refused(Refusal::Malformed(error.to_string())),
    };
    let (from, from_directory) = (core.peers.me, core.peers.identity.directory_id);
    Response { from, from_directory, answer }.encode()
}

async fn answer_request(core: &Core, request: Request) -> Answer {
    let Request { cluster_id, from, from_directory, to, question } = request;
    if to.is_some_and(|to| to != core.peers.me) {
        return Answer::Refused(Refusal::WrongNode);
    }
    let ours = core.peers.cluster_id();
    if !ours.is_empty() && !cluster_id.is_empty() && ours != cluster_id {
        if core.peers.may_complain() {
            tracing::warn!(node = %from.node_id, theirs = cluster_id, ours, "a node of another cluster asks, and is refused");
        }
        return Answer::Refused(Refusal::OtherCluster(ours));
    }
    core.peers.on_question(from, from_directory);
    if core.peers.is_duplicate(from, from_directory) {
        if core.peers.may_complain() {
            let node_id = from.node_id;
            tracing::error!(%node_id, directory = %from_directory, "two nodes have this id: give one of them another node.id");
        }
        return Answer::Refused(Refusal::DuplicateNode);
    }
    match question {
        Question::Survey => Answer::Survey(core.outlook()),
        Question::Vote(request) => vote(core, request).await,
        Question::Append(append) => append_entries(core, append).await,
        Question::Snapshot(chunk) => snapshot(core, chunk).await,
        Question::Join { endpoint } => members::join(core, from, &endpoint).await,
        Question::BecomeVoter => members::become_voter(core, from).await,
        Question::Resigned { term } => {
            if term >= core.log.vote().leader_id.term {
                core.peers.on_resigned(from);
            }
            Answer::Done
        }
    }
}

fn ended(error: &impl ToString) -> Answer {
    Answer::Refused(Refusal::Busy(error.to_string()))
}

async fn vote(core: &Core, request: VoteRequest<Voter>) -> Answer {
    let now = clock::instant();
    let metrics = core.metrics();
    let is_leased = core.peers.leader_silence(now).is_some_and(|silence| silence <= core.timing.lease);
    if core.log.is_waiting() || is_leased || core.is_active(&metrics, now) {
        let (vote, last_log_id) = (core.log.vote(), core.log.last_log_id());
        return Answer::Vote(VoteResponse { vote, vote_granted: false, last_log_id });
    }
    match core.raft.vote(request).await {
        Ok(response) => Answer::Vote(response),
        Err(error) => ended(&error),
    }
}

async fn append_entries(core: &Core, append: Append) -> Answer {
    let (vote, committed) = (append.vote, append.leader_commit);
    match core.raft.append_entries(append.into()).await {
        Ok(response) => {
            if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
                core.peers.on_leader(vote.leader_id.node_id);
            }
            if response == AppendEntriesResponse::Success {
                end_waiting(core, &vote, committed);
            }
            Answer::Append(response)
        }
        Err(error) => ended(&error),
    }
}

/// Lets this directory vote once it has everything that is committed.
fn end_waiting(core: &Core, vote: &Vote, committed: Option<LogId>) {
    let last = core.log.last_log_id();
    if core.log.is_waiting() && knows_committed(vote, committed) && last >= committed {
        match core.log.end_waiting() {
            Ok(()) => core.peers.wake.notify_one(),
            Err(error) => tracing::error!(%error, "the metadata journal cannot be written"),
        }
    }
}

async fn snapshot(core: &Core, chunk: Chunk) -> Answer {
    let vote = chunk.vote;
    let own = core.log.vote();
    // Votes of different leaders in one term are told apart by openraft when the snapshot is whole.
    if vote.leader_id.term < own.leader_id.term {
        return Answer::Snapshot(own);
    }
    core.peers.on_leader(vote.leader_id.node_id);
    let bytes = match receive(core, chunk) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Answer::Refused(Refusal::Malformed("a snapshot is too large".into())),
        Err(received) => return Answer::SnapshotReceived(received),
    };
    let meta = match state_machine::read_meta(&bytes) {
        Ok(meta) => meta,
        Err(error) => return Answer::Refused(Refusal::Malformed(error.to_string())),
    };
    tracing::info!(snapshot = meta.snapshot_id, bytes = bytes.len(), "takes a metadata snapshot from the leader");
    match core.raft.install_full_snapshot(vote, Snapshot { meta, snapshot: Box::new(bytes) }).await {
        Ok(response) => Answer::Snapshot(response.vote),
        Err(error) => ended(&error),
    }
}

/// Adds a chunk. `Err` says how much there is, and that more is to come; `Ok` has the whole, or nothing when it is too large.
fn receive(core: &Core, chunk: Chunk) -> Result<Option<Vec<u8>>, u64> {
    let mut slot = core.receiving.lock();
    let is_same = |receiving: &Receiving| receiving.vote == chunk.vote && receiving.snapshot_id == chunk.snapshot_id;
    if !slot.as_ref().is_some_and(is_same) {
        let (vote, snapshot_id) = (chunk.vote, chunk.snapshot_id.clone());
        *slot = Some(Receiving { vote, snapshot_id, bytes: Vec::new() });
    }
    let receiving = slot.as_mut().expect("it was put there above");
    let received = receiving.bytes.len() as u64;
    if chunk.position != received {
        return Err(received);
    }
    if receiving.bytes.len() + chunk.bytes.len() > SNAPSHOT_BYTES_MAX {
        *slot = None;
        return Ok(None);
    }
    receiving.bytes.extend_from_slice(&chunk.bytes);
    if !chunk.is_last {
        return Err(receiving.bytes.len() as u64);
    }
    Ok(slot.take().map(|receiving| receiving.bytes))
}

/// Who leads, for one who asked the wrong node.
pub fn not_leader(core: &Core) -> Answer {
    let metrics = core.metrics();
    let leader = metrics.current_leader.filter(|_| !leads(&metrics));
    let node = leader.and_then(|leader| metrics.membership_config.membership().get_node(&leader).cloned());
    Answer::NotLeader(node.map(|node| node.addr).filter(|address| !address.is_empty()))
}
