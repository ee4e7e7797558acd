//! What nodes of a quorum ask each other, and its bytes: the body of the private API `Quorum`.
//!
//! A request says whose it is (cluster, node, directory) and for whom, so that a wrong address, a second node under one id or a
//! node of another cluster is noticed before a word of it is believed. One request carries at most one batch of entries or one
//! chunk of a snapshot.

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use uuid::Uuid;

use super::types::{Bytes, Entry, LogId, TypeConfig, Vote, Voter};
use crate::metadata::{DecodeError, Reader, Writer};

/// The only version of requests and answers so far.
const VERSION: u8 = 0;

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Empty when the sender knows of none yet.
    pub cluster_id: String,
    pub from: Voter,
    /// The sender's own directory, which `from` of a static voter does not tell.
    pub from_directory: Uuid,
    /// Whom it is for; `None` when the sender knows an address and no more.
    pub to: Option<Voter>,
    pub question: Question,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// How the node sees the quorum. Changes nothing.
    Survey,
    Vote(VoteRequest<Voter>),
    Append(Append),
    /// A part of a snapshot; the last one installs it.
    Snapshot(Chunk),
    /// The sender wants the log, and to be known under this address.
    Join {
        endpoint: String,
    },
    /// The sender has the log and wants to vote.
    BecomeVoter,
    /// The sender leads no more, in this term.
    Resigned {
        term: u64,
    },
}

/// openraft's request to append, which has no equality of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    pub vote: Vote,
    pub prev_log_id: Option<LogId>,
    pub entries: Vec<Entry>,
    pub leader_commit: Option<LogId>,
}

/// See [`Question::Snapshot`].
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    pub vote: Vote,
    pub snapshot_id: String,
    pub position: u64,
    pub bytes: Vec<u8>,
    pub is_last: bool,
}

/// An answer, and who gave it.
#[derive(Debug, PartialEq)]
pub struct Response {
    pub from: Voter,
    pub from_directory: Uuid,
    pub answer: Answer,
}

/// What is answered.
#[derive(Debug, PartialEq)]
pub enum Answer {
    Survey(Outlook),
    Vote(VoteResponse<Voter>),
    Append(AppendEntriesResponse<Voter>),
    /// The vote of the one who has installed the snapshot, or refused it for a higher vote.
    Snapshot(Vote),
    /// So many bytes of the snapshot are there; go on from here.
    SnapshotReceived(u64),
    Done,
    /// Ask the leader; its endpoint, when it is known.
    NotLeader(Option<String>),
    Refused(Refusal),
}

/// How a node sees the quorum.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// Whether the node has an entry beside the one that says who votes, or lately heard a leader.
    pub knows_quorum: bool,
    pub cluster_id: String,
    /// Whether it may vote: a directory that was empty has to catch up first.
    pub may_vote: bool,
    pub vote: Vote,
    pub last_log_id: Option<LogId>,
    /// ms since it heard a live leader; `None` when there is none.
    pub leader_heard_ms: Option<u64>,
    /// Whether it leads, and a majority has lately said so.
    pub is_active: bool,
}

/// Why a request is not listened to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The node belongs to this cluster.
    #[error("it is of cluster {0}")]
    OtherCluster(String),
    /// Another live node has the sender's id.
    #[error("another live node has the id of this one")]
    DuplicateNode,
    /// The node is not the one that was asked for.
    #[error("another node is there")]
    WrongNode,
    /// Not now; the reason is for the log.
    #[error("not now: {0}")]
    Busy(String),
    /// The bytes are no request of this version.
    #[error("it cannot read the question: {0}")]
    Malformed(String),
}

impl Request {
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::new();
        to.u8(VERSION);
        to.str(&self.cluster_id);
        self.from.write(&mut to);
        to.uuid(self.from_directory);
        self.to.write(&mut to);
        write_question(&mut to, &self.question);
        to.into_bytes()
    }

    pub fn decode(bytes: &[u8]) -> Result<Request, DecodeError> {
        let mut from = Reader::new(bytes);
        version(&mut from)?;
        let request = Request {
            cluster_id: from.str()?.to_owned(),
            from: Voter::read(&mut from)?,
            from_directory: from.uuid()?,
            to: Option::read(&mut from)?,
            question: read_question(&mut from)?,
        };
        from.finish()?;
        Ok(request)
    }
}

