//! Controllers and brokers in processes of their own: three controllers decide, three brokers serve, and one of either goes.

use super::Fixture;
use super::cluster::{ask, create, held_ports, metadata_of};
use crate::io::held_port::HeldPort;
use crate::io::threads::wait;
use crate::model::ErrorCode;
use crate::protocol::message::create_partitions_request::CreatePartitionsTopic;
use crate::protocol::message::elect_leaders_request::TopicPartitions;
use crate::protocol::message::{
    AddRaftVoterRequest, ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    DescribeClusterRequest, DescribeQuorumRequest, ElectLeadersRequest, ListPartitionReassignmentsRequest, StrBytes,
    TopicName, UnregisterBrokerRequest, WireBrokerId,
};

struct Apart {
    controllers: Vec<Fixture>,
    brokers: Vec<Fixture>,
    _ports: Vec<HeldPort>,
}

impl Apart {
    fn start() -> Apart {
        let ports = held_ports(6);
        let voters: Vec<String> = (1..).zip(&ports[..3]).map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
        let voters = voters.join(",");
        let start = |index: usize| {
            let is_controller = index < 3;
            let id = (index + 1).to_string();
            let (role, listener) = if is_controller { ("controller", "CONTROLLER") } else { ("broker", "PLAINTEXT") };
            let listeners = format!("{listener}://127.0.0.1:{}", ports[index]);
            Fixture::start(&[
                ("node.id", id.as_str()),
                ("process.roles", role),
                ("listeners", listeners.as_str()),
                ("controller.quorum.voters", voters.as_str()),
                ("controller.listener.names", "CONTROLLER"),
            ])
        };
        let mut nodes: Vec<Fixture> = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..6).map(|index| scope.spawn(move || start(index))).collect();
            starting.into_iter().map(|thread| thread.join().expect("a server")).collect()
        });
        let brokers = nodes.split_off(3);
        Apart { controllers: nodes, brokers, _ports: ports }
    }

    fn active(&self) -> usize {
        let is_active = |node: &Fixture| node.running().broker().is_active_controller();
        self.controllers.iter().position(is_active).expect("somebody decides")
    }
}

fn created(node: &Fixture, request: &CreateTopicsRequest) -> ErrorCode {
    ErrorCode::from(ask(node.running().addresses()[0], 7, request).topics[0].error_code)
}

fn words() -> ApiVersionsRequest {
    let word = StrBytes::from_static_str("test");
    ApiVersionsRequest::default().with_client_software_name(word.clone()).with_client_software_version(word)
}

/// What Apache Kafka 4.3.1 answers, asked of the one of two controllers that is not active.
fn assert_idle(cluster: &Apart, idle: usize, active: usize) {
    let address = cluster.controllers[idle].running().addresses()[0];
    let words = format!("The active controller appears to be node {}.", active + 1);
    let refused = |code: i16, message: &Option<StrBytes>| {
        assert_eq!((ErrorCode::from(code), message.as_deref()), (ErrorCode::NotController, Some(words.as_str())));
    };
    let answer = ask(address, 7, &create("refused"));
    refused(answer.topics[0].error_code, &answer.topics[0].error_message);
    let name = || TopicName(StrBytes::from_static_str("before"));
    let topics = vec![CreatePartitionsTopic::default().with_name(name()).with_count(9)];
    let answer = ask(address, 3, &CreatePartitionsRequest::default().with_topics(topics));
    refused(answer.results[0].error_code, &answer.results[0].error_message);
    let answer = ask(address, 0, &UnregisterBrokerRequest::default().with_broker_id(WireBrokerId(9)));
    refused(answer.error_code, &answer.error_message);
    let topics = vec![TopicPartitions::default().with_topic(name()).with_partitions(vec![0])];
    for (version, code) in [(0, ErrorCode::None), (1, ErrorCode::NotController)] {
        let answer = ask(address, version, &ElectLeadersRequest::default().with_topic_partitions(Some(topics.clone())));
        assert_eq!(ErrorCode::from(answer.error_code), code);
        let partition = &answer.replica_election_results[0].partition_result[0];
        refused(partition.error_code, &partition.error_message);
    }
    // What there is not is known to every controller, and what is under way.
    for (topic, code) in [("nix", ErrorCode::UnknownTopicOrPartition), ("before", ErrorCode::NotController)] {
        let named = TopicName(StrBytes::from_static_str(topic));
        let answer = ask(address, 5, &DeleteTopicsRequest::default().with_topic_names(vec![named]));
        assert_eq!(ErrorCode::from(answer.responses[0].error_code), code, "{topic}");
    }
    let answer = ask(address, 0, &ListPartitionReassignmentsRequest::default().with_topics(None));
    assert_eq!((ErrorCode::from(answer.error_code), answer.topics.len()), (ErrorCode::None, 0));
    // The quorum's own requests are its leader's.
    let answer = ask(address, 1, &AddRaftVoterRequest::default().with_cluster_id(None).with_voter_id(9));
    let empty = Some(StrBytes::default());
    assert_eq!((ErrorCode::from(answer.error_code), &answer.error_message), (ErrorCode::NotLeaderOrFollower, &empty));
    let foreign = AddRaftVoterRequest::default().with_cluster_id(Some(StrBytes::from_static_str("other")));
    assert_eq!(ErrorCode::from(ask(address, 1, &foreign).error_code), ErrorCode::InconsistentClusterId);
}

