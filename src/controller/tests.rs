//! Decisions as tables: what is asked, what is answered, what is recorded. The messages were asked of Apache Kafka 4.3.1.

mod dialogue;
mod properties;

use rstest::rstest;
use uuid::Uuid;

use super::*;
use crate::metadata::{Delta, Image, Partition};
use crate::model::{BrokerId, LeaderEpoch, TopicId};

const OPTIONS: Options = Options {
    default_partitions: 3,
    default_replication_factor: 1,
    delete_topic_enable: true,
    min_isr: 1,
    unclean_election: false,
    durability: Durability::Flushed,
    brokers_expected: 1,
    group_limits: GroupLimits::NONE,
    start_settings: StartSettings::NONE,
};

const CLUSTER: &str = "AAAAAAAAAAAAAAAAAAAAAQ";
const FEATURES: &[(&str, i16)] = &[("metadata.version", 30)];

fn replay(image: &mut Image, records: &[Record]) {
    let mut delta = Delta::default();
    records.iter().for_each(|record| image.apply(record, &mut delta));
}

fn registration(broker_id: i32) -> Registration {
    Registration {
        broker_id: BrokerId(broker_id),
        incarnation: Uuid::from_u128(1),
        endpoints: Vec::new(),
        rack: None,
        cluster_id: String::new(),
        features: Vec::new(),
        directories: Vec::new(),
        previous_broker_epoch: -1,
        is_controller: true,
    }
}

/// A cluster of one broker, number 1, with the topics `plain` (2 partitions) and `a.b`.
fn image() -> Image {
    let mut image = Image::default();
    let first = first_records(&image, &OPTIONS, CLUSTER, FEATURES);
    replay(&mut image, &first);
    let decided = register_broker(&image, &OPTIONS, registration(1), false).expect("a first broker");
    replay(&mut image, &decided.records);
    for (name, partitions, seed) in [("plain", 2, 1), ("a.b", 1, 2)] {
        let topic = CreateTopic { partitions, ..topic(name) };
        let decided = create_topics(&image, &OPTIONS, Uuid::from_u128(seed), &[topic], &mut Mutations::unlimited());
        replay(&mut image, &decided.records);
    }
    image
}

fn topic(name: &str) -> CreateTopic {
    CreateTopic { name: name.into(), partitions: 1, replication_factor: 1, ..CreateTopic::default() }
}

fn assigned(assignments: &[(i32, &[i32])]) -> CreateTopic {
    let brokers = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect();
    CreateTopic {
        partitions: -1,
        replication_factor: -1,
        assignments: assignments.iter().map(|(partition, ids)| (*partition, brokers(ids))).collect(),
        ..topic("m")
    }
}

fn with_config(name: &str, value: Option<&str>) -> CreateTopic {
    CreateTopic { configs: vec![(name.into(), value.map(Into::into))], ..topic("c") }
}

