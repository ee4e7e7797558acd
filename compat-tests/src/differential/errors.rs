//! The errors that Apache Kafka 4.3.1 answers with, API by API: scripts have provoked every one of them, and have seen no other.
//!
//! A run holds the tables to what Kafka answered: whoever finds an error that is missing here adds it, and the case that provokes
//! it. For what operators ask, the table was read from Kafka's source (`ReplicationControlManager`, `ConfigurationControlManager`,
//! `ConfigAdminManager`, `ClientQuotaControlManager`, `FeatureControlManager`, `ReplicaManager` and those who call them), and what
//! the source has beyond it stands in [`LEFT_OUT`], with its reason.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use ottla::model::ErrorCode::{self, *};
use ottla::protocol::api_key::ApiKey;
use serde_json::Value;

use super::player::Case;

/// What Kafka answers with to requests of operators, but for `NONE`: all that its source has, save for [`LEFT_OUT`].
const OF_OPERATORS: &[(ApiKey, &[ErrorCode])] = &[
    (
        ApiKey::CreateTopics,
        &[
            RequestTimedOut,
            InvalidTopicException,
            TopicAlreadyExists,
            InvalidPartitions,
            InvalidReplicationFactor,
            InvalidReplicaAssignment,
            InvalidConfig,
            InvalidRequest,
            PolicyViolation,
            ThrottlingQuotaExceeded,
        ],
    ),
    (
        ApiKey::DeleteTopics,
        &[UnknownTopicOrPartition, RequestTimedOut, InvalidRequest, ThrottlingQuotaExceeded, UnknownTopicId],
    ),
    (
        ApiKey::DeleteRecords,
        &[
            OffsetOutOfRange,
            UnknownTopicOrPartition,
            NotLeaderOrFollower,
            RequestTimedOut,
            InvalidTopicException,
            PolicyViolation,
            KafkaStorageError,
        ],
    ),
    (ApiKey::DescribeConfigs, &[UnknownTopicOrPartition, InvalidTopicException, InvalidRequest]),
    (
        ApiKey::AlterConfigs,
        &[
            UnknownTopicOrPartition,
            InvalidTopicException,
            UnsupportedVersion,
            InvalidConfig,
            InvalidRequest,
            PolicyViolation,
            BrokerIdNotRegistered,
        ],
    ),
    (
        ApiKey::AlterReplicaLogDirs,
        &[
            UnknownTopicOrPartition,
            ReplicaNotAvailable,
            InvalidTopicException,
            InvalidReplicaAssignment,
            KafkaStorageError,
            LogDirNotFound,
        ],
    ),
    (ApiKey::DescribeLogDirs, &[KafkaStorageError]),
    (
        ApiKey::CreatePartitions,
        &[
            UnknownServerError,
            UnknownTopicOrPartition,
            RequestTimedOut,
            InvalidPartitions,
            InvalidReplicationFactor,
            InvalidReplicaAssignment,
            InvalidRequest,
            PolicyViolation,
            ThrottlingQuotaExceeded,
        ],
    ),
    (
        ApiKey::ElectLeaders,
        &[
            UnknownTopicOrPartition,
            RequestTimedOut,
            InvalidRequest,
            PreferredLeaderNotAvailable,
            EligibleLeadersNotAvailable,
            ElectionNotNeeded,
        ],
    ),
    (
        ApiKey::IncrementalAlterConfigs,
        &[
            UnknownServerError,
            UnknownTopicOrPartition,
            InvalidTopicException,
            UnsupportedVersion,
            InvalidConfig,
            InvalidRequest,
            PolicyViolation,
            BrokerIdNotRegistered,
        ],
    ),
    (
        ApiKey::AlterPartitionReassignments,
        &[
            UnknownTopicOrPartition,
            RequestTimedOut,
            InvalidReplicationFactor,
            InvalidReplicaAssignment,
            NoReassignmentInProgress,
        ],
    ),
    (ApiKey::DescribeClientQuotas, &[UnsupportedVersion, InvalidRequest]),
    (ApiKey::AlterClientQuotas, &[InvalidRequest, PolicyViolation]),
    (ApiKey::UpdateFeatures, &[InvalidUpdateVersion]),
    (ApiKey::UnregisterBroker, &[BrokerIdNotRegistered]),
    (ApiKey::ListConfigResources, &[UnsupportedVersion]),
];