#[test]
fn only_a_quorum_whose_voters_can_change_has_a_kraft_version() {
    let dynamic = Fixture::start(&[]);
    let port = HeldPort::reserve();
    let (listener, voters) = (format!("PLAINTEXT://127.0.0.1:{port}"), format!("1@127.0.0.1:{port}"));
    let fixed = Fixture::start(&[
        ("node.id", "1"),
        ("listeners", listener.as_str()),
        ("controller.quorum.voters", voters.as_str()),
    ]);
    // As Apache Kafka 4.3.1: level 0 is not named.
    for (node, expected) in [(&dynamic, Some((1, 1))), (&fixed, None)] {
        let offered = ask(node.running().addresses()[0], 4, &words());
        let finalised = offered.finalized_features.iter().find(|feature| *feature.name == *"kraft.version");
        let levels = finalised.map(|feature| (feature.min_version_level, feature.max_version_level));
        assert_eq!(levels, expected);
        let supported = offered.supported_features.iter().find(|feature| *feature.name == *"kraft.version");
        assert_eq!(supported.map(|feature| (feature.min_version, feature.max_version)), Some((0, 1)));
    }
}

#[test]
fn controllers_alone_decide_for_brokers_alone() {
    let mut cluster = Apart::start();
    assert_eq!(created(&cluster.brokers[0], &create("before")), ErrorCode::None);
    let metadata = metadata_of(cluster.brokers[1].running().addresses()[0], "before");
    let mut ids: Vec<i32> = metadata.brokers.iter().map(|broker| broker.node_id.0).collect();
    ids.sort_unstable();
    assert_eq!(ids, [4, 5, 6]);
    assert!(metadata.topics[0].partitions.iter().all(|partition| partition.replica_nodes.len() == 3));
    for controller in &cluster.controllers {
        let address = controller.running().addresses()[0];
        let offered = ask(address, 4, &words());
        let keys: Vec<i16> = offered.api_keys.iter().map(|version| version.api_key).collect();
        assert!(keys.contains(&19) && keys.contains(&63) && keys.contains(&82) && !keys.contains(&3), "{keys:?}");
        let request = DescribeClusterRequest::default().with_endpoint_type(2);
        let described = ask(address, 2, &request);
        let mut ids: Vec<i32> = described.brokers.iter().map(|broker| broker.broker_id.0).collect();
        ids.sort_unstable();
        assert_eq!((ids, described.endpoint_type), (vec![1, 2, 3], 2));
        let brokers = ask(address, 2, &DescribeClusterRequest::default().with_endpoint_type(1));
        assert_eq!(ErrorCode::from(brokers.error_code), ErrorCode::MismatchedEndpointType);
        assert_eq!(controller.running().broker().image().brokers().count(), 3);
    }
    // Who does not decide says so, and hands nothing on.
    let active = cluster.active();
    let idle = (active + 1) % 3;
    assert_idle(&cluster, idle, active);
    assert_eq!(created(&cluster.controllers[active], &create("direct")), ErrorCode::None);
    let described = ask(cluster.controllers[active].running().addresses()[0], 2, &DescribeQuorumRequest::default());
    assert_eq!(ErrorCode::from(described.error_code), ErrorCode::None);
    // The active one goes, and the brokers find the next one.
    drop(cluster.controllers.remove(active));
    assert_eq!(created(&cluster.brokers[2], &create("after")), ErrorCode::None);
    assert_eq!(cluster.controllers.iter().filter(|node| node.running().broker().is_active_controller()).count(), 1);
    // So does a broker: what it led is led by others.
    drop(cluster.brokers.remove(0));
    let address = cluster.brokers[0].running().addresses()[0];
    let has_moved = || {
        let metadata = metadata_of(address, "after");
        metadata.topics[0].partitions.iter().all(|partition| [5, 6].contains(&partition.leader_id.0))
    };
    while !has_moved() {
        wait(async { tokio::time::sleep(std::time::Duration::from_millis(20)).await });
    }
}