#[rstest]
#[case(topic("plain"), ErrorCode::TopicAlreadyExists, "Topic 'plain' already exists.")]
#[case(topic("a_b"), ErrorCode::InvalidTopicException, "Topic 'a_b' collides with existing topic: a.b")]
#[case(
    topic("a/b"),
    ErrorCode::InvalidTopicException,
    "Topic name is invalid: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
)]
#[case(topic(""), ErrorCode::InvalidTopicException, "Topic name is invalid: the empty string is not allowed")]
#[case(
    topic("__cluster_metadata"),
    ErrorCode::InvalidRequest,
    "Creation of internal topic __cluster_metadata is prohibited."
)]
#[case(CreateTopic { partitions: 0, ..topic("z") }, ErrorCode::InvalidPartitions, "Number of partitions was set to an invalid non-positive value.")]
#[case(CreateTopic { partitions: -2, ..topic("z") }, ErrorCode::InvalidPartitions, "Number of partitions was set to an invalid non-positive value.")]
#[case(CreateTopic { partitions: 1_000_000_000, ..topic("z") }, ErrorCode::PolicyViolation, "Excessively large number of partitions per request.")]
#[case(CreateTopic { partitions: 10_001, ..topic("z") }, ErrorCode::PolicyViolation, "Excessively large number of partitions per request.")]
#[case(CreateTopic { partitions: 10_000, ..topic("z") }, ErrorCode::PolicyViolation, "Unable to perform excessively large batch operation.")]
#[case(CreateTopic { replication_factor: 0, ..topic("z") }, ErrorCode::InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")]
#[case(CreateTopic { replication_factor: -2, ..topic("z") }, ErrorCode::InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")]
#[case(CreateTopic { replication_factor: 2, ..topic("z") }, ErrorCode::InvalidReplicationFactor, "Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned.")]
#[case(with_config("nope", Some("1")), ErrorCode::InvalidConfig, "Unknown topic config name: nope")]
#[case(
    with_config("retention.ms", Some("abc")),
    ErrorCode::InvalidConfig,
    "Invalid value abc for configuration retention.ms: Not a number of type LONG"
)]
#[case(
    with_config("retention.ms", None),
    ErrorCode::InvalidConfig,
    "Null value not supported for topic configs: retention.ms"
)]
#[case(assigned(&[(0, &[1]), (2, &[1])]), ErrorCode::InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")]
#[case(assigned(&[(1, &[1])]), ErrorCode::InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")]
#[case(assigned(&[(0, &[9])]), ErrorCode::InvalidReplicaAssignment, "The manual partition assignment includes broker 9, but no such broker is registered.")]
#[case(assigned(&[(0, &[1, 1])]), ErrorCode::InvalidReplicaAssignment, "The manual partition assignment includes the broker 1 more than once.")]
#[case(assigned(&[(0, &[])]), ErrorCode::InvalidReplicaAssignment, "The manual partition assignment includes an empty replica list.")]
#[case(assigned(&[(0, &[-1])]), ErrorCode::InvalidReplicaAssignment, "The manual partition assignment includes broker -1, but no such broker is registered.")]
#[case(assigned(&[(0, &[1]), (0, &[1])]), ErrorCode::InvalidReplicaAssignment, "Found multiple manual partition assignments for partition 0")]
#[case(CreateTopic { partitions: 1, ..assigned(&[(0, &[1])]) }, ErrorCode::InvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")]
#[case(CreateTopic { replication_factor: 1, ..assigned(&[(0, &[1])]) }, ErrorCode::InvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")]
fn a_bad_topic_is_refused_in_kafkas_words(#[case] topic: CreateTopic, #[case] code: ErrorCode, #[case] message: &str) {
    let decided = create_topics(
        &image(),
        &OPTIONS,
        Uuid::from_u128(9),
        std::slice::from_ref(&topic),
        &mut Mutations::unlimited(),
    );
    assert_eq!(decided, Decision { records: vec![], answer: vec![(topic.name, Err(Refusal::new(code, message)))] });
}

#[test]
fn a_topic_of_9999_partitions_is_the_largest() {
    let topic = CreateTopic { partitions: 9_999, ..topic("z") };
    let decided = create_topics(&image(), &OPTIONS, Uuid::from_u128(9), &[topic], &mut Mutations::unlimited());
    assert_eq!(decided.answer[0].1.as_ref().map(|created| created.partitions), Ok(9_999));
    assert_eq!(decided.records.len(), 1);
}

#[test]
fn defaults_fill_what_a_request_leaves_open() {
    let topic = CreateTopic { partitions: -1, replication_factor: -1, ..topic("d") };
    let decided = create_topics(&image(), &OPTIONS, Uuid::from_u128(9), &[topic], &mut Mutations::unlimited());
    let replicas = [BrokerId(1)].into_iter().collect();
    let expected = Partition {
        leader: BrokerId(1),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
        isr: [BrokerId(1)].into_iter().collect(),
        ..Partition::created(replicas)
    };
    let id = TopicId(Uuid::from_u128(9));
    let records = vec![Record::TopicCreated { name: "d".into(), id, partitions: vec![expected; 3] }];
    let created = CreatedTopic { id, partitions: 3, replication_factor: 1, configs: Default::default() };
    assert_eq!(decided, Decision { records, answer: vec![("d".into(), Ok(created))] });
}

#[test]
fn the_brokers_own_topics_take_what_there_is() {
    let topic = CreateTopic { replication_factor: 3, take_what_there_is: true, ..topic("__consumer_offsets") };
    let decided = create_topics(&image(), &OPTIONS, Uuid::from_u128(9), &[topic], &mut Mutations::unlimited());
    assert_eq!(decided.answer[0].1.as_ref().map(|created| created.replication_factor), Ok(1));
}

#[test]
fn a_name_given_twice_is_refused_once_and_others_are_created_with_ids_of_their_own() {
    let topics = [topic("x"), topic("y"), topic("x"), topic("z")];
    let decided = create_topics(&image(), &OPTIONS, Uuid::from_u128(9), &topics, &mut Mutations::unlimited());
    let ids: Vec<_> =
        decided.answer.iter().map(|(name, created)| (&**name, created.as_ref().ok().map(|it| it.id))).collect();
    let id = |number| Some(TopicId(Uuid::from_u128(number)));
    assert_eq!(ids, [("y", id(10)), ("z", id(12)), ("x", None)]);
}

