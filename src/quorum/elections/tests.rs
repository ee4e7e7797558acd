//! Surveys and what follows from them.

mod dialogue;

use uuid::Uuid;

use super::*;
use crate::model::BrokerId;
use crate::quorum::types::Vote;

fn voter(number: i32) -> Voter {
    Voter { node_id: BrokerId(number), directory_id: Uuid::nil() }
}

fn log_id(term: u64, index: u64) -> Option<LogId> {
    Some(openraft::LogId::new(openraft::CommittedLeaderId::new(term, voter(1)), index))
}

fn outlook(last_log_id: Option<LogId>) -> Outlook {
    Outlook {
        knows_quorum: true,
        cluster_id: "c".into(),
        may_vote: true,
        vote: Vote::new_committed(2, voter(1)),
        last_log_id,
        leader_heard_ms: None,
        is_active: false,
    }
}

/// Voter 2 of three; voter 1 has led term 2 and is silent for `silence_ms`.
fn check(silence_ms: Option<u64>, refused: &[i32], answers: &[(i32, Outlook)]) -> Verdict {
    let configs = [BTreeSet::from([voter(1), voter(2), voter(3)])];
    let view = View {
        me: voter(2),
        configs: &configs,
        term: 2,
        last_log_id: log_id(2, 10),
        leader: silence_ms.map(|ms| (voter(1), Duration::from_millis(ms))),
        answers: answers.iter().map(|(number, outlook)| (voter(*number), outlook.clone())).collect(),
        refused: refused.iter().map(|number| voter(*number)).collect(),
        jitter: Duration::ZERO,
    };
    judge(&view, &Timing::default())
}

fn no_majority(missing: &[i32]) -> Verdict {
    Verdict::NoMajority { missing: missing.iter().map(|number| voter(*number)).collect() }
}

#[test]
fn a_silent_leader_is_given_the_fetch_timeout_and_a_dead_one_only_the_lease() {
    let other = [(3, outlook(log_id(2, 10)))];
    assert_eq!(check(Some(1499), &[], &other), Verdict::LeaderLives);
    assert_eq!(check(Some(1500), &[], &other), Verdict::Stand);
    assert_eq!(check(Some(299), &[1], &other), Verdict::LeaderLives);
    assert_eq!(check(Some(300), &[1], &other), Verdict::Stand);
    assert_eq!(check(None, &[], &other), Verdict::Stand);
}

#[test]
fn who_cannot_reach_a_majority_does_not_stand() {
    assert_eq!(check(None, &[], &[]), no_majority(&[1, 3]));
    assert_eq!(check(Some(9999), &[1], &[]), no_majority(&[1, 3]));
}

#[test]
fn who_is_behind_a_majority_does_not_stand() {
    assert_eq!(check(None, &[], &[(3, outlook(log_id(2, 11)))]), no_majority(&[1]));
    assert_eq!(check(None, &[], &[(3, outlook(log_id(3, 1)))]), no_majority(&[1]));
    assert_eq!(check(None, &[], &[(3, outlook(log_id(1, 99)))]), Verdict::Stand);
    assert_eq!(check(None, &[], &[(3, outlook(None))]), Verdict::Stand);
}

#[test]
fn nobody_stands_against_a_leader_that_another_one_hears() {
    let hears = |ms| Outlook { leader_heard_ms: Some(ms), ..outlook(log_id(2, 10)) };
    assert_eq!(check(Some(9999), &[], &[(3, hears(300))]), no_majority(&[1]));
    assert_eq!(check(Some(9999), &[], &[(3, hears(301))]), Verdict::Stand);
    let active = Outlook { is_active: true, ..outlook(log_id(2, 10)) };
    assert_eq!(check(Some(9999), &[], &[(1, active.clone()), (3, hears(301))]), Verdict::LeaderLives);
    // An older term's leader does not know yet that it leads no more.
    let old = Outlook { vote: Vote::new_committed(1, voter(1)), ..active };
    assert_eq!(check(Some(9999), &[], &[(1, old)]), Verdict::Stand);
}

#[test]
fn a_directory_that_was_emptied_is_no_vote() {
    let waiting = Outlook { may_vote: false, ..outlook(None) };
    assert_eq!(check(None, &[], &[(3, waiting)]), no_majority(&[1]));
}

#[test]
fn both_configurations_must_agree_while_voters_change() {
    let old = BTreeSet::from([voter(1), voter(2), voter(3)]);
    let new = BTreeSet::from([voter(2), voter(4), voter(5)]);
    let configs = [old, new];
    let mut view = View {
        me: voter(2),
        configs: &configs,
        term: 2,
        last_log_id: log_id(2, 10),
        leader: None,
        answers: BTreeMap::from([(voter(3), outlook(None))]),
        refused: BTreeSet::new(),
        jitter: Duration::ZERO,
    };
    assert_eq!(judge(&view, &Timing::default()), no_majority(&[1, 4, 5]));
    view.answers.insert(voter(4), outlook(None));
    assert_eq!(judge(&view, &Timing::default()), Verdict::Stand);
}

