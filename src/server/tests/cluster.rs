//! Three servers of one cluster in one process: static voters, real sockets, requests through whichever node is asked.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::{API_VERSIONS_V0, Fixture, LIMIT, Server, answer, frame};
use crate::broker::controller_channel::encode_principal;
use crate::config::{self, Inputs, Roles};
use crate::io::held_port::HeldPort;
use crate::io::threads::wait;
use crate::metadata::Image;
use crate::model::{BrokerId, ErrorCode, LeaderEpoch, PartitionIndex};
use crate::peer::{Address, Link, LinkError, LinkOptions};
use crate::protocol::api_key::ApiKey;
use crate::protocol::header::RequestHeader;
use crate::protocol::message::create_topics_request::CreatableTopic;
use crate::protocol::message::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use crate::protocol::message::metadata_request::MetadataRequestTopic;
use crate::protocol::message::produce_request::{PartitionProduceData, TopicProduceData};
use crate::protocol::message::{
    CreateTopicsRequest, DescribeClusterRequest, EnvelopeRequest, IncrementalAlterConfigsRequest,
    InitProducerIdRequest, MetadataRequest, MetadataResponse, ProduceRequest, RequestMessage, StrBytes, TopicName,
};
use crate::protocol::records::RecordBatchBuilder;
use crate::security::Principal;

struct Cluster {
    nodes: Vec<Fixture>,
    _ports: Vec<HeldPort>,
}

pub(super) fn held_ports(count: usize) -> Vec<HeldPort> {
    (0..count).map(|_| HeldPort::reserve()).collect()
}

/// Starts one of so many voters: half of the ports are for their controllers, and half for clients.
fn start_voter(index: usize, ports: &[HeldPort]) -> Fixture {
    let (controllers, clients) = ports.split_at(ports.len() / 2);
    let voters: Vec<String> = (1..).zip(controllers).map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
    let listeners = format!("PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{}", clients[index], controllers[index]);
    Fixture::start(&[
        ("node.id", (index + 1).to_string().as_str()),
        ("listeners", listeners.as_str()),
        ("controller.quorum.voters", voters.join(",").as_str()),
        ("controller.listener.names", "CONTROLLER"),
    ])
}

impl Cluster {
    fn start() -> Cluster {
        let ports = held_ports(6);
        let start = |index: usize| start_voter(index, &ports);
        // None is ready before a majority is there.
        let nodes = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..3).map(|index| scope.spawn(move || start(index))).collect();
            starting.into_iter().map(|thread| thread.join().expect("a server")).collect()
        });
        Cluster { nodes, _ports: ports }
    }

    fn client_address(&self, node: usize) -> SocketAddr {
        self.nodes[node].running().addresses()[0]
    }

    fn controller_address(&self, node: usize) -> SocketAddr {
        self.nodes[node].running().addresses()[1]
    }

    /// The index of the node that decides.
    fn active(&self) -> usize {
        let is_active = |node: &Fixture| node.running().broker().is_active_controller();
        self.nodes.iter().position(is_active).expect("somebody decides")
    }
}

fn try_ask<R: RequestMessage>(address: SocketAddr, version: i16, request: &R) -> Result<R::Response, LinkError> {
    let address = Address { host: address.ip().to_string(), port: address.port() };
    wait(async { Link::new(LinkOptions::new(address, "test")).call(request, version, LIMIT).await })
}

pub(super) fn ask<R: RequestMessage>(address: SocketAddr, version: i16, request: &R) -> R::Response {
    try_ask(address, version, request).expect("an answer")
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

pub(super) fn create(name: &str) -> CreateTopicsRequest {
    let topic = CreatableTopic::default().with_name(topic_name(name)).with_num_partitions(3).with_replication_factor(3);
    CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000)
}

/// Changes a setting of one broker.
fn alter(address: SocketAddr, broker: &str) -> ErrorCode {
    let config = AlterableConfig::default()
        .with_name(StrBytes::from_static_str("log.retention.ms"))
        .with_value(Some(StrBytes::from_static_str("77")));
    let resource = AlterConfigsResource::default()
        .with_resource_type(4)
        .with_resource_name(StrBytes::from_string(broker.to_owned()))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    ErrorCode::from(ask(address, 1, &request).responses[0].error_code)
}