fn named(name: &str) -> TopicSelector {
    TopicSelector { name: Some(name.into()), id: TopicId::ZERO }
}

fn by_id(number: u128) -> TopicSelector {
    TopicSelector { name: None, id: TopicId(Uuid::from_u128(number)) }
}

#[rstest]
#[case(vec![named("plain")], vec!["NONE "], 1)]
#[case(vec![by_id(2)], vec!["NONE "], 1)]
#[case(vec![named("nix")], vec!["UNKNOWN_TOPIC_OR_PARTITION This server does not host this topic-partition."], 0)]
#[case(vec![by_id(7)], vec!["UNKNOWN_TOPIC_ID This server does not host this topic ID."], 0)]
#[case(vec![TopicSelector::default()], vec!["INVALID_REQUEST Neither topic name nor id were specified."], 0)]
#[case(vec![TopicSelector { id: TopicId(Uuid::from_u128(1)), ..named("plain") }], vec!["INVALID_REQUEST You may not specify both topic name and topic id."], 0)]
#[case(vec![named("plain"), named("a.b"), named("plain")], vec!["INVALID_REQUEST Duplicate topic name.", "NONE "], 1)]
#[case(vec![by_id(1), by_id(1)], vec!["INVALID_REQUEST Duplicate topic id."], 0)]
#[case(vec![by_id(1), named("plain")], vec!["NONE ", "INVALID_REQUEST The provided topic name maps to an ID that was already supplied."], 1)]
fn topics_are_deleted_by_name_or_id(
    #[case] topics: Vec<TopicSelector>,
    #[case] answers: Vec<&str>,
    #[case] deleted: usize,
) {
    let decided = delete_topics(&image(), &OPTIONS, &topics, &mut Mutations::unlimited());
    let line = |topic: &DeletedTopic| match &topic.result {
        Ok(()) => "NONE ".to_owned(),
        Err(refusal) => format!("{} {}", refusal.code, refusal.message.as_deref().unwrap_or("")),
    };
    assert_eq!(decided.answer.iter().map(line).collect::<Vec<_>>(), answers);
    assert_eq!(decided.records.len(), deleted);
}

#[test]
fn nothing_is_deleted_where_deletion_is_off() {
    let options = Options { delete_topic_enable: false, ..OPTIONS };
    let decided = delete_topics(&image(), &options, &[named("plain")], &mut Mutations::unlimited());
    assert_eq!(decided.records, []);
    assert_eq!(decided.answer[0].result, Err(Refusal { code: ErrorCode::TopicDeletionDisabled, message: None }));
}

fn change(resource_type: ResourceType, name: &str, key: &str, op: ConfigOp) -> AlterConfigs<ConfigOp> {
    AlterConfigs { resource: ResourceName { resource_type, name: name.into() }, changes: vec![(key.into(), op)] }
}

fn set(value: &str) -> ConfigOp {
    ConfigOp::Set(Some(value.into()))
}

fn append(value: &str) -> ConfigOp {
    ConfigOp::Append(Some(value.into()))
}

use ResourceType::{Broker, ClientMetrics, Group, Topic};

