//! Quorums of several: they form, agree, lose and replace leaders, and are changed. Every proof waits for a condition.

use std::time::Duration;

use openraft::raft::VoteRequest;
use rstest::rstest;

use super::harness::{Cluster, run, steady, tick, until};
use super::*;
use crate::quorum::rpc::{Answer, Question, Request, Response};

const PATIENCE: Duration = Duration::from_secs(20);

fn identity(cluster: &Cluster, id: i32) -> Voter {
    cluster.quorum(id).core.peers.identity
}

fn term(cluster: &Cluster, id: i32) -> u64 {
    cluster.quorum(id).leadership().borrow().term
}

#[rstest]
#[case(3)]
#[case(5)]
fn fixed_voters_form_a_quorum_and_agree(#[case] count: i32) {
    run(async {
        let mut cluster = Cluster::new(1..=count);
        let voters = cluster.voters();
        cluster.start_all(&voters).await;
        let leader = cluster.leader().await;
        cluster.create("a", 1).await;
        cluster.await_topic(&cluster.running(), "a").await;
        for id in cluster.running() {
            let quorum = cluster.quorum(id);
            assert_eq!((quorum.kraft_version(), quorum.image().controller_id()), (0, BrokerId(leader)));
            assert_eq!(quorum.is_leader(), id == leader);
        }
        let other = cluster.running().into_iter().find(|id| *id != leader).expect("a follower");
        let refused = cluster.quorum(other).submit(vec![topic("b", 2)]).await;
        assert_eq!(refused.err(), Some(QuorumError::NotLeader(Some(BrokerId(leader)))));
        cluster.stop_all().await;
    });
}

#[test]
fn two_of_three_form_a_quorum_and_the_third_finds_it() {
    run(async {
        let mut cluster = Cluster::new(1..=3);
        cluster.formed_by = FormedBy::Majority;
        let voters = cluster.voters();
        cluster.start(1, voters.clone()).await;
        cluster.start(2, voters.clone()).await;
        cluster.create("a", 1).await;
        cluster.start(3, voters).await;
        cluster.await_topic(&[3], "a").await;
        until(|| !cluster.quorum(3).core.log.is_waiting()).await;
        cluster.stop_all().await;
    });
}

#[test]
fn a_killed_leader_is_replaced_and_finds_its_way_back() {
    run(async {
        let (mut cluster, voters) = Cluster::of_three(steady()).await;
        cluster.create("a", 1).await;
        let killed = cluster.leader().await;
        let before = term(&cluster, killed);
        cluster.kill(killed).await;
        let leader = cluster.leader().await;
        assert_ne!(leader, killed);
        assert!(term(&cluster, leader) > before);
        cluster.create("b", 2).await;
        cluster.start(killed, voters).await;
        cluster.await_topic(&[1, 2, 3], "b").await;
        assert!(cluster.quorum(killed).image().topic("a").is_some());
        cluster.stop_all().await;
    });
}

#[test]
fn a_quorum_remembers_after_all_were_killed() {
    run(async {
        let (mut cluster, voters) = Cluster::of_three(steady()).await;
        cluster.create("a", 1).await;
        for id in 1..=3 {
            cluster.kill(id).await;
        }
        cluster.start_all(&voters).await;
        cluster.leader().await;
        cluster.await_topic(&[1, 2, 3], "a").await;
        cluster.stop_all().await;
    });
}

#[test]
fn a_leader_is_elected_anew_after_a_restart() {
    run(async {
        let (mut cluster, voters) = Cluster::of_three(steady()).await;
        cluster.create("a", 1).await;
        let leader = cluster.leader().await;
        let before = term(&cluster, leader);
        for id in 1..=3 {
            cluster.kill(id).await;
        }
        // The directory of the leader may be an old copy by now: leading on in its term, it would contradict the others.
        cluster.start_all(&voters).await;
        let leader = cluster.leader().await;
        assert!(term(&cluster, leader) > before, "term {before} is led again");
        cluster.stop_all().await;
    });
}