/// What Kafka was seen to answer with to all other requests. An API that is named in neither table answers with no error.
const OF_OTHERS: &[(ApiKey, &[ErrorCode])] = &[
    (
        ApiKey::Produce,
        &[
            UnknownServerError,
            CorruptMessage,
            UnknownTopicOrPartition,
            NotLeaderOrFollower,
            RequestTimedOut,
            MessageTooLarge,
            InvalidTopicException,
            RecordListTooLarge,
            NotEnoughReplicas,
            InvalidRequiredAcks,
            InvalidTimestamp,
            OutOfOrderSequenceNumber,
            InvalidProducerEpoch,
            TransactionalIdAuthorizationFailed,
            KafkaStorageError,
            UnsupportedCompressionType,
            InvalidRecord,
            UnknownTopicId,
        ],
    ),
    (
        ApiKey::Fetch,
        &[
            OffsetOutOfRange,
            UnknownTopicOrPartition,
            NotLeaderOrFollower,
            KafkaStorageError,
            FetchSessionIdNotFound,
            InvalidFetchSessionEpoch,
            FencedLeaderEpoch,
            UnknownLeaderEpoch,
            UnknownTopicId,
            FetchSessionTopicIdError,
        ],
    ),
    (
        ApiKey::ListOffsets,
        &[
            UnknownTopicOrPartition,
            NotLeaderOrFollower,
            UnsupportedVersion,
            InvalidRequest,
            KafkaStorageError,
            FencedLeaderEpoch,
            UnknownLeaderEpoch,
        ],
    ),
    (
        ApiKey::Metadata,
        &[
            UnknownServerError,
            UnknownTopicOrPartition,
            LeaderNotAvailable,
            ReplicaNotAvailable,
            InvalidTopicException,
            InvalidRequest,
            UnknownTopicId,
        ],
    ),
    (
        ApiKey::OffsetCommit,
        &[
            UnknownTopicOrPartition,
            OffsetMetadataTooLarge,
            IllegalGeneration,
            UnknownMemberId,
            RebalanceInProgress,
            GroupIdNotFound,
            FencedInstanceId,
            UnknownTopicId,
        ],
    ),
    (ApiKey::OffsetFetch, &[UnknownTopicId]),
    (ApiKey::FindCoordinator, &[InvalidRequest]),
    (
        ApiKey::JoinGroup,
        &[
            InconsistentGroupProtocol,
            InvalidGroupId,
            UnknownMemberId,
            InvalidSessionTimeout,
            MemberIdRequired,
            FencedInstanceId,
        ],
    ),
    (ApiKey::Heartbeat, &[IllegalGeneration, InvalidGroupId, UnknownMemberId, RebalanceInProgress, FencedInstanceId]),
    (ApiKey::LeaveGroup, &[InvalidGroupId, UnknownMemberId, FencedInstanceId]),
    (
        ApiKey::SyncGroup,
        &[
            IllegalGeneration,
            InconsistentGroupProtocol,
            InvalidGroupId,
            UnknownMemberId,
            RebalanceInProgress,
            FencedInstanceId,
        ],
    ),
    (ApiKey::DescribeGroups, &[GroupIdNotFound]),
    (ApiKey::ApiVersions, &[InvalidRequest]),
    (ApiKey::InitProducerId, &[NotCoordinator, InvalidRequest]),
    (
        ApiKey::OffsetForLeaderEpoch,
        &[UnknownTopicOrPartition, NotLeaderOrFollower, KafkaStorageError, FencedLeaderEpoch, UnknownLeaderEpoch],
    ),
    (ApiKey::DeleteGroups, &[NonEmptyGroup, GroupIdNotFound]),
    (ApiKey::OffsetDelete, &[InvalidGroupId, GroupIdNotFound, GroupSubscribedToTopic]),
    (ApiKey::DescribeQuorum, &[UnknownTopicOrPartition]),
    (ApiKey::DescribeCluster, &[MismatchedEndpointType, UnsupportedEndpointType]),
    (ApiKey::DescribeProducers, &[UnknownTopicOrPartition, NotLeaderOrFollower, InvalidTopicException]),
    (
        ApiKey::BrokerRegistration,
        &[UnsupportedVersion, DuplicateBrokerRegistration, InconsistentClusterId, InvalidRegistration],
    ),
    (ApiKey::BrokerHeartbeat, &[StaleBrokerEpoch]),
    (ApiKey::AssignReplicasToDirs, &[UnknownTopicOrPartition, StaleBrokerEpoch, UnknownTopicId]),
    (ApiKey::DescribeTopicPartitions, &[UnknownTopicOrPartition, InvalidTopicException, InvalidRequest]),
    (ApiKey::AddRaftVoter, &[InconsistentClusterId]),
    (ApiKey::RemoveRaftVoter, &[InconsistentClusterId]),
    (ApiKey::UpdateRaftVoter, &[InconsistentClusterId]),
];

