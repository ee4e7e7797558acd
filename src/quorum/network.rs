//! openraft's way to the other nodes: its requests as questions over [`Peers`].

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{Fatal, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{BasicNode, OptionalSend, Snapshot};

use super::peers::{AskError, Peers, Purpose, endpoint_of};
use super::rpc::{Answer, Append, Chunk, Question};
use super::types::{TypeConfig, Vote, Voter};
use crate::io::clock;
use crate::peer::{Address, LinkError};

/// Bytes of a snapshot in one request (`controller.quorum.fetch.snapshot.max.bytes`).
const CHUNK_BYTES: usize = 1 << 20;

/// How often a chunk is sent again before the snapshot is given up; openraft begins anew then.
const CHUNK_TRIES: u32 = 5;

/// Makes a way to each member.
#[derive(Clone)]
pub struct Network {
    pub peers: Arc<Peers>,
}

/// The way to one member.
pub struct Route {
    peers: Arc<Peers>,
    target: Voter,
    /// `None` when the membership tells none that can be read.
    address: Option<Address>,
}

type Refused<E> = RPCError<Voter, BasicNode, E>;

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Route;

    async fn new_client(&mut self, target: Voter, node: &BasicNode) -> Route {
        let address = endpoint_of(node).map(|endpoint| endpoint.address);
        Route { peers: Arc::clone(&self.peers), target, address }
    }
}

impl Route {
    async fn ask(&self, purpose: Purpose, question: Question) -> Result<Answer, Unreachable> {
        let Some(address) = &self.address else {
            return Err(Unreachable::new(&std::io::Error::from(std::io::ErrorKind::AddrNotAvailable)));
        };
        let asked = self.peers.ask(address, Some(self.target), purpose, question).await;
        self.peers.on_asked(self.target, address, asked.as_ref().err());
        asked.map(|response| response.answer).map_err(|error| Unreachable::new(&error))
    }
}

fn unexpected() -> Unreachable {
    Unreachable::new(&AskError::Unexpected)
}

impl RaftNetwork<TypeConfig> for Route {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Voter>, Refused<RaftError<Voter>>> {
        let sent_at = clock::instant();
        let (prev, committed) = (rpc.prev_log_id, rpc.leader_commit);
        let last = rpc.entries.last().map(|entry| entry.log_id).or(prev);
        let answer = self.ask(Purpose::Log, Question::Append(Append::from(rpc))).await?;
        let Answer::Append(response) = answer else { return Err(unexpected().into()) };
        match &response {
            AppendEntriesResponse::Success => self.peers.on_ack(self.target, sent_at, last, committed),
            AppendEntriesResponse::PartialSuccess(matching) => {
                self.peers.on_ack(self.target, sent_at, *matching, committed);
            }
            AppendEntriesResponse::Conflict => {
                if self.peers.forget_what_is_lost(self.target, prev) {
                    tracing::warn!(follower = %self.target, "a node has lost what it had acknowledged: it gets everything anew");
                }
                self.peers.on_ack(self.target, sent_at, None, committed);
            }
            AppendEntriesResponse::HigherVote(_) => {}
        }
        Ok(response)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Voter>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Voter>, Refused<RaftError<Voter>>> {
        match self.ask(Purpose::Control, Question::Vote(rpc)).await? {
            Answer::Vote(response) => Ok(response),
            _ => Err(unexpected().into()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<TypeConfig>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Voter>, StreamingError<TypeConfig, Fatal<Voter>>> {
        let mut cancel = pin!(cancel);
        tokio::select! {
            biased;
            closed = &mut cancel => Err(closed.into()),
            sent = self.send_snapshot(vote, &snapshot) => Ok(sent?),
        }
    }

    fn backoff(&self) -> Backoff {
        let heartbeat = self.peers.timing.heartbeat;
        Backoff::new((0..).map(move |tries| heartbeat / 4 * 2_u32.pow(u32::min(tries, 3))))
    }
}

impl Route {
    async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: &Snapshot<TypeConfig>,
    ) -> Result<SnapshotResponse<Voter>, Unreachable> {
        let bytes = &*snapshot.snapshot;
        let mut position = 0;
        let mut tries = 0;
        loop {
            let end = bytes.len().min(position + CHUNK_BYTES);
            let chunk = Chunk {
                vote,
                snapshot_id: snapshot.meta.snapshot_id.clone(),
                position: position as u64,
                bytes: bytes[position..end].to_vec(),
                is_last: end == bytes.len(),
            };
            let sent_at = clock::instant();
            let answer = match self.ask(Purpose::Snapshot, Question::Snapshot(chunk)).await {
                Ok(answer) => answer,
                Err(error) if tries + 1 == CHUNK_TRIES => return Err(error),
                Err(_) => {
                    tries += 1;
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            };
            match answer {
                Answer::Snapshot(vote) => {
                    self.peers.on_ack(self.target, sent_at, snapshot.meta.last_log_id, snapshot.meta.last_log_id);
                    return Ok(SnapshotResponse::new(vote));
                }
                Answer::SnapshotReceived(received) => {
                    let received = usize::try_from(received).ok().filter(|received| *received <= bytes.len());
                    let Some(received) = received else { return Err(unexpected()) };
                    // Received less than before: the follower has started anew, and so do we, but not for ever.
                    tries = if received > position { 0 } else { tries + 1 };
                    if tries == CHUNK_TRIES {
                        return Err(unexpected());
                    }
                    self.peers.on_ack(self.target, sent_at, None, snapshot.meta.last_log_id);
                    position = received;
                }
                _ => return Err(unexpected()),
            }
        }
    }
}

/// The pause before a chunk is sent again.
const RETRY: Duration = Duration::from_millis(100);

/// Whether nobody listens at the address any more.
pub fn is_refused(error: &AskError) -> bool {
    matches!(error, AskError::Link(LinkError::Refused(_)))
}