#[test]
fn a_leader_that_stops_hands_over() {
    run(async {
        // Whoever waited for the leader's silence would wait longer than this test may.
        let timing = Timing { fetch_timeout: Duration::from_secs(3600), ..Timing::default() };
        let (mut cluster, _) = Cluster::of_three(timing).await;
        let stopped = cluster.leader().await;
        cluster.stop(stopped).await;
        assert_ne!(cluster.leader().await, stopped);
        cluster.create("a", 1).await;
        cluster.stop_all().await;
    });
}

#[test]
fn a_leader_without_a_majority_leads_no_more_and_commits_nothing() {
    run(async {
        let (cluster, _) = Cluster::of_three(Timing::default()).await;
        cluster.create("a", 1).await;
        let cut_off = cluster.leader().await;
        let quorum = Arc::clone(cluster.quorum(cut_off));
        cluster.isolate(cut_off);
        let lost = quorum.submit(vec![topic("lost", 9)]).await;
        assert!(matches!(lost, Err(QuorumError::Lost | QuorumError::NotLeader(_))), "{lost:?}");
        assert!(!quorum.is_leader());
        let rest: Vec<i32> = cluster.running().into_iter().filter(|id| *id != cut_off).collect();
        cluster.leader_of(&rest).await;
        cluster.create("b", 2).await;
        assert!(quorum.image().topic("b").is_none() && quorum.image().topic("lost").is_none());
        cluster.heal();
        cluster.await_topic(&[cut_off], "b").await;
        // What only the one that was cut off had is gone.
        assert!(quorum.image().topic("lost").is_none());
        cluster.stop_all().await;
    });
}

#[test]
fn a_description_tells_how_far_each_voter_is_and_since_when() {
    run(async {
        let (cluster, _) = Cluster::of_three(steady()).await;
        cluster.create("a", 1).await;
        let leader = cluster.leader().await;
        let away = cluster.running().into_iter().find(|id| *id != leader).expect("a follower");
        let state = |id: i32| {
            let description = cluster.quorum(leader).describe().expect("the leader");
            description.voters.into_iter().find(|state| state.replica.node_id.0 == id).expect("a voter")
        };
        let is_level = |id| state(id).log_end_offset == state(leader).log_end_offset;
        until(|| (1..=3).all(is_level)).await;
        cluster.isolate(away);
        let end = state(leader).log_end_offset;
        for (name, number) in [("b", 2), ("c", 3)] {
            cluster.create(name, number).await;
        }
        // Two entries were written, and one voter has neither of them, nor will it tell.
        assert_eq!((state(leader).log_end_offset, state(away).log_end_offset), (Offset(end.0 + 2), end));
        let silent = cluster.timing.suspicion;
        until(|| state(away).last_caught_up > Some(silent) && state(away).last_fetch > Some(silent)).await;
        let at_once = Some(Duration::ZERO);
        assert_eq!((state(leader).last_caught_up, state(leader).last_fetch), (at_once, at_once));
        cluster.heal();
        until(|| is_level(away) && state(away).last_caught_up < Some(silent)).await;
        cluster.stop_all().await;
    });
}

#[test]
fn a_follower_that_comes_back_unseats_nobody() {
    run(async {
        let (cluster, _) = Cluster::of_three(steady()).await;
        cluster.create("a", 1).await;
        let leader = cluster.leader().await;
        let before = term(&cluster, leader);
        let away = cluster.running().into_iter().find(|id| *id != leader).expect("a follower");
        cluster.isolate(away);
        // It has missed the leader, and asked in vain whether it may stand.
        let quorum = cluster.quorum(away);
        let silence = || quorum.core.peers.leader_silence(clock::instant()).expect("a leader was heard");
        until(|| silence() > 4 * cluster.timing.suspicion).await;
        cluster.create("b", 2).await;
        cluster.heal();
        cluster.await_topic(&[away], "b").await;
        assert_eq!((cluster.leader().await, term(&cluster, leader), term(&cluster, away)), (leader, before, before));
        cluster.stop_all().await;
    });
}

/// What a node answers to a candidate with the best log there is.
async fn ask_for_vote(cluster: &Cluster, id: i32, from: i32) -> bool {
    let peers = &cluster.quorum(from).core.peers;
    let vote = Vote::new(term(cluster, from) + 100, peers.me);
    let last_log_id = Some(openraft::LogId::new(openraft::CommittedLeaderId::new(99, Voter::default()), 1 << 40));
    ask_in_the_name_of(cluster, id, peers.me, peers.identity.directory_id, VoteRequest { vote, last_log_id }).await
}

