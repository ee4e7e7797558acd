//! What a request asks for before it is carried out: an operation on a resource.
//!
//! An API cannot be written without saying it ([`Access`] is a required constant of its trait), so that an authorizer finds
//! the question already asked for every request, and a table of it can be shown.

use std::fmt;

/// What is to be done. Numbers and names are those of `org.apache.kafka.common.acl.AclOperation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i8)]
pub enum Operation {
    Unknown = 0,
    Any = 1,
    All = 2,
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    ClusterAction = 9,
    DescribeConfigs = 10,
    AlterConfigs = 11,
    IdempotentWrite = 12,
    CreateTokens = 13,
    DescribeTokens = 14,
    TwoPhaseCommit = 15,
}

impl Operation {
    /// The number on the wire.
    pub const fn code(self) -> i8 {
        self as i8
    }

    /// The bit in the `authorized_operations` sets of Metadata, DescribeCluster and DescribeGroups.
    pub const fn bit(self) -> i32 {
        1 << self.code()
    }
}

/// What it is done to. Numbers are those of `org.apache.kafka.common.resource.ResourceType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i8)]
pub enum ResourceType {
    Unknown = 0,
    Any = 1,
    Topic = 2,
    Group = 3,
    Cluster = 4,
    TransactionalId = 5,
    DelegationToken = 6,
    User = 7,
}

impl ResourceType {
    /// The operations that make sense on it, as the bits of an `authorized_operations` set
    /// (`AclEntry.supportedOperations`). Without an authorizer, this is what everyone may do.
    pub const fn every_operation(self) -> i32 {
        use Operation::{
            Alter, AlterConfigs, ClusterAction, Create, CreateTokens, Delete, Describe, DescribeConfigs,
            DescribeTokens, IdempotentWrite, Read, TwoPhaseCommit, Write,
        };
        match self {
            ResourceType::Topic => {
                Read.bit()
                    | Write.bit()
                    | Create.bit()
                    | Describe.bit()
                    | Delete.bit()
                    | Alter.bit()
                    | DescribeConfigs.bit()
                    | AlterConfigs.bit()
            }
            ResourceType::Group => {
                Read.bit() | Describe.bit() | Delete.bit() | DescribeConfigs.bit() | AlterConfigs.bit()
            }
            ResourceType::Cluster => {
                Create.bit()
                    | ClusterAction.bit()
                    | DescribeConfigs.bit()
                    | AlterConfigs.bit()
                    | IdempotentWrite.bit()
                    | Alter.bit()
                    | Describe.bit()
            }
            ResourceType::TransactionalId => Describe.bit() | Write.bit() | TwoPhaseCommit.bit(),
            ResourceType::DelegationToken => Describe.bit(),
            ResourceType::User => CreateTokens.bit() | DescribeTokens.bit(),
            ResourceType::Unknown | ResourceType::Any => 0,
        }
    }
}

/// What a request of type `R` asks for.
pub enum Access<R> {
    /// Nothing: anyone who can connect may ask (ApiVersions, login).
    Anyone,
    /// One operation on the cluster.
    Cluster(Operation),
    /// One operation on the one resource that the request names.
    On { operation: Operation, resource: ResourceType, name: fn(&R) -> &str },
    /// Several resources, allowed or refused one by one by the handler: Produce, Metadata, DeleteGroups.
    Each(&'static [(Operation, ResourceType)]),
}

/// [`Access`] without the request's type, for tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessSummary {
    Anyone,
    One(Operation, ResourceType),
    Each(&'static [(Operation, ResourceType)]),
}

impl<R> Access<R> {
    /// One operation on the resource that the request names.
    pub const fn on(operation: Operation, resource: ResourceType, name: fn(&R) -> &str) -> Access<R> {
        Access::On { operation, resource, name }
    }

    pub const fn summary(&self) -> AccessSummary {
        match self {
            Access::Anyone => AccessSummary::Anyone,
            Access::Cluster(operation) => AccessSummary::One(*operation, ResourceType::Cluster),
            Access::On { operation, resource, .. } => AccessSummary::One(*operation, *resource),
            Access::Each(questions) => AccessSummary::Each(questions),
        }
    }
}

/// Who asks. `Display` is Kafka's `User:name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    pub kind: &'static str,
    pub name: std::sync::Arc<str>,
}

impl Principal {
    /// Whoever has not logged in (`KafkaPrincipal.ANONYMOUS`).
    pub fn anonymous() -> Principal {
        Principal { kind: "User", name: "ANONYMOUS".into() }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_sets_are_what_kafka_answers_without_an_authorizer() {
        let sets = [
            (ResourceType::Topic, 3576),
            (ResourceType::Group, 3400),
            (ResourceType::Cluster, 8096),
            (ResourceType::TransactionalId, 33040),
            (ResourceType::DelegationToken, 256),
            (ResourceType::User, 24576),
        ];
        for (resource, operations) in sets {
            assert_eq!(resource.every_operation(), operations, "{resource:?}");
        }
    }

    #[test]
    fn access_states_what_is_asked() {
        let access: Access<String> = Access::on(Operation::Read, ResourceType::Group, |name| name);
        assert_eq!(access.summary(), AccessSummary::One(Operation::Read, ResourceType::Group));
    }
}
