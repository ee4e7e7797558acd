//! What operators do while all goes on: partitions get other replicas and other leaders, voters are removed.

use std::sync::Arc;
use std::time::Duration;

use super::client::{Client, Failed};
use super::load::{Load, PARTITIONS};
use crate::io::simulated::{self, Host};
use crate::protocol::message::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use crate::protocol::message::describe_quorum_request::{PartitionData, TopicData};
use crate::protocol::message::elect_leaders_request::TopicPartitions;
use crate::protocol::message::{
    AlterPartitionReassignmentsRequest, DescribeQuorumRequest, ElectLeadersRequest, RemoveRaftVoterRequest, StrBytes,
    TopicName, WireBrokerId,
};

/// Replicas of a partition, where there are so many nodes.
const REPLICAS_MAX: usize = 3;
/// Leaders that follow each other quickly, at most: a follower may hear of the last one only.
const HASTE_MAX: u64 = 5;
const HASTE_PAUSE_MAX_MS: u64 = 120;

fn random_below(bound: usize) -> usize {
    usize::try_from(simulated::next_random() % bound as u64).expect("below a usize")
}

async fn sleep_ms(from: u64, below: u64) {
    tokio::time::sleep(Duration::from_millis(from + simulated::next_random() % (below - from))).await;
}

/// Moves partitions: now and then one gets other replicas, or the same in another order and their first as its leader.
pub async fn move_partitions(load: Arc<Load>, host: Arc<Host>) -> turmoil::Result {
    host.enter();
    let client = Client::new(load.node_count);
    let (topic, _) = PARTITIONS[0];
    let mut nodes: Vec<i32> = (1..=load.node_count).collect();
    while !load.is_calm() {
        sleep_ms(500, 3_000).await;
        let index = PARTITIONS[random_below(PARTITIONS.len())].1;
        for place in (1..nodes.len()).rev() {
            nodes.swap(place, random_below(place + 1));
        }
        let mut replicas = nodes[..REPLICAS_MAX.min(nodes.len())].to_vec();
        let changes =
            if simulated::next_random().is_multiple_of(2) { 1 } else { 2 + simulated::next_random() % HASTE_MAX };
        for _ in 0..changes {
            // Whether it is taken up or not: what is promised to clients stays the same.
            let _ = reassign(&client, topic, index, &replicas).await;
            let _ = elect(&client, topic, index).await;
            replicas.rotate_left(1);
            sleep_ms(0, HASTE_PAUSE_MAX_MS).await;
        }
    }
    Ok(())
}

async fn reassign(client: &Client, topic: &'static str, index: i32, replicas: &[i32]) -> Result<(), Failed> {
    let replicas = replicas.iter().copied().map(WireBrokerId).collect();
    let partition = ReassignablePartition::default().with_partition_index(index).with_replicas(Some(replicas));
    let name = TopicName(StrBytes::from_static_str(topic));
    let topic = ReassignableTopic::default().with_name(name).with_partitions(vec![partition]);
    let request = AlterPartitionReassignmentsRequest::default().with_timeout_ms(1_000).with_topics(vec![topic]);
    client.ask_any(&request, 0).await.map(drop)
}

/// Has the first replica lead, if it is in sync.
async fn elect(client: &Client, topic: &'static str, index: i32) -> Result<(), Failed> {
    let name = TopicName(StrBytes::from_static_str(topic));
    let partitions = TopicPartitions::default().with_topic(name).with_partitions(vec![index]);
    let request = ElectLeadersRequest::default()
        .with_election_type(0)
        .with_topic_partitions(Some(vec![partitions]))
        .with_timeout_ms(1_000);
    client.ask_any(&request, 2).await.map(drop)
}

/// Removes voters, the leader among them; each becomes one again by itself when it has caught up.
pub async fn remove_voters(load: Arc<Load>, host: Arc<Host>) -> turmoil::Result {
    host.enter();
    let client = Client::new(load.node_count);
    while !load.is_calm() {
        sleep_ms(1_000, 5_000).await;
        let _ = remove_a_voter(&client).await;
    }
    Ok(())
}

async fn remove_a_voter(client: &Client) -> Result<(), Failed> {
    let partition = PartitionData::default().with_partition_index(0);
    let name = TopicName(StrBytes::from_static_str("__cluster_metadata"));
    let topic = TopicData::default().with_topic_name(name).with_partitions(vec![partition]);
    let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
    let answer = client.ask_any(&request, 2).await?;
    let state = answer.topics.first().and_then(|topic| topic.partitions.first());
    let voters = state.map(|state| &state.current_voters[..]).unwrap_or_default();
    // The last two are left alone: one voter could not lose its disk.
    if voters.len() < 3 {
        return Ok(());
    }
    let voter = &voters[random_below(voters.len())];
    let request = RemoveRaftVoterRequest::default()
        .with_cluster_id(None)
        .with_voter_id(voter.replica_id.0)
        .with_voter_directory_id(voter.replica_directory_id);
    client.ask_any(&request, 0).await.map(drop)
}