impl Response {
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::new();
        to.u8(VERSION);
        self.from.write(&mut to);
        to.uuid(self.from_directory);
        write_answer(&mut to, &self.answer);
        to.into_bytes()
    }

    pub fn decode(bytes: &[u8]) -> Result<Response, DecodeError> {
        let mut from = Reader::new(bytes);
        version(&mut from)?;
        let response =
            Response { from: Voter::read(&mut from)?, from_directory: from.uuid()?, answer: read_answer(&mut from)? };
        from.finish()?;
        Ok(response)
    }
}

fn version(from: &mut Reader<'_>) -> Result<(), DecodeError> {
    match from.u8()? {
        VERSION => Ok(()),
        version => Err(DecodeError::Unknown { what: "version of the quorum's protocol", value: version.into() }),
    }
}

fn write_question(to: &mut Writer, question: &Question) {
    match question {
        Question::Survey => to.u8(0),
        Question::Vote(request) => {
            to.u8(1);
            request.vote.write(to);
            request.last_log_id.write(to);
        }
        Question::Append(append) => {
            to.u8(2);
            append.vote.write(to);
            append.prev_log_id.write(to);
            append.leader_commit.write(to);
            to.count(append.entries.len());
            append.entries.iter().for_each(|entry| entry.write(to));
        }
        Question::Snapshot(chunk) => {
            to.u8(3);
            chunk.vote.write(to);
            to.str(&chunk.snapshot_id);
            to.u64(chunk.position);
            to.blob(&chunk.bytes);
            to.bool(chunk.is_last);
        }
        Question::Join { endpoint } => {
            to.u8(4);
            to.str(endpoint);
        }
        Question::BecomeVoter => to.u8(5),
        Question::Resigned { term } => {
            to.u8(6);
            to.u64(*term);
        }
    }
}

fn read_question(from: &mut Reader<'_>) -> Result<Question, DecodeError> {
    Ok(match from.u8()? {
        0 => Question::Survey,
        1 => Question::Vote(VoteRequest { vote: Vote::read(from)?, last_log_id: Option::read(from)? }),
        2 => Question::Append(Append {
            vote: Vote::read(from)?,
            prev_log_id: Option::read(from)?,
            leader_commit: Option::read(from)?,
            entries: from.list(Entry::read)?,
        }),
        3 => Question::Snapshot(Chunk {
            vote: Vote::read(from)?,
            snapshot_id: from.str()?.to_owned(),
            position: from.u64()?,
            bytes: from.blob()?.to_vec(),
            is_last: from.bool()?,
        }),
        4 => Question::Join { endpoint: from.str()?.to_owned() },
        5 => Question::BecomeVoter,
        6 => Question::Resigned { term: from.u64()? },
        kind => return Err(DecodeError::Unknown { what: "question", value: kind.into() }),
    })
}

fn write_answer(to: &mut Writer, answer: &Answer) {
    match answer {
        Answer::Survey(outlook) => {
            to.u8(0);
            write_outlook(to, outlook);
        }
        Answer::Vote(response) => {
            to.u8(1);
            response.vote.write(to);
            to.bool(response.vote_granted);
            response.last_log_id.write(to);
        }
        Answer::Append(AppendEntriesResponse::Success) => to.u8(2),
        Answer::Append(AppendEntriesResponse::PartialSuccess(matching)) => {
            to.u8(3);
            matching.write(to);
        }
        Answer::Append(AppendEntriesResponse::Conflict) => to.u8(4),
        Answer::Append(AppendEntriesResponse::HigherVote(vote)) => {
            to.u8(5);
            vote.write(to);
        }
        Answer::Snapshot(vote) => {
            to.u8(6);
            vote.write(to);
        }
        Answer::SnapshotReceived(position) => {
            to.u8(7);
            to.u64(*position);
        }
        Answer::Done => to.u8(8),
        Answer::NotLeader(leader) => {
            to.u8(9);
            to.option_str(leader.as_deref());
        }
        Answer::Refused(refusal) => write_refusal(to, refusal),
    }
}

