//! Kafka's APIs: number, name, versions and the first flexible version, as in Apache Kafka 4.3.1.
//!
//! Source: `ApiKeys` and the request schemas in kafka-clients 4.3.1. The versions are those that Kafka can read; what a
//! server offers is decided by the rows of `api`. Numbers 4 to 7 went away with ZooKeeper. One number is ours alone: far above
//! Kafka's own, and below 32,767.

use std::fmt;
use std::ops::RangeInclusive;

macro_rules! api_keys {
    ($($name:ident = $key:literal, $versions:expr, $flexible:expr;)* => $private:ident = $private_key:literal;) => {
        /// A Kafka API. `Display` prints Kafka's name, such as `OffsetCommit`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum ApiKey {
            $(#[doc = stringify!($name)] $name = $key,)*
            /// Between the voters of the metadata quorum: no API of Kafka's, never advertised, with a body of its own format.
            $private = $private_key,
        }

        impl ApiKey {
            /// Every API of Kafka's, by number.
            pub const ALL: &'static [ApiKey] = &[$(ApiKey::$name,)*];

            /// Kafka's name, such as `OffsetCommit`.
            pub const fn name(self) -> &'static str {
                match self { $(ApiKey::$name => stringify!($name),)* ApiKey::$private => stringify!($private) }
            }

            /// The versions that Kafka 4.3.1 reads; version 0 of what is not Kafka's.
            pub const fn versions(self) -> RangeInclusive<i16> {
                match self { $(ApiKey::$name => $versions,)* ApiKey::$private => 0..=0 }
            }

            /// The first version with tagged fields and compact lengths (KIP-482); `None` if there is none.
            pub const fn flexible_from(self) -> Option<i16> {
                match self { $(ApiKey::$name => $flexible,)* ApiKey::$private => None }
            }
        }

        impl TryFrom<i16> for ApiKey {
            type Error = UnknownApiKey;

            fn try_from(key: i16) -> Result<ApiKey, UnknownApiKey> {
                match key {
                    $($key => Ok(ApiKey::$name),)*
                    $private_key => Ok(ApiKey::$private),
                    _ => Err(UnknownApiKey(key)),
                }
            }
        }
    };
}

/// A number that is no API of Kafka 4.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown api key {0}")]
pub struct UnknownApiKey(pub i16);

impl ApiKey {
    /// The number on the wire.
    pub const fn key(self) -> i16 {
        self as i16
    }

    /// Whether a version has tagged fields and compact lengths. Versions past the last count as the last.
    pub const fn is_flexible(self, version: i16) -> bool {
        match self.flexible_from() {
            Some(first) => version >= first,
            None => false,
        }
    }

    /// The version of the request header: 2 for flexible versions, else 1. Source: `ApiKeys.requestHeaderVersion`.
    pub const fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the response header: 1 for flexible versions, else 0.
    ///
    /// Always 0 for ApiVersions: its reader does not know yet which versions the server speaks (KIP-511).
    pub const fn response_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) && !matches!(self, ApiKey::ApiVersions) { 1 } else { 0 }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