pub(super) fn metadata_of(address: SocketAddr, name: &str) -> MetadataResponse {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    let request = MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true);
    ask(address, 12, &request)
}

fn leaders(metadata: &MetadataResponse) -> Vec<i32> {
    metadata.topics[0].partitions.iter().map(|partition| partition.leader_id.0).collect()
}

fn produce(name: &str) -> ProduceRequest {
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), 1_700_000_000_000);
    builder.append(1_700_000_000_000, None, Some(b"v"));
    let records = Some(Bytes::from(builder.build().to_vec()));
    let partition = PartitionProduceData::default().with_index(0).with_records(records);
    let topic = TopicProduceData::default().with_name(topic_name(name)).with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic])
}

#[test]
fn three_nodes_are_one_cluster_whichever_is_asked() {
    let cluster = Cluster::start();
    let active = cluster.active();
    for node in 0..3 {
        let name = format!("t{node}");
        let created = ask(cluster.client_address(node), 7, &create(&name));
        assert_eq!(ErrorCode::from(created.topics[0].error_code), ErrorCode::None, "through node {node}");
        // Whoever was asked knows the topic when it has answered.
        let metadata = metadata_of(cluster.client_address(node), &name);
        let mut led = leaders(&metadata);
        led.sort_unstable();
        assert_eq!((metadata.brokers.len(), led), (3, vec![1, 2, 3]), "through node {node}");
        let again = ask(cluster.client_address(node), 7, &create(&name));
        assert_eq!(ErrorCode::from(again.topics[0].error_code), ErrorCode::TopicAlreadyExists);
    }
    for node in 0..3 {
        let name = format!("made by asking {node}").replace(' ', "-");
        let metadata = metadata_of(cluster.client_address(node), &name);
        assert_eq!(ErrorCode::from(metadata.topics[0].error_code), ErrorCode::None, "through node {node}");
    }
    for node in 0..3 {
        let own = (node + 1).to_string();
        assert_eq!(alter(cluster.client_address(node), &own), ErrorCode::None, "a broker changes its own settings");
        let other = ((node + 1) % 3 + 1).to_string();
        assert_eq!(alter(cluster.client_address(node), &other), ErrorCode::InvalidRequest);
    }
    let init = InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(1);
    let mut ids: Vec<i64> = (0..3).map(|node| ask(cluster.client_address(node), 4, &init).producer_id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3, "no two nodes give the same producer id");
    let metadata = metadata_of(cluster.client_address(0), "t0");
    let leader = usize::try_from(leaders(&metadata)[0] - 1).expect("a leader");
    let produced = ask(cluster.client_address(leader), 9, &produce("t0"));
    assert_eq!(ErrorCode::from(produced.responses[0].partition_responses[0].error_code), ErrorCode::None);
    for node in &cluster.nodes {
        let replica = node.running().broker().replicas().get("t0", PartitionIndex(0)).expect("a replica");
        assert_eq!(replica.published().log_end.0, 1, "an acknowledged record is on every node");
    }
    assert_controllers(&cluster, active);
}

#[test]
fn a_client_that_comes_before_there_is_a_cluster_waits_for_it() {
    let ports = held_ports(4);
    let node = |index| start_voter(index, &ports);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| node(0));
        let start = Instant::now();
        let mut early = loop {
            match TcpStream::connect(("127.0.0.1", ports[2].number())) {
                Ok(stream) => break stream,
                Err(error) => assert!(start.elapsed() < LIMIT, "{error}"),
            }
            std::thread::yield_now();
        };
        early.set_read_timeout(Some(LIMIT)).expect("a socket");
        early.write_all(&frame(&API_VERSIONS_V0)).expect("a request");
        let second = scope.spawn(|| node(1));
        assert_eq!(&answer(&mut early).expect("an answer")[..6], &[0, 0, 0, 7, 0, 0]);
        // They stop at once: the one that stops last has no majority to tell.
        let nodes = [first, second].map(|node| node.join().expect("a server"));
        std::thread::scope(|scope| nodes.into_iter().for_each(|node| drop(scope.spawn(|| drop(node)))));
    });
}

