//! Every question and answer reads back, and no cut or changed byte does harm.

use super::*;
use crate::model::BrokerId;

fn voter(number: i32) -> Voter {
    Voter { node_id: BrokerId(number), directory_id: Uuid::from_u128(7) }
}

fn log_id(index: u64) -> LogId {
    openraft::LogId::new(openraft::CommittedLeaderId::new(3, voter(1)), index)
}

fn questions() -> Vec<Question> {
    let vote = Vote::new_committed(3, voter(1));
    let entries = vec![Entry { log_id: log_id(8), payload: openraft::EntryPayload::Blank }];
    vec![
        Question::Survey,
        Question::Vote(VoteRequest { vote, last_log_id: Some(log_id(4)) }),
        Question::Append(Append { vote, prev_log_id: Some(log_id(7)), entries, leader_commit: None }),
        Question::Snapshot(Chunk { vote, snapshot_id: "3-7".into(), position: 9, bytes: vec![1, 2], is_last: true }),
        Question::Join { endpoint: "CONTROLLER://a:1".into() },
        Question::BecomeVoter,
        Question::Resigned { term: 3 },
    ]
}

fn answers() -> Vec<Answer> {
    let vote = Vote::new(3, voter(1));
    let outlook = Outlook {
        knows_quorum: true,
        cluster_id: "c".into(),
        may_vote: true,
        vote,
        last_log_id: Some(log_id(4)),
        leader_heard_ms: Some(5),
        is_active: false,
    };
    vec![
        Answer::Survey(outlook.clone()),
        Answer::Survey(Outlook { leader_heard_ms: None, ..outlook }),
        Answer::Vote(VoteResponse { vote, vote_granted: true, last_log_id: None }),
        Answer::Append(AppendEntriesResponse::Success),
        Answer::Append(AppendEntriesResponse::PartialSuccess(Some(log_id(1)))),
        Answer::Append(AppendEntriesResponse::Conflict),
        Answer::Append(AppendEntriesResponse::HigherVote(vote)),
        Answer::Snapshot(vote),
        Answer::SnapshotReceived(1 << 40),
        Answer::Done,
        Answer::NotLeader(None),
        Answer::NotLeader(Some("CONTROLLER://a:1".into())),
        Answer::Refused(Refusal::OtherCluster("c".into())),
        Answer::Refused(Refusal::DuplicateNode),
        Answer::Refused(Refusal::WrongNode),
        Answer::Refused(Refusal::Busy("later".into())),
        Answer::Refused(Refusal::Malformed("what".into())),
    ]
}

#[test]
fn every_question_reads_back_and_a_cut_one_is_refused() {
    for question in questions() {
        let to = Some(voter(2));
        let request =
            Request { cluster_id: "c".into(), from: voter(1), from_directory: Uuid::from_u128(9), to, question };
        let bytes = request.encode();
        assert_eq!(Request::decode(&bytes), Ok(request));
        for len in 0..bytes.len() {
            assert!(Request::decode(&bytes[..len]).is_err());
        }
    }
}

#[test]
fn every_answer_reads_back_and_a_cut_one_is_refused() {
    for answer in answers() {
        let response = Response { from: voter(1), from_directory: Uuid::from_u128(9), answer };
        let bytes = response.encode();
        assert_eq!(Response::decode(&bytes), Ok(response));
        for len in 0..bytes.len() {
            assert!(Response::decode(&bytes[..len]).is_err());
        }
    }
}

#[test]
fn changed_bytes_do_no_harm() {
    for question in questions() {
        let request =
            Request { cluster_id: "c".into(), from: voter(1), from_directory: Uuid::nil(), to: None, question };
        let bytes = request.encode();
        for position in 0..bytes.len() {
            for change in [1, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[position] ^= change;
                // Whatever it reads as, it must not panic nor take much memory.
                let _ = Request::decode(&changed);
            }
        }
    }
}