/// Errors that Kafka's source has for what operators ask, and that no script brings about: of which APIs (of all, when none is named), which, and why.
const LEFT_OUT: &[(&[ApiKey], &[ErrorCode], &str)] = &[
    (
        &[],
        &[
            TopicAuthorizationFailed,
            GroupAuthorizationFailed,
            ClusterAuthorizationFailed,
            DelegationTokenAuthorizationFailed,
        ],
        "security's alone: here everybody may do everything",
    ),
    (
        &[],
        &[NotController],
        "one node is its own controller for as long as it runs; the suites of clusters move controllers",
    ),
    (
        &[
            ApiKey::AlterConfigs,
            ApiKey::IncrementalAlterConfigs,
            ApiKey::UpdateFeatures,
            ApiKey::AlterClientQuotas,
            ApiKey::UnregisterBroker,
        ],
        &[RequestTimedOut],
        "Kafka gives them no deadline: only a controller that stops, or a broker that finds none, answers so",
    ),
    (
        &[
            ApiKey::AlterConfigs,
            ApiKey::ListConfigResources,
            ApiKey::DescribeConfigs,
            ApiKey::DeleteRecords,
            ApiKey::DescribeLogDirs,
            ApiKey::AlterReplicaLogDirs,
            ApiKey::UpdateFeatures,
            ApiKey::DescribeClientQuotas,
            ApiKey::AlterClientQuotas,
            ApiKey::UnregisterBroker,
        ],
        &[UnknownServerError],
        "a fault of Kafka's own, which no known request brings about; of other APIs one does",
    ),
    (&[], &[CoordinatorNotAvailable, CoordinatorLoadInProgress], "moments of a start, whose end the scripts wait for"),
    (
        &[ApiKey::UnregisterBroker, ApiKey::DeleteTopics, ApiKey::ElectLeaders],
        &[PolicyViolation],
        "takes more than ten thousand partitions or topics that are there",
    ),
    (&[ApiKey::DeleteTopics], &[TopicDeletionDisabled], "takes a node that was started with delete.topic.enable=false"),
];

fn tables() -> impl Iterator<Item = &'static (ApiKey, &'static [ErrorCode])> {
    OF_OPERATORS.iter().chain(OF_OTHERS)
}