fn write_outlook(to: &mut Writer, outlook: &Outlook) {
    to.bool(outlook.knows_quorum);
    to.str(&outlook.cluster_id);
    to.bool(outlook.may_vote);
    outlook.vote.write(to);
    outlook.last_log_id.write(to);
    to.bool(outlook.leader_heard_ms.is_some());
    if let Some(ms) = outlook.leader_heard_ms {
        to.u64(ms);
    }
    to.bool(outlook.is_active);
}

fn read_outlook(from: &mut Reader<'_>) -> Result<Outlook, DecodeError> {
    Ok(Outlook {
        knows_quorum: from.bool()?,
        cluster_id: from.str()?.to_owned(),
        may_vote: from.bool()?,
        vote: Vote::read(from)?,
        last_log_id: Option::read(from)?,
        leader_heard_ms: if from.bool()? { Some(from.u64()?) } else { None },
        is_active: from.bool()?,
    })
}

fn write_refusal(to: &mut Writer, refusal: &Refusal) {
    match refusal {
        Refusal::OtherCluster(cluster_id) => {
            to.u8(10);
            to.str(cluster_id);
        }
        Refusal::DuplicateNode => to.u8(11),
        Refusal::WrongNode => to.u8(12),
        Refusal::Busy(reason) => {
            to.u8(13);
            to.str(reason);
        }
        Refusal::Malformed(reason) => {
            to.u8(14);
            to.str(reason);
        }
    }
}

fn read_answer(from: &mut Reader<'_>) -> Result<Answer, DecodeError> {
    Ok(match from.u8()? {
        0 => Answer::Survey(read_outlook(from)?),
        1 => Answer::Vote(VoteResponse {
            vote: Vote::read(from)?,
            vote_granted: from.bool()?,
            last_log_id: Option::read(from)?,
        }),
        2 => Answer::Append(AppendEntriesResponse::Success),
        3 => Answer::Append(AppendEntriesResponse::PartialSuccess(Option::read(from)?)),
        4 => Answer::Append(AppendEntriesResponse::Conflict),
        5 => Answer::Append(AppendEntriesResponse::HigherVote(Vote::read(from)?)),
        6 => Answer::Snapshot(Vote::read(from)?),
        7 => Answer::SnapshotReceived(from.u64()?),
        8 => Answer::Done,
        9 => Answer::NotLeader(from.option_str()?.map(str::to_owned)),
        10 => Answer::Refused(Refusal::OtherCluster(from.str()?.to_owned())),
        11 => Answer::Refused(Refusal::DuplicateNode),
        12 => Answer::Refused(Refusal::WrongNode),
        13 => Answer::Refused(Refusal::Busy(from.str()?.to_owned())),
        14 => Answer::Refused(Refusal::Malformed(from.str()?.to_owned())),
        kind => return Err(DecodeError::Unknown { what: "answer", value: kind.into() }),
    })
}

impl From<AppendEntriesRequest<TypeConfig>> for Append {
    fn from(request: AppendEntriesRequest<TypeConfig>) -> Append {
        let AppendEntriesRequest { vote, prev_log_id, entries, leader_commit } = request;
        Append { vote, prev_log_id, entries, leader_commit }
    }
}

impl From<Append> for AppendEntriesRequest<TypeConfig> {
    fn from(append: Append) -> AppendEntriesRequest<TypeConfig> {
        let Append { vote, prev_log_id, entries, leader_commit } = append;
        AppendEntriesRequest { vote, prev_log_id, entries, leader_commit }
    }
}

#[cfg(test)]
mod tests;