api_keys! {
    Produce = 0, 3..=13, Some(9);
    Fetch = 1, 4..=18, Some(12);
    ListOffsets = 2, 1..=11, Some(6);
    Metadata = 3, 0..=13, Some(9);
    OffsetCommit = 8, 2..=10, Some(8);
    OffsetFetch = 9, 1..=10, Some(6);
    FindCoordinator = 10, 0..=6, Some(3);
    JoinGroup = 11, 0..=9, Some(6);
    Heartbeat = 12, 0..=4, Some(4);
    LeaveGroup = 13, 0..=5, Some(4);
    SyncGroup = 14, 0..=5, Some(4);
    DescribeGroups = 15, 0..=6, Some(5);
    ListGroups = 16, 0..=5, Some(3);
    SaslHandshake = 17, 0..=1, None;
    ApiVersions = 18, 0..=4, Some(3);
    CreateTopics = 19, 2..=7, Some(5);
    DeleteTopics = 20, 1..=6, Some(4);
    DeleteRecords = 21, 0..=2, Some(2);
    InitProducerId = 22, 0..=5, Some(2);
    OffsetForLeaderEpoch = 23, 2..=4, Some(4);
    AddPartitionsToTxn = 24, 0..=5, Some(3);
    AddOffsetsToTxn = 25, 0..=4, Some(3);
    EndTxn = 26, 0..=5, Some(3);
    WriteTxnMarkers = 27, 1..=2, Some(1);
    TxnOffsetCommit = 28, 0..=5, Some(3);
    DescribeAcls = 29, 1..=3, Some(2);
    CreateAcls = 30, 1..=3, Some(2);
    DeleteAcls = 31, 1..=3, Some(2);
    DescribeConfigs = 32, 1..=4, Some(4);
    AlterConfigs = 33, 0..=2, Some(2);
    AlterReplicaLogDirs = 34, 1..=2, Some(2);
    DescribeLogDirs = 35, 1..=5, Some(2);
    SaslAuthenticate = 36, 0..=2, Some(2);
    CreatePartitions = 37, 0..=3, Some(2);
    CreateDelegationToken = 38, 1..=3, Some(2);
    RenewDelegationToken = 39, 1..=2, Some(2);
    ExpireDelegationToken = 40, 1..=2, Some(2);
    DescribeDelegationToken = 41, 1..=3, Some(2);
    DeleteGroups = 42, 0..=2, Some(2);
    ElectLeaders = 43, 0..=2, Some(2);
    IncrementalAlterConfigs = 44, 0..=1, Some(1);
    AlterPartitionReassignments = 45, 0..=1, Some(0);
    ListPartitionReassignments = 46, 0..=0, Some(0);
    OffsetDelete = 47, 0..=0, None;
    DescribeClientQuotas = 48, 0..=1, Some(1);
    AlterClientQuotas = 49, 0..=1, Some(1);
    DescribeUserScramCredentials = 50, 0..=0, Some(0);
    AlterUserScramCredentials = 51, 0..=0, Some(0);
    Vote = 52, 0..=2, Some(0);
    BeginQuorumEpoch = 53, 0..=1, Some(1);
    EndQuorumEpoch = 54, 0..=1, Some(1);
    DescribeQuorum = 55, 0..=2, Some(0);
    AlterPartition = 56, 2..=3, Some(0);
    UpdateFeatures = 57, 0..=2, Some(0);
    Envelope = 58, 0..=0, Some(0);
    FetchSnapshot = 59, 0..=1, Some(0);
    DescribeCluster = 60, 0..=2, Some(0);
    DescribeProducers = 61, 0..=0, Some(0);
    BrokerRegistration = 62, 0..=4, Some(0);
    BrokerHeartbeat = 63, 0..=2, Some(0);
    UnregisterBroker = 64, 0..=0, Some(0);
    DescribeTransactions = 65, 0..=0, Some(0);
    ListTransactions = 66, 0..=2, Some(0);
    AllocateProducerIds = 67, 0..=0, Some(0);
    ConsumerGroupHeartbeat = 68, 0..=1, Some(0);
    ConsumerGroupDescribe = 69, 0..=1, Some(0);
    ControllerRegistration = 70, 0..=0, Some(0);
    GetTelemetrySubscriptions = 71, 0..=0, Some(0);
    PushTelemetry = 72, 0..=0, Some(0);
    AssignReplicasToDirs = 73, 0..=0, Some(0);
    ListConfigResources = 74, 0..=1, Some(0);
    DescribeTopicPartitions = 75, 0..=0, Some(0);
    ShareGroupHeartbeat = 76, 1..=1, Some(0);
    ShareGroupDescribe = 77, 1..=1, Some(0);
    ShareFetch = 78, 1..=2, Some(0);
    ShareAcknowledge = 79, 1..=2, Some(0);
    AddRaftVoter = 80, 0..=1, Some(0);
    RemoveRaftVoter = 81, 0..=0, Some(0);
    UpdateRaftVoter = 82, 0..=0, Some(0);
    InitializeShareGroupState = 83, 0..=0, Some(0);
    ReadShareGroupState = 84, 0..=0, Some(0);
    WriteShareGroupState = 85, 0..=1, Some(0);
    DeleteShareGroupState = 86, 0..=0, Some(0);
    ReadShareGroupStateSummary = 87, 0..=1, Some(0);
    StreamsGroupHeartbeat = 88, 0..=0, Some(0);
    StreamsGroupDescribe = 89, 0..=0, Some(0);
    DescribeShareGroupOffsets = 90, 0..=1, Some(0);
    AlterShareGroupOffsets = 91, 0..=0, Some(0);
    DeleteShareGroupOffsets = 92, 0..=0, Some(0);
    => Quorum = 30000;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_reads_back_as_its_api() {
        for api in ApiKey::ALL {
            assert_eq!(ApiKey::try_from(api.key()), Ok(*api));
        }
        assert_eq!(ApiKey::try_from(30000), Ok(ApiKey::Quorum));
        assert!(!ApiKey::ALL.contains(&ApiKey::Quorum));
        for unknown in [-1, 4, 5, 6, 7, 93, 29999, 30001, i16::MIN, i16::MAX] {
            assert_eq!(ApiKey::try_from(unknown), Err(UnknownApiKey(unknown)));
        }
    }

    #[test]
    fn header_versions_follow_flexible_versions() {
        assert_eq!(ApiKey::Metadata.request_header_version(8), 1);
        assert_eq!(ApiKey::Metadata.response_header_version(8), 0);
        assert_eq!(ApiKey::Metadata.request_header_version(9), 2);
        assert_eq!(ApiKey::Metadata.response_header_version(9), 1);
        assert_eq!(ApiKey::SaslHandshake.request_header_version(1), 1);
        assert_eq!(ApiKey::OffsetDelete.response_header_version(0), 0);
        assert_eq!(ApiKey::ApiVersions.request_header_version(4), 2);
        assert_eq!(ApiKey::ApiVersions.request_header_version(99), 2);
        assert_eq!(ApiKey::ApiVersions.response_header_version(4), 0);
    }
}