/// What a listener of controllers answers, and to whom.
fn assert_controllers(cluster: &Cluster, active: usize) {
    let other = (active + 1) % 3;
    let refused = ask(cluster.controller_address(other), 7, &create("t"));
    assert_eq!(ErrorCode::from(refused.topics[0].error_code), ErrorCode::NotController);
    let created = ask(cluster.controller_address(active), 7, &create("t"));
    assert_eq!(ErrorCode::from(created.topics[0].error_code), ErrorCode::None);
    let lost = try_ask(cluster.controller_address(active), 12, &MetadataRequest::default());
    assert!(matches!(lost, Err(LinkError::Lost { .. })), "clients' requests are not for controllers: {lost:?}");
    assert_envelopes(cluster.controller_address(active), cluster.controller_address(other));
    let controllers = DescribeClusterRequest::default().with_endpoint_type(2);
    let described = ask(cluster.controller_address(other), 2, &controllers);
    let ids: Vec<i32> = described.brokers.iter().map(|voter| voter.broker_id.0).collect();
    let active = i32::try_from(active + 1).expect("a node");
    assert_eq!((described.controller_id.0, ids), (active, vec![1, 2, 3]));
    let mismatched = ask(cluster.client_address(other), 2, &controllers);
    assert_eq!(ErrorCode::from(mismatched.error_code), ErrorCode::MismatchedEndpointType);
    let listener = cluster.nodes[other].running().broker().settings().controller_listener();
    assert_eq!(cluster.nodes[other].running().broker().settings().roles_of(&listener), Roles::CONTROLLER);
}

/// What is refused of an Envelope, and by whom.
fn assert_envelopes(active: SocketAddr, other: SocketAddr) {
    let inside = |api_key: ApiKey, api_version| {
        let mut bytes = BytesMut::new();
        RequestHeader { api_key, api_version, correlation_id: 5, client_id: None }.write(&mut bytes);
        // ListPartitionReassignments v0: a timeout, null topics, no tags.
        bytes.extend_from_slice(&[0, 0, 0, 1, 0, 0]);
        bytes.freeze()
    };
    let envelope = EnvelopeRequest::default()
        .with_request_data(inside(ApiKey::ListPartitionReassignments, 0))
        .with_request_principal(Some(encode_principal(&Principal::anonymous())))
        .with_client_host_address(Bytes::from_static(&[10, 0, 0, 7]));
    let code = |address, envelope: &EnvelopeRequest| ErrorCode::from(ask(address, 0, envelope).error_code);
    assert_eq!(code(active, &envelope), ErrorCode::None);
    let answered = ask(active, 0, &envelope).response_data.expect("an answer");
    assert_eq!(answered[..4], [0, 0, 0, 5], "the client's own number comes back");
    assert_eq!(code(other, &envelope), ErrorCode::NotController);
    let nobodys = envelope.clone().with_request_principal(Some(Bytes::from_static(b"x")));
    assert_eq!(code(active, &nobodys), ErrorCode::PrincipalDeserializationFailure);
    let from_nowhere = envelope.clone().with_client_host_address(Bytes::from_static(&[1, 2, 3]));
    assert_eq!(code(active, &from_nowhere), ErrorCode::InvalidRequest);
    for key in [ApiKey::Metadata, ApiKey::Envelope, ApiKey::BrokerHeartbeat, ApiKey::Quorum] {
        let other_api = envelope.clone().with_request_data(inside(key, 0));
        assert_eq!(code(active, &other_api), ErrorCode::InvalidRequest, "{key} is not handed on");
    }
    let broken = envelope.clone().with_request_data(Bytes::from_static(&[0]));
    assert_eq!(code(active, &broken), ErrorCode::InvalidRequest);
}

