//! What the quorum says, in Kafka's words.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::BytesMut;
use uuid::Uuid;

use super::*;
use crate::model::{BrokerId, Now, Offset};
use crate::protocol::message::ResponseMessage;
use crate::quorum::{Description, Endpoint, ReplicaState};

fn voter(number: i32) -> Voter {
    Voter { node_id: BrokerId(number), directory_id: Uuid::from_u128(1) }
}

#[test]
fn refusals_have_kafkas_codes_and_words() {
    let one = "ReplicaKey(id=1, directoryId=AAAAAAAAAAAAAAAAAAAAAQ)";
    let two = "ReplicaKey(id=2, directoryId=AAAAAAAAAAAAAAAAAAAAAQ)";
    let cases: [(VotersError, ErrorCode, Option<String>); 6] = [
        (QuorumError::NotLeader(None).into(), ErrorCode::NotLeaderOrFollower, Some(String::new())),
        (
            VotersError::Fixed,
            ErrorCode::UnsupportedVersion,
            Some("Cluster doesn't support adding voter because the kraft.version feature is 0".into()),
        ),
        (
            VotersError::Duplicate(voter(2)),
            ErrorCode::DuplicateVoter,
            Some(format!("The voter id for {two} is already part of the set of voters [{one}, {two}].")),
        ),
        (
            VotersError::NotFound(voter(2)),
            ErrorCode::VoterNotFound,
            Some(format!("Cannot remove voter {two} from the set of voters [{one}, {two}]")),
        ),
        (
            VotersError::InProgress,
            ErrorCode::RequestTimedOut,
            Some("Request timed out waiting for leader to handle previous voter change request".into()),
        ),
        (
            VotersError::NotCaughtUp(voter(2)),
            ErrorCode::RequestTimedOut,
            Some(format!("Aborted add voter operation for {two} since it is lagging behind")),
        ),
    ];
    for (error, code, words) in cases {
        let refused = refusal(&error, "adding", &[voter(1), voter(2)]);
        assert_eq!(refused, (code, words.map(StrBytes::from_string)), "{error}");
    }
    assert_eq!(
        name(&Voter { node_id: BrokerId(1), directory_id: Uuid::nil() }),
        "ReplicaKey(id=1, directoryId=<undefined>)"
    );
}

#[test]
fn only_our_own_cluster_is_changed() {
    let ours = StrBytes::from_static_str("ours");
    assert_eq!(check_cluster(None, "ours"), Ok(()));
    assert_eq!(check_cluster(Some(&ours), "ours"), Ok(()));
    let words = StrBytes::from_static_str("The given id \"ours\" doesn't match the cluster id \"other\"");
    assert_eq!(check_cluster(Some(&ours), "other"), Err((ErrorCode::InconsistentClusterId, Some(words))));
}

#[test]
fn a_description_has_what_each_version_can_say() {
    let state = |number, offset, ago: Option<u64>| ReplicaState {
        replica: voter(number),
        log_end_offset: Offset(offset),
        last_fetch: ago.map(Duration::from_millis),
        last_caught_up: ago.map(Duration::from_millis),
    };
    let endpoint = Endpoint { listener: "CONTROLLER".into(), address: "a:9093".parse().expect("an address") };
    let description = Description {
        leader_id: BrokerId(1),
        leader_epoch: 7,
        high_watermark: Offset(10),
        voters: vec![state(1, 11, Some(0)), state(2, 10, Some(30))],
        observers: vec![state(3, -1, None)],
        nodes: BTreeMap::from([(BrokerId(1), endpoint)]),
    };
    let described = |version| describe_quorum::describe(&description, Now { wall_ms: 1_000, monotonic_ms: 5 }, version);
    let response = described(2);
    let partition = &response.topics[0].partitions[0];
    let times = |states: &[crate::protocol::message::describe_quorum_response::ReplicaState]| {
        states
            .iter()
            .map(|state| (state.replica_id.0, state.log_end_offset, state.last_fetch_timestamp))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (&**response.topics[0].topic_name, partition.leader_epoch, partition.high_watermark),
        ("__cluster_metadata", 7, 10)
    );
    assert_eq!(times(&partition.current_voters), [(1, 11, 1_000), (2, 10, 970)]);
    assert_eq!(times(&partition.observers), [(3, -1, -1)]);
    for version in 0..=2 {
        let mut out = BytesMut::new();
        described(version).write(&mut out, version).expect("what a version does not have is left out");
        let read = ResponseMessage::read(&mut out.freeze(), version);
        let read: crate::protocol::message::DescribeQuorumResponse = read.expect("our own bytes");
        assert_eq!(read.nodes.len(), usize::from(version >= 2));
    }
}
