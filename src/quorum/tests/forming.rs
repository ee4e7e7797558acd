//! Quorums that are formed while nodes are cut off, silent, emptied or yet to come: there is one, and it has what was committed.

use std::time::Duration;

use openraft::raft::VoteRequest;

use super::harness::{Cluster, run, steady, tick, until};
use super::*;
use crate::quorum::peers::{AskError, Purpose};
use crate::quorum::rpc::{Append, Chunk, Question, Refusal};

/// Lets the nodes do what they would do in this time, and checks all the while.
async fn during(time: Duration, check: impl Fn()) {
    let end = clock::instant() + time;
    while clock::instant() < end {
        check();
        tick().await;
    }
}

async fn assert_agreed(cluster: &Cluster, names: &[&str]) {
    for name in names {
        cluster.await_topic(&cluster.running(), name).await;
    }
    let leader = cluster.leader().await;
    assert_eq!(
        cluster.running().into_iter().filter(|id| cluster.quorum(*id).is_leader()).collect::<Vec<_>>(),
        [leader]
    );
}

#[test]
fn who_is_silent_is_waited_for_by_an_emptied_voter_and_one_that_was_never_there() {
    run(async {
        let mut cluster = Cluster::new(1..=3);
        let voters = cluster.voters();
        cluster.formed_by = FormedBy::Majority;
        cluster.start(1, voters.clone()).await;
        cluster.start(2, voters.clone()).await;
        cluster.create("a", 1).await;
        cluster.await_topic(&[1, 2], "a").await;
        cluster.formed_by = FormedBy::All;
        let leader = cluster.leader().await;
        let lost = if leader == 1 { 2 } else { 1 };
        let term = cluster.quorum(leader).leadership().borrow().term;
        cluster.kill(lost).await;
        cluster.wipe(lost);
        // Only the leader has what is committed, and it answers nobody.
        cluster.isolate(leader);
        cluster.start(lost, voters.clone()).await;
        cluster.start(3, voters).await;
        during(elections::SILENT + Duration::from_secs(1), || {
            for id in [lost, 3] {
                assert!(cluster.quorum(id).core.log.last_log_id().is_none(), "{id} forms another quorum");
            }
        })
        .await;
        cluster.heal();
        cluster.create("b", 2).await;
        assert_agreed(&cluster, &["a", "b"]).await;
        assert!(cluster.quorum(3).leadership().borrow().term >= term);
        cluster.stop_all().await;
    });
}

#[test]
fn of_two_halves_that_begin_at_once_only_the_majority_does() {
    run(async {
        let mut cluster = Cluster::new(1..=5);
        (cluster.timing, cluster.formed_by) = (Timing::default(), FormedBy::Majority);
        let voters = cluster.voters();
        cluster.part(&[1, 2], &[3, 4, 5]);
        cluster.start_all(&voters).await;
        let leader = cluster.leader_of(&[3, 4, 5]).await;
        assert!(leader >= 3);
        cluster.create("a", 1).await;
        for id in [1, 2] {
            assert!(cluster.quorum(id).core.log.last_log_id().is_none(), "{id} has formed a quorum of two of five");
        }
        cluster.await_topic(&[3, 4, 5], "a").await;
        // Those who have it are cut anew: the two who know nothing, and one who does, are no quorum; nor are the other two.
        cluster.heal();
        cluster.part(&[3, 4], &[1, 2, 5]);
        during(Duration::from_secs(4), || {
            for id in [1, 2] {
                let quorum = cluster.quorum(id);
                assert!(
                    !quorum.is_leader() || quorum.image().topic("a").is_some(),
                    "{id} leads without what is committed"
                );
            }
        })
        .await;
        cluster.heal();
        cluster.create("b", 2).await;
        assert_agreed(&cluster, &["a", "b"]).await;
        cluster.stop_all().await;
    });
}