/// Compares the tables with what Kafka answered in all scripts.
pub fn check(played: &[Case]) -> Result<()> {
    let seen = seen(played);
    let table: BTreeMap<ApiKey, BTreeSet<ErrorCode>> =
        tables().map(|(api, codes)| (*api, codes.iter().copied().collect())).collect();
    let none = BTreeSet::new();
    let mut wrong = Vec::new();
    for api in table.keys().chain(seen.keys()).collect::<BTreeSet<_>>() {
        let (expected, found) = (table.get(api).unwrap_or(&none), seen.get(api).unwrap_or(&none));
        wrong.extend(expected.difference(found).map(|code| format!("{api}: no script provokes {code}")));
        wrong.extend(
            found
                .difference(expected)
                .map(|code| format!("{api}: Kafka answers {code}, of which the table says nothing")),
        );
    }
    for (apis, codes, reason) in LEFT_OUT {
        for (api, seen) in seen.iter().filter(|(api, _)| apis.is_empty() || apis.contains(api)) {
            let found = codes.iter().filter(|code| seen.contains(code));
            wrong.extend(found.map(|code| format!("{api}: {code} was left out ({reason}), and Kafka answers it")));
        }
    }
    ensure!(wrong.is_empty(), "{} are wrong\n        {}", wrong.len(), wrong.join("\n        "));
    Ok(())
}

/// The errors at any depth of the answers to each API.
fn seen(played: &[Case]) -> BTreeMap<ApiKey, BTreeSet<ErrorCode>> {
    let mut seen: BTreeMap<ApiKey, BTreeSet<ErrorCode>> = BTreeMap::new();
    for case in played {
        let Some(api) = case.asked.and_then(|(key, _)| ApiKey::try_from(key).ok()) else { continue };
        let mut codes = BTreeSet::new();
        collect(&case.outcome, &mut codes);
        if !codes.is_empty() {
            seen.entry(api).or_default().extend(codes);
        }
    }
    seen
}

fn collect(value: &Value, codes: &mut BTreeSet<ErrorCode>) {
    match value {
        Value::Object(fields) => {
            let code = fields.get("errorCode").and_then(Value::as_i64).and_then(|code| i16::try_from(code).ok());
            codes.extend(code.map(ErrorCode::from).filter(|code| code.is_error()));
            fields.values().for_each(|value| collect(value, codes));
        }
        Value::Array(elements) => elements.iter().for_each(|value| collect(value, codes)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn case(api: ApiKey, outcome: Value) -> Case {
        Case { name: String::new(), asked: Some((api.key(), 0)), outcome }
    }

    /// Answers with exactly the errors of the table.
    fn as_in_the_table() -> Vec<Case> {
        let answer = |codes: &[ErrorCode]| json!({ "results": codes.iter().map(|code| json!({ "errorCode": code.code() })).collect::<Vec<_>>() });
        tables().map(|(api, codes)| case(*api, answer(codes))).collect()
    }

    fn wrong(played: &[Case]) -> String {
        check(played).expect_err("something is wrong").to_string()
    }

    #[test]
    fn what_kafka_answers_is_what_the_table_says() {
        check(&as_in_the_table()).expect("nothing is wrong");
        assert!(wrong(&as_in_the_table()[1..]).contains("CreateTopics: no script provokes POLICY_VIOLATION"));
        let mut more = as_in_the_table();
        more.push(case(ApiKey::ListGroups, json!({ "errorCode": InvalidGroupId.code() })));
        assert!(wrong(&more).contains("ListGroups: Kafka answers INVALID_GROUP_ID, of which the table says nothing"));
        more.push(case(ApiKey::DescribeCluster, json!({ "errorCode": NotController.code() })));
        assert!(wrong(&more).contains("DescribeCluster: NOT_CONTROLLER was left out (one node is its own controller"));
    }

    #[test]
    fn what_was_left_out_is_not_in_the_table() {
        for (api, codes) in tables() {
            for (apis, left_out, _) in LEFT_OUT.iter().filter(|(apis, _, _)| apis.is_empty() || apis.contains(api)) {
                assert!(!codes.iter().any(|code| left_out.contains(code)), "{api}: {codes:?} and {apis:?}");
            }
        }
    }
}