#[test]
fn a_node_with_metadata_of_its_own_does_not_pretend_to_join_another_cluster() {
    let there = Fixture::start(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a name in UTF-8");
    let own = [("node.id", "2"), ("log.dirs", data)];
    drop(Fixture::start(&own));
    let server = there.running().addresses()[0].to_string();
    let joining = [("listeners", "PLAINTEXT://127.0.0.1:0"), ("controller.quorum.bootstrap.servers", server.as_str())];
    let flags = [&own[..], &joining].concat().into_iter();
    let flags = flags.map(|(key, value)| ("--set".to_owned(), key.to_owned(), value.to_owned())).collect();
    let settings = config::load(&Inputs { flags, ..Inputs::default() }).expect("settings that hold").settings;
    let error = wait(Server::start(settings)).err().expect("it is refused").to_string();
    assert!(error.contains(&format!("and {server} belongs to cluster")), "{error}");
    // Left as it was: alone it goes on.
    drop(Fixture::start(&own));
}

#[test]
fn a_node_whose_foreign_cluster_comes_later_stays_apart_from_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a name in UTF-8");
    let own = [("node.id", "2"), ("log.dirs", data)];
    drop(Fixture::start(&own));
    let port = HeldPort::reserve();
    let server = format!("127.0.0.1:{port}");
    let join = ("controller.quorum.bootstrap.servers", server.as_str());
    // Nobody is there to ask: it goes on with what is its own.
    let here = Fixture::start(&[own[0], own[1], join]);
    let listener = format!("PLAINTEXT://{server}");
    let there = Fixture::start(&[("node.id", "3"), ("listeners", listener.as_str())]);
    let alone = |name| {
        let mut request = create(name);
        request.topics[0].replication_factor = 1;
        request
    };
    let id_of = |node: &Fixture| node.running().broker().image().cluster_id().to_string();
    assert_ne!(id_of(&here), id_of(&there));
    for (node, id, name, other) in [(&here, 2, "here", "there"), (&there, 3, "there", "here")] {
        let address = node.running().addresses()[0];
        assert_eq!(ErrorCode::from(ask(address, 7, &alone(name)).topics[0].error_code), ErrorCode::None);
        let image = node.running().broker().image();
        assert!(image.topic(name).is_some() && image.topic(other).is_none());
        assert_eq!(image.brokers().map(|broker| broker.id).collect::<Vec<_>>(), [BrokerId(id)]);
        let description = node.running().broker().quorum().describe().expect("it leads");
        let members = description.voters.iter().chain(&description.observers);
        assert_eq!(members.map(|state| state.replica.node_id).collect::<Vec<_>>(), [BrokerId(id)]);
    }
    // The next start finds it there, and says so.
    drop(here);
    let flags = [own[0], own[1], ("listeners", "PLAINTEXT://127.0.0.1:0"), join].into_iter();
    let flags = flags.map(|(key, value)| ("--set".to_owned(), key.to_owned(), value.to_owned())).collect();
    let settings = config::load(&Inputs { flags, ..Inputs::default() }).expect("settings that hold").settings;
    let error = wait(Server::start(settings)).err().expect("it is refused").to_string();
    assert!(error.contains(&format!("and {server} belongs to cluster")), "{error}");
}

#[test]
fn a_node_that_stops_in_order_has_handed_over_what_it_led() {
    let mut cluster = Cluster::start();
    let active = cluster.active();
    ask(cluster.client_address(active), 7, &create("t"));
    // The one that decides is the one that goes: its successor has to be found too.
    let stopped = cluster.nodes.remove(active);
    let id = BrokerId(i32::try_from(active + 1).expect("a node"));
    let watching = cluster.nodes[0].running().broker();
    let mut images = watching.quorum().images();
    drop(stopped);
    let has_handed_over = |image: &Arc<Image>| {
        let partitions = &image.topic("t").expect("the topic").partitions;
        image.broker(id).is_some_and(|broker| broker.fenced || broker.in_controlled_shutdown)
            && partitions.iter().all(|partition| partition.leader != id && partition.leader.0 > 0)
    };
    let seen = wait(async { tokio::time::timeout(LIMIT, images.wait_for(has_handed_over)).await.is_ok() });
    assert!(seen, "its leaderships are moved away");
    let metadata = metadata_of(cluster.client_address(0), "t");
    assert!(!leaders(&metadata).contains(&id.0));
}