#[rstest]
#[case(Topic, "a.b", "nope", set("5"), ErrorCode::InvalidConfig, "Unknown topic config name: nope")]
#[case(
    Topic,
    "a.b",
    "retention.ms",
    set("x"),
    ErrorCode::InvalidConfig,
    "Invalid value x for configuration retention.ms: Not a number of type LONG"
)]
#[case(
    Topic,
    "a.b",
    "retention.ms",
    append("x"),
    ErrorCode::InvalidConfig,
    "Can't APPEND to key retention.ms because its type is not LIST."
)]
#[case(
    Topic,
    "a.b",
    "cleanup.policy",
    append("foo"),
    ErrorCode::InvalidConfig,
    "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete"
)]
#[case(
    Topic,
    "a.b",
    "retention.ms",
    ConfigOp::Set(None),
    ErrorCode::InvalidRequest,
    "Null value not supported for : retention.ms"
)]
#[case(Topic, "nix", "retention.ms", set("5"), ErrorCode::UnknownTopicOrPartition, "The topic 'nix' does not exist.")]
#[case(
    Topic,
    "a/b",
    "retention.ms",
    set("5"),
    ErrorCode::InvalidTopicException,
    "Topic name is invalid: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
)]
#[case(Topic, "", "retention.ms", set("5"), ErrorCode::InvalidRequest, "Default topic resources are not allowed.")]
#[case(
    Broker,
    "1",
    "broker.id",
    set("2"),
    ErrorCode::InvalidRequest,
    "Cannot update these configs dynamically: [broker.id]"
)]
#[case(
    Broker,
    "",
    "listeners",
    set("PLAINTEXT://:1"),
    ErrorCode::InvalidRequest,
    "Cannot update these configs at default cluster level, broker id must be specified: [listeners]"
)]
#[case(
    Group,
    "",
    "consumer.session.timeout.ms",
    set("5"),
    ErrorCode::InvalidRequest,
    "Default group resources are not allowed."
)]
fn a_bad_change_of_settings_is_refused_in_kafkas_words(
    #[case] resource_type: ResourceType,
    #[case] name: &str,
    #[case] key: &str,
    #[case] op: ConfigOp,
    #[case] code: ErrorCode,
    #[case] message: &str,
) {
    let decided = incremental_alter_configs(
        &image(),
        &OPTIONS,
        &Asked::Broker(BrokerId(1)),
        &[change(resource_type, name, key, op)],
    );
    assert_eq!(decided, Decision { records: vec![], answer: vec![Err(Refusal::new(code, message))] });
}

/// What is asked of the controllers themselves, as Apache Kafka 4.3.1 answers; broker 1 is registered, 3 is a controller.
#[rstest]
#[case(Topic, "a.b", "retention.ms", ConfigOp::Set(None), Ok(()))]
#[case(Broker, "1", "log.flush.interval.ms", set("5"), Ok(()))]
#[case(Broker, "3", "log.flush.interval.ms", set("5"), Ok(()))]
#[case(Broker, "9", "log.flush.interval.ms", set("5"), Err((ErrorCode::BrokerIdNotRegistered, "No node with id 9 found.")))]
#[case(Broker, "-1", "log.flush.interval.ms", set("5"), Err((ErrorCode::InvalidRequest, "Invalid negative broker ID.")))]
#[case(
    Broker,
    "x",
    "log.flush.interval.ms",
    set("5"),
    Err((ErrorCode::InvalidRequest, "Unable to parse broker name as a base 10 number."))
)]
#[case(Broker, "1", "cordoned.log.dirs", set(" "), Ok(()))]
#[case(
    Broker,
    "1",
    "cordoned.log.dirs",
    set("/a"),
    Err((
        ErrorCode::InvalidConfig,
        "When updating cordoned.log.dirs via controllers,  the new value must be a subset of the current configuration value."
    ))
)]
fn controllers_change_every_node_that_they_know(
    #[case] resource_type: ResourceType,
    #[case] name: &str,
    #[case] key: &str,
    #[case] op: ConfigOp,
    #[case] answer: Result<(), (ErrorCode, &str)>,
) {
    let asked = Asked::Controllers(vec![BrokerId(3)]);
    let decided = incremental_alter_configs(&image(), &OPTIONS, &asked, &[change(resource_type, name, key, op)]);
    assert_eq!(decided.answer, [answer.map_err(|(code, message)| Refusal::new(code, message))]);
}

#[rstest]
#[case(BATCH_PARTITIONS_MAX, Ok(()))]
#[case(BATCH_PARTITIONS_MAX + 1, Err(()))]
fn no_more_is_changed_than_is_written_at_once(#[case] count: usize, #[case] answer: Result<(), ()>) {
    let refused = answer
        .map_err(|()| Refusal::new(ErrorCode::PolicyViolation, "Unable to perform excessively large batch operation."));
    let changes = (0..count).map(|number| (format!("nonsense.{number}"), set("x"))).collect();
    let resource = ResourceName { resource_type: Broker, name: "1".into() };
    let asked = Asked::Broker(BrokerId(1));
    let decided = incremental_alter_configs(&image(), &OPTIONS, &asked, &[AlterConfigs { resource, changes }]);
    assert_eq!(decided.answer, [refused]);
    assert_eq!(decided.records.len(), if answer.is_ok() { count } else { 0 });

    let entry = |number: usize| AlterQuotas {
        entity: vec![("user".to_owned(), Some(number.to_string()))],
        ops: vec![("producer_byte_rate".to_owned(), Some(1.0))],
    };
    let entries: Vec<AlterQuotas> = (0..count).map(entry).collect();
    let decided = alter_client_quotas(&image(), &entries).map(|decided| decided.records.len());
    assert_eq!(
        decided.map_err(|refusal| refusal.code),
        answer.map(|()| count).map_err(|()| ErrorCode::PolicyViolation)
    );
}