async fn ask_in_the_name_of(
    cluster: &Cluster,
    id: i32,
    from: Voter,
    from_directory: Uuid,
    request: VoteRequest<Voter>,
) -> bool {
    let (cluster_id, question) = (String::new(), Question::Vote(request));
    let request = Request { cluster_id, from, from_directory, to: None, question };
    let answer = cluster.quorum(id).handle_rpc(Bytes::from(request.encode())).await;
    match Response::decode(&answer).expect("an answer").answer {
        Answer::Vote(response) => response.vote_granted,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_voted_for_one_that_died_forms_the_quorum_with_one_that_was_never_there() {
    run(async {
        let mut cluster = Cluster::new(1..=3);
        cluster.formed_by = FormedBy::Majority;
        let voters = cluster.voters();
        // The second one has formed the quorum with the first, and votes for it; the first dies of it.
        cluster.start(2, voters.clone()).await;
        let core = &cluster.quorum(2).core;
        core.log.end_waiting().expect("a journal that can be written");
        let Formation::Voters(listed) = &voters else { panic!("fixed voters") };
        let node = |address: &Address| peers::node_of(&Endpoint { listener: "C".into(), address: address.clone() });
        let nodes: BTreeMap<_, _> = listed.iter().map(|(id, address)| (members::fixed(*id), node(address))).collect();
        core.raft.initialize(nodes).await.expect("nobody else has formed it");
        let dead = members::fixed(BrokerId(1));
        let request = VoteRequest { vote: Vote::new(7, dead), last_log_id: core.log.last_log_id() };
        assert!(ask_in_the_name_of(&cluster, 2, dead, Uuid::from_u128(1), request).await);
        // The third one was never there. What it hears of is a vote, and no quorum.
        cluster.start(3, voters).await;
        cluster.create("a", 1).await;
        cluster.await_topic(&[2, 3], "a").await;
        cluster.stop_all().await;
    });
}

#[test]
fn a_sole_fixed_voter_leads_at_once_and_stays_fixed() {
    run(async {
        let mut cluster = Cluster::new([1]);
        let voters = cluster.voters();
        for name in ["a", "b"] {
            cluster.start(1, voters.clone()).await;
            let quorum = cluster.quorum(1);
            assert!(quorum.is_leader() && quorum.kraft_version() == 0);
            assert_eq!(quorum.remove_voter(members::fixed(BrokerId(1))).await, Err(VotersError::Fixed));
            cluster.create(name, 1).await;
            cluster.kill(1).await;
        }
    });
}

#[test]
fn a_voters_address_is_changed_on_request_and_put_right_by_itself() {
    run(async {
        let mut cluster = Cluster::new(1..=2);
        cluster.start(1, Formation::Standalone).await;
        cluster.start(2, cluster.join(1, true)).await;
        let leader = Arc::clone(cluster.quorum(1));
        until(|| leader.describe().is_ok_and(|description| description.voters.len() == 2)).await;
        let voter = identity(&cluster, 2);
        let address = cluster.nodes[&2].address.clone();
        let moved = Address { host: "localhost".into(), port: address.port };
        let update = |address: Address| leader.update_voter(voter, "CONTROLLER", address);
        while let Err(error) = update(moved.clone()).await {
            assert_eq!(error, VotersError::InProgress);
            tick().await;
        }
        until(|| leader.voters()[&BrokerId(2)].address == address).await;
        let stranger = Voter { directory_id: Uuid::from_u128(4), ..voter };
        while let Err(error) = leader.update_voter(stranger, "CONTROLLER", address.clone()).await {
            if error != VotersError::InProgress {
                assert_eq!(error, VotersError::NotFound(stranger));
                break;
            }
            tick().await;
        }
        cluster.stop_all().await;
    });
}

#[test]
fn an_emptied_directory_does_not_vote_before_it_has_caught_up() {
    run(async {
        let (mut cluster, voters) = Cluster::of_three(steady()).await;
        cluster.create("a", 1).await;
        cluster.await_topic(&[1, 2, 3], "a").await;
        for id in 1..=3 {
            cluster.kill(id).await;
        }
        cluster.wipe(2);
        cluster.start(2, voters.clone()).await;
        cluster.start(3, voters.clone()).await;
        assert!(!ask_for_vote(&cluster, 2, 3).await);
        // With the first one there is a majority that remembers, and the second learns from it.
        cluster.start(1, voters).await;
        cluster.create("b", 2).await;
        cluster.await_topic(&[2], "a").await;
        until(|| !cluster.quorum(2).core.log.is_waiting()).await;
        cluster.stop_all().await;
    });
}

#[test]
fn a_voter_that_loses_its_directory_gets_everything_anew_from_a_leader_that_leads_on() {
    run(async {
        let (mut cluster, voters) = Cluster::of_three(steady()).await;
        cluster.create("a", 1).await;
        cluster.await_topic(&[1, 2, 3], "a").await;
        let leader = cluster.leader().await;
        let before = term(&cluster, leader);
        // The third one is away: who has lost everything is half of what is left, and the leader must not go.
        let others: Vec<i32> = cluster.running().into_iter().filter(|id| *id != leader).collect();
        cluster.kill(others[0]).await;
        cluster.kill(others[1]).await;
        cluster.wipe(others[0]);
        cluster.start(others[0], voters).await;
        cluster.create("b", 2).await;
        cluster.await_topic(&[leader, others[0]], "b").await;
        assert!(cluster.quorum(others[0]).image().topic("a").is_some());
        until(|| !cluster.quorum(others[0]).core.log.is_waiting()).await;
        assert_eq!(term(&cluster, leader), before);
        cluster.stop_all().await;
    });
}

#[test]
fn no_vote_is_given_while_a_leader_is_heard() {
    run(async {
        let timing = Timing { lease: Duration::from_secs(30), ..Timing::default() };
        let (cluster, _) = Cluster::of_three(timing).await;
        let leader = cluster.leader().await;
        cluster.create("a", 1).await;
        cluster.await_topic(&[1, 2, 3], "a").await;
        let others: Vec<i32> = cluster.running().into_iter().filter(|id| *id != leader).collect();
        assert!(!ask_for_vote(&cluster, others[0], others[1]).await);
        assert!(!ask_for_vote(&cluster, leader, others[1]).await);
        cluster.stop_all().await;
    });
}

#[test]
fn who_is_far_behind_gets_a_snapshot_and_hears_what_changed() {
    run(async {
        let (mut cluster, voters) = Cluster::of_three(steady()).await;
        cluster.create("old", 1).await;
        cluster.await_topic(&[1, 2, 3], "old").await;
        let leader = cluster.leader().await;
        let away = cluster.running().into_iter().find(|id| *id != leader).expect("a follower");
        cluster.kill(away).await;
        let config = |text: String| Record::ConfigChanged {
            resource: ConfigResource::BrokerDefault,
            name: "k".into(),
            value: Some(text),
        };
        // More than one chunk.
        cluster.create("new", 2).await;
        let leader = cluster.leader().await;
        let quorum = cluster.quorum(leader);
        quorum.submit(vec![config("x".repeat(3 << 20))]).await.expect("committed");
        let raft = &quorum.core.raft;
        let last = quorum.core.log.last_log_id().expect("entries");
        raft.trigger().snapshot().await.expect("it lives");
        raft.wait(None).metrics(|metrics| metrics.snapshot >= Some(last), "a snapshot").await.expect("it lives");
        raft.trigger().purge_log(last.index).await.expect("it lives");
        raft.wait(None).metrics(|metrics| metrics.purged >= Some(last), "a purge").await.expect("it lives");
        cluster.start(away, voters).await;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        cluster.quorum(away).listen(move |change| ear.lock().push(change.delta.clone()));
        cluster.await_topic(&[away], "new").await;
        until(|| !heard.lock().is_empty()).await;
        let delta = heard.lock()[0].clone();
        assert!(delta.configs_changed.contains(&ConfigResource::BrokerDefault));
        assert!(delta.topics_created.contains(&TopicId(Uuid::from_u128(2))));
        cluster.create("later", 3).await;
        cluster.await_topic(&[away], "later").await;
        cluster.stop_all().await;
    });
}

#[test]
fn an_observer_becomes_a_voter_and_an_observer_again() {
    run(async {
        let mut cluster = Cluster::new(1..=3);
        cluster.start(1, Formation::Standalone).await;
        cluster.create("a", 1).await;
        for id in [2, 3] {
            cluster.start(id, cluster.join(1, false)).await;
            cluster.await_topic(&[id], "a").await;
        }
        let leader = Arc::clone(cluster.quorum(1));
        assert_eq!(leader.kraft_version(), 1);
        until(|| leader.describe().is_ok_and(|description| description.observers.len() == 2)).await;
        for id in [2, 3] {
            let address = cluster.nodes[&id].address.clone();
            leader.add_voter(identity(&cluster, id), "CONTROLLER", address, PATIENCE).await.expect("a new voter");
        }
        let again = leader.add_voter(identity(&cluster, 2), "CONTROLLER", cluster.nodes[&2].address.clone(), PATIENCE);
        assert_eq!(again.await, Err(VotersError::Duplicate(identity(&cluster, 2))));
        let description = leader.describe().expect("the leader");
        let voters: Vec<i32> = description.voters.iter().map(|state| state.replica.node_id.0).collect();
        assert_eq!((voters, description.observers.len(), description.nodes.len()), (vec![1, 2, 3], 0, 3));
        leader.remove_voter(identity(&cluster, 3)).await.expect("a voter less");
        let again = leader.remove_voter(identity(&cluster, 3)).await;
        assert_eq!(again, Err(VotersError::NotFound(identity(&cluster, 3))));
        cluster.create("b", 2).await;
        cluster.await_topic(&[3], "b").await;
        let observers = leader.describe().expect("the leader").observers;
        assert_eq!(observers.iter().map(|state| state.replica.node_id.0).collect::<Vec<_>>(), [3]);
        cluster.stop_all().await;
    });
}

#[test]
fn observers_join_by_themselves_and_a_leader_that_is_removed_hands_over() {
    run(async {
        let mut cluster = Cluster::new(1..=3);
        cluster.start(1, Formation::Standalone).await;
        for id in [2, 3] {
            cluster.start(id, cluster.join(1, true)).await;
        }
        let leader = Arc::clone(cluster.quorum(1));
        until(|| leader.describe().is_ok_and(|description| description.voters.len() == 3)).await;
        // The voters are three a moment before the change that made them so is over.
        while let Err(error) = leader.remove_voter(identity(&cluster, 1)).await {
            assert_eq!(error, VotersError::InProgress);
            tick().await;
        }
        let next = cluster.leader_of(&[2, 3]).await;
        assert_ne!(next, 1);
        cluster.create("a", 1).await;
        cluster.await_topic(&[1], "a").await;
        cluster.stop_all().await;
    });
}

#[test]
fn a_voter_is_added_before_that_is_committed_for_whoever_wants_no_more() {
    run(async {
        let mut cluster = Cluster::new(1..=2);
        cluster.start(1, Formation::Standalone).await;
        cluster.start(2, cluster.join(1, false)).await;
        cluster.create("a", 1).await;
        cluster.await_topic(&[2], "a").await;
        let (leader, new) = (Arc::clone(cluster.quorum(1)), identity(&cluster, 2));
        let observes = || leader.describe().is_ok_and(|known| known.observers.iter().any(|state| state.replica == new));
        until(observes).await;
        // The new one is needed for its own addition, and is not there.
        let target = leader.core.log.last_log_id();
        until(|| leader.core.peers.ack_of(&new).is_some_and(|ack| ack.matching >= target)).await;
        cluster.isolate(2);
        let address = cluster.nodes[&2].address.clone();
        leader.begin_to_add_voter(new, "CONTROLLER", address.clone(), PATIENCE).await.expect("it is written");
        let metrics = leader.core.metrics();
        let applied = leader.core.raft.data_metrics().borrow().last_applied;
        assert!(applied < *metrics.membership_config.log_id(), "{applied:?}");
        cluster.heal();
        let again = leader.begin_to_add_voter(new, "CONTROLLER", address, PATIENCE).await;
        assert_eq!(again, Err(VotersError::Duplicate(new)));
        cluster.create("b", 2).await;
        cluster.await_topic(&[2], "b").await;
        until(|| leader.describe().is_ok_and(|description| description.voters.len() == 2)).await;
        cluster.stop_all().await;
    });
}

#[test]
fn an_observer_with_a_new_directory_takes_the_place_of_its_old_one() {
    run(async {
        let mut cluster = Cluster::new(1..=2);
        cluster.start(1, Formation::Standalone).await;
        cluster.create("a", 1).await;
        cluster.start(2, cluster.join(1, false)).await;
        cluster.await_topic(&[2], "a").await;
        let old = identity(&cluster, 2);
        cluster.kill(2).await;
        // The leader knows a dead node from a second one by its silence, and is asked until it does.
        cluster.wipe(2);
        cluster.start(2, cluster.join(1, false)).await;
        cluster.await_topic(&[2], "a").await;
        let new = identity(&cluster, 2);
        assert_ne!(new, old);
        let observers = cluster.quorum(1).describe().expect("the leader").observers;
        assert_eq!(observers.iter().map(|state| state.replica).collect::<Vec<_>>(), [new]);
        cluster.stop_all().await;
    });
}

#[test]
fn a_node_with_a_new_address_is_found_there() {
    run(async {
        let mut cluster = Cluster::new(1..=2);
        cluster.start(1, Formation::Standalone).await;
        cluster.create("a", 1).await;
        cluster.start(2, cluster.join(1, false)).await;
        cluster.await_topic(&[2], "a").await;
        cluster.kill(2).await;
        cluster.add(9);
        let moved = cluster.nodes.remove(&9).expect("a node").address;
        cluster.nodes.get_mut(&2).expect("a node").address = moved;
        cluster.start(2, cluster.join(1, false)).await;
        cluster.create("b", 2).await;
        cluster.await_topic(&[2], "b").await;
        cluster.stop_all().await;
    });
}

#[test]
fn the_first_of_the_bootstrap_servers_forms_the_quorum_when_a_majority_knows_of_none() {
    run(async {
        let mut cluster = Cluster::new(1..=3);
        let addresses: Vec<Address> = cluster.nodes.values().map(|node| node.address.clone()).collect();
        let formation = |id| Formation::Join { addresses: addresses.clone(), may_form: id == 1, auto_join: true };
        for id in 1..=3 {
            cluster.start(id, formation(id)).await;
        }
        until(|| cluster.quorum(1).describe().is_ok_and(|description| description.voters.len() == 3)).await;
        cluster.create("a", 1).await;
        // With an empty directory the first one finds the others, and forms nothing.
        cluster.kill(1).await;
        cluster.leader().await;
        cluster.wipe(1);
        cluster.start(1, formation(1)).await;
        cluster.await_topic(&[1], "a").await;
        cluster.stop_all().await;
    });
}

#[test]
fn a_node_of_another_cluster_is_refused_with_what_to_do() {
    run(async {
        let mut cluster = Cluster::new(1..=2);
        cluster.start(1, Formation::Standalone).await;
        let created = Record::ClusterCreated { cluster_id: "ours".into() };
        cluster.quorum(1).submit(vec![created]).await.expect("committed");
        let join = cluster.join(1, false);
        cluster.try_start(2, join.clone(), Some("theirs")).await.expect("it starts, and asks");
        let reason = cluster.quorum(2).died().await;
        assert!(reason.contains("of cluster ours") && reason.contains("empty directory"), "{reason}");
        cluster.stop_all().await;
    });
}

#[test]
fn a_second_node_under_one_id_is_refused_with_what_to_do() {
    run(async {
        let mut cluster = Cluster::new(1..=2);
        cluster.start(1, Formation::Standalone).await;
        let join = cluster.join(1, false);
        let (address, dir) = (cluster.nodes[&2].address.clone(), tempfile::tempdir().expect("a directory"));
        let options = QuorumOptions {
            dir: dir.path().join(DIRECTORY),
            node_id: BrokerId(1),
            directory_id: crate::io::random::uuid(),
            cluster_id: None,
            formation: join,
            endpoint: Endpoint { listener: "CONTROLLER".to_owned(), address },
            disk: Arc::new(SystemDisk),
            snapshot_entries: SNAPSHOT_ENTRIES,
            formed_by: FormedBy::All,
            timing: Timing::default(),
        };
        let second = Quorum::start(options).await.expect("it starts, and asks");
        let reason = second.died().await;
        assert!(reason.contains("another live node 1") && reason.contains("node.id"), "{reason}");
        second.stop().await;
        cluster.stop_all().await;
    });
}

#[test]
fn a_voter_with_the_directory_of_another_cluster_is_told_so_and_ends() {
    run(async {
        let (mut ours, mut theirs) = (Cluster::new(1..=3), Cluster::new(1..=3));
        for (cluster, id) in [(&mut ours, "ours"), (&mut theirs, "theirs")] {
            cluster.start_all(&cluster.voters()).await;
            let leader = cluster.leader().await;
            let created = Record::ClusterCreated { cluster_id: id.into() };
            cluster.quorum(leader).submit(vec![created]).await.expect("committed");
            until(|| (1..=3).all(|node| **cluster.quorum(node).image().cluster_id() == *id)).await;
            cluster.kill(3).await;
        }
        std::mem::swap(
            &mut ours.nodes.get_mut(&3).expect("a node").dir,
            &mut theirs.nodes.get_mut(&3).expect("a node").dir,
        );
        ours.start(3, ours.voters()).await;
        let reason = ours.quorum(3).died().await;
        assert!(reason.contains("of cluster ours") && reason.contains("own directory back"), "{reason}");
        // The others know that one stranger proves nothing against them.
        ours.leader_of(&[1, 2]).await;
        ours.stop_all().await;
        theirs.stop_all().await;
    });
}

#[test]
fn a_process_with_a_copy_of_a_directory_does_not_vote_beside_its_owner() {
    run(async {
        let mut cluster = Cluster::new(1..=3);
        cluster.start_all(&cluster.voters()).await;
        cluster.leader().await;
        cluster.kill(3).await;
        let copy = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(copy.path().join(DIRECTORY)).expect("a directory");
        for file in std::fs::read_dir(cluster.nodes[&3].dir.path().join(DIRECTORY)).expect("files") {
            let file = file.expect("a file");
            std::fs::copy(file.path(), copy.path().join(DIRECTORY).join(file.file_name())).expect("a copy");
        }
        cluster.start(3, cluster.voters()).await;
        cluster.leader().await;
        cluster.add(9);
        let elsewhere = cluster.nodes.remove(&9).expect("a node").address;
        let options = QuorumOptions {
            dir: copy.path().join(DIRECTORY),
            node_id: BrokerId(3),
            directory_id: crate::io::random::uuid(),
            cluster_id: None,
            formation: cluster.voters(),
            endpoint: Endpoint { listener: "CONTROLLER".to_owned(), address: elsewhere },
            disk: Arc::new(SystemDisk),
            snapshot_entries: SNAPSHOT_ENTRIES,
            formed_by: FormedBy::All,
            timing: Timing::default(),
        };
        let second = Quorum::start(options).await.expect("it starts, and asks");
        let reason = second.died().await;
        let there = cluster.nodes[&3].address.to_string();
        assert!(reason.contains(&there) && reason.contains("stop one of the two"), "{reason}");
        second.stop().await;
        cluster.stop_all().await;
    });
}

#[test]
fn fixed_voters_stay() {
    run(async {
        let (cluster, _) = Cluster::of_three(steady()).await;
        let leader = cluster.leader().await;
        let quorum = cluster.quorum(leader);
        let voter = Voter { node_id: BrokerId(4), directory_id: Uuid::from_u128(4) };
        let added = quorum.add_voter(voter, "CONTROLLER", cluster.nodes[&1].address.clone(), PATIENCE).await;
        assert_eq!(added, Err(VotersError::Fixed));
        assert_eq!(quorum.remove_voter(members::fixed(BrokerId(1))).await, Err(VotersError::Fixed));
        cluster.stop_all().await;
    });
}