#[test]
fn a_sole_voter_whose_directories_are_of_another_cluster_writes_nothing() {
    run(async {
        let mut cluster = Cluster::new([1]);
        cluster.start(1, Formation::Standalone).await;
        let created = Record::ClusterCreated { cluster_id: "ours".into() };
        cluster.quorum(1).submit(vec![created]).await.expect("committed");
        cluster.kill(1).await;
        let path = cluster.nodes[&1].dir.path().join(DIRECTORY);
        let content = || {
            let files = std::fs::read_dir(&path).expect("a directory").map(|file| file.expect("a file").path());
            files.map(|file| (std::fs::read(&file).expect("its bytes"), file)).collect::<BTreeSet<_>>()
        };
        let before = content();
        let error = cluster.try_start(1, Formation::Standalone, Some("theirs")).await.expect_err("no start");
        assert!(
            matches!(&error, StartError::OtherCluster { found, expected, .. } if found == "ours" && expected == "theirs"),
            "{error}"
        );
        assert_eq!(content(), before);
        cluster.try_start(1, Formation::Standalone, Some("ours")).await.expect("a start");
        cluster.stop_all().await;
    });
}

#[test]
fn an_emptied_voter_that_returns_at_once_is_no_second_node() {
    run(async {
        let (mut cluster, voters) = Cluster::of_three(steady()).await;
        cluster.create("a", 1).await;
        cluster.await_topic(&[1, 2, 3], "a").await;
        let leader = cluster.leader().await;
        let other = cluster.running().into_iter().find(|id| *id != leader).expect("a follower");
        cluster.kill(other).await;
        cluster.wipe(other);
        cluster.start(other, voters).await;
        cluster.await_topic(&[other], "a").await;
        until(|| !cluster.quorum(other).core.log.is_waiting()).await;
        during(peers::ALIVE + Duration::from_secs(1), || {
            assert_eq!(*cluster.quorum(other).core.peers.fatal.borrow(), None);
        })
        .await;
        cluster.stop_all().await;
    });
}

#[test]
fn nothing_crosses_from_one_cluster_to_another() {
    run(async {
        let mut cluster = Cluster::new(1..=2);
        for (id, cluster_id) in [(1, "ours"), (2, "theirs")] {
            cluster.start(id, Formation::Standalone).await;
            let created = Record::ClusterCreated { cluster_id: cluster_id.into() };
            cluster.quorum(id).submit(vec![created, topic(cluster_id, 1)]).await.expect("committed");
        }
        // The second one, with its own metadata, is told of the first; it goes on with its own and asks for nothing.
        cluster.kill(2).await;
        cluster.start(2, cluster.join(1, true)).await;
        cluster.leader_of(&[2]).await;
        let (ours, theirs) = (cluster.quorum(1), cluster.quorum(2));
        let state = |quorum: &Quorum| (quorum.core.log.vote(), quorum.core.log.last_log_id(), quorum.voter_names());
        let before = (state(ours), state(theirs));
        let vote = Vote::new_committed(100, theirs.core.peers.me);
        let last_log_id = Some(openraft::LogId::new(openraft::CommittedLeaderId::new(99, Voter::default()), 1 << 40));
        let append = Append { vote, prev_log_id: None, entries: Vec::new(), leader_commit: last_log_id };
        let chunk = Chunk { vote, snapshot_id: "s".into(), position: 0, bytes: Vec::new(), is_last: true };
        let questions = [
            Question::Survey,
            Question::Vote(VoteRequest { vote: Vote::new(100, theirs.core.peers.me), last_log_id }),
            Question::Append(append),
            Question::Snapshot(chunk),
            Question::Join { endpoint: theirs.endpoint().to_string() },
            Question::BecomeVoter,
            Question::Resigned { term: 100 },
        ];
        for question in questions {
            let name = format!("{question:?}");
            let asked = theirs.core.peers.ask(&cluster.nodes[&1].address, None, Purpose::Control, question).await;
            assert!(
                matches!(&asked, Err(AskError::Refused(Refusal::OtherCluster(id))) if id == "ours"),
                "{name}: {asked:?}"
            );
        }
        assert_eq!((state(ours), state(theirs)), before);
        assert!(ours.image().topic("theirs").is_none() && theirs.image().topic("ours").is_none());
        cluster.stop_all().await;
    });
}