#[test]
fn a_quorum_is_formed_only_where_enough_know_of_none() {
    let empty = Outlook { knows_quorum: false, ..outlook(None) };
    let just_now = SILENT - Duration::from_millis(1);
    let long = 1000 * SILENT;
    let cases: [(usize, Vec<Outlook>, Duration, Forming, Forming); 9] = [
        (1, vec![], Duration::ZERO, Forming::Form, Forming::Form),
        (2, vec![], SILENT, Forming::Wait, Forming::Wait),
        (3, vec![], SILENT, Forming::Wait, Forming::Wait),
        (3, vec![empty.clone()], SILENT, Forming::Wait, Forming::Form),
        (3, vec![empty.clone()], long, Forming::Wait, Forming::Form),
        (3, vec![empty.clone()], just_now, Forming::Wait, Forming::Wait),
        (3, vec![empty.clone(), empty.clone()], Duration::ZERO, Forming::Form, Forming::Form),
        (3, vec![empty.clone(), outlook(log_id(2, 10))], SILENT, Forming::Exists, Forming::Exists),
        (5, vec![empty], SILENT, Forming::Wait, Forming::Wait),
    ];
    for (listed, answers, waited, by_all, by_majority) in cases {
        let count = answers.len();
        for (by, expected) in [(FormedBy::All, by_all), (FormedBy::Majority, by_majority)] {
            let forming = judge_forming(by, listed, &answers, waited);
            assert_eq!(forming, expected, "{listed} listed, {count} answered, {waited:?}, by {by:?}");
        }
    }
}

/// What the directory of a voter says when a new one looks around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Directory {
    /// It was never there, or has voted and heard of nothing else.
    Nothing,
    /// It has what is committed.
    Committed,
    /// It had that, and was emptied.
    Lost,
}

/// Every way in which committed entries lie on a majority, directories are lost, and voters are silent.
fn every_state(voters: usize) -> impl Iterator<Item = Vec<(Directory, bool)>> {
    let directories = [Directory::Nothing, Directory::Committed, Directory::Lost];
    (0..6_usize.pow(u32::try_from(voters).expect("few"))).map(move |number| {
        let of = |place: usize| number / 6_usize.pow(u32::try_from(place).expect("few")) % 6;
        (0..voters).map(|place| (directories[of(place) / 2], of(place) % 2 == 1)).collect()
    })
}

/// What the others than this one answer.
fn answers_to(state: &[(Directory, bool)], former: usize) -> Vec<Outlook> {
    let others = state.iter().enumerate().filter(|(other, (_, is_silent))| *other != former && !is_silent);
    let outlook = |directory| Outlook { knows_quorum: directory == Directory::Committed, ..outlook(None) };
    others.map(|(_, (directory, _))| outlook(*directory)).collect()
}

#[rstest::rstest]
#[case(3)]
#[case(5)]
fn no_second_quorum_is_formed_by_all_while_anybody_has_what_is_committed(#[case] voters: usize) {
    let (mut refused, mut formed) = (0, 0);
    for state in every_state(voters) {
        for (former, _) in state.iter().enumerate().filter(|(_, (directory, _))| *directory != Directory::Committed) {
            let forming = judge_forming(FormedBy::All, voters, &answers_to(&state, former), SILENT);
            if state.iter().any(|(directory, _)| *directory == Directory::Committed) {
                assert_ne!(forming, Forming::Form, "{state:?}: {former} forms a second quorum");
                refused += 1;
            } else if state.iter().enumerate().all(|(voter, (_, is_silent))| voter == former || !is_silent) {
                assert_eq!(forming, Forming::Form, "{state:?}: {former} waits for ever");
                formed += 1;
            }
        }
    }
    assert!(refused > 0 && formed > 0, "{refused} {formed}");
}

#[rstest::rstest]
#[case(3)]
#[case(5)]
fn no_second_quorum_is_formed_by_a_majority_while_the_lost_and_the_silent_are_few_enough(#[case] voters: usize) {
    let (mut refused, mut formed) = (0, 0);
    for state in every_state(voters) {
        let held = state.iter().filter(|(directory, _)| *directory != Directory::Nothing).count();
        let gone = state.iter().filter(|(directory, is_silent)| *is_silent || *directory == Directory::Lost).count();
        for (former, _) in state.iter().enumerate().filter(|(_, (directory, _))| *directory != Directory::Committed) {
            let forming = judge_forming(FormedBy::Majority, voters, &answers_to(&state, former), SILENT);
            if held > voters / 2 && gone <= voters / 2 {
                assert_ne!(forming, Forming::Form, "{state:?}: {former} forms a second quorum");
                refused += 1;
            }
            // Nothing was ever committed: a majority that is there begins, whoever else has died.
            let silent = state.iter().filter(|(_, is_silent)| *is_silent).count();
            if held == 0 && !state[former].1 && silent <= voters / 2 {
                assert_eq!(forming, Forming::Form, "{state:?}: {former} waits for ever");
                formed += 1;
            }
        }
    }
    assert!(refused > 0 && formed > 0, "{refused} {formed}");
}