#[test]
fn a_resource_named_twice_is_refused_both_times() {
    let changes = [
        change(Topic, "a.b", "retention.ms", set("5")),
        change(ClientMetrics, "m", "interval.ms", set("500")),
        change(Topic, "a.b", "retention.bytes", set("5")),
    ];
    let decided = incremental_alter_configs(&image(), &OPTIONS, &Asked::Broker(BrokerId(1)), &changes);
    let twice = Err(Refusal::new(ErrorCode::InvalidRequest, "Each resource must appear at most once."));
    assert_eq!(decided.answer, [twice.clone(), Ok(()), twice]);
    assert_eq!(decided.records.len(), 1);
}

/// One change after the other on topic `a.b`; after each, the value of `cleanup.policy`, and how many records it took.
#[rstest]
#[case(vec![append("compact")], Some("delete,compact"), 1)]
#[case(vec![append("compact"), append("compact")], Some("delete,compact"), 0)]
#[case(vec![append("compact"), ConfigOp::Subtract(Some("compact".into()))], Some("delete"), 1)]
#[case(vec![set("compact")], Some("compact"), 1)]
#[case(vec![set("compact"), ConfigOp::Delete], None, 1)]
#[case(vec![ConfigOp::Delete], None, 0)]
fn lists_grow_shrink_and_go(#[case] ops: Vec<ConfigOp>, #[case] value: Option<&str>, #[case] last_records: usize) {
    let mut image = image();
    let mut records = 0;
    for op in ops {
        let decided = incremental_alter_configs(
            &image,
            &OPTIONS,
            &Asked::Broker(BrokerId(1)),
            &[change(Topic, "a.b", "cleanup.policy", op)],
        );
        assert_eq!(decided.answer, [Ok(())]);
        records = decided.records.len();
        replay(&mut image, &decided.records);
    }
    let configs = image.configs(&crate::metadata::ConfigResource::Topic("a.b".into()));
    assert_eq!(configs.get("cleanup.policy").map(String::as_str), value);
    assert_eq!(records, last_records);
}

#[test]
fn replacing_settings_takes_back_what_is_not_named() {
    let mut image = image();
    let resource = || ResourceName { resource_type: Topic, name: "a.b".into() };
    for changes in [vec![("retention.ms".into(), Some("5".into()))], vec![("retention.bytes".into(), Some("6".into()))]]
    {
        let decided = alter_configs(
            &image,
            &OPTIONS,
            &Asked::Broker(BrokerId(1)),
            &[AlterConfigs { resource: resource(), changes }],
        );
        assert_eq!(decided.answer, [Ok(())]);
        replay(&mut image, &decided.records);
    }
    let configs = image.configs(&crate::metadata::ConfigResource::Topic("a.b".into()));
    assert_eq!(configs.iter().collect::<Vec<_>>(), [(&"retention.bytes".to_owned(), &"6".to_owned())]);
}

#[test]
fn producer_ids_come_in_blocks_that_nobody_else_gets() {
    let mut image = image();
    for expected in [0, 1000, 2000] {
        let decided = allocate_producer_ids(&image, BrokerId(1)).expect("there are ids");
        assert_eq!(decided.answer, (crate::model::ProducerId(expected), 1000));
        replay(&mut image, &decided.records);
    }
}

#[test]
fn a_second_start_keeps_the_cluster_and_raises_broker_and_leader_epochs() {
    let mut image = image();
    assert_eq!(first_records(&image, &OPTIONS, "other", FEATURES), []);
    let again = Registration { incarnation: Uuid::from_u128(2), ..registration(1) };
    let decided = register_broker(&image, &OPTIONS, again, false).expect("the same broker");
    assert_eq!((decided.answer, decided.records.len()), (2, 1));
    replay(&mut image, &decided.records);
    assert_eq!(&**image.cluster_id(), "AAAAAAAAAAAAAAAAAAAAAQ");
    let epochs: Vec<i32> =
        image.topic("plain").expect("created").partitions.iter().map(|it| it.leader_epoch.0).collect();
    assert_eq!(epochs, [1, 1]);
}

/// Every file of `testdata` is a dialogue; `UPDATE_EXPECT=1` writes down what the controller says today.
#[test]
fn dialogues_go_as_written() {
    crate::tests::check_dialogues("src/controller/testdata", 15, dialogue::run);
}
