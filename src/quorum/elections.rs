//! When to stand for election, decided from what a survey has found: a pre-vote.
//!
//! An election that cannot be won only disturbs: it raises the term, and a leader that hears of it steps down. So nobody stands
//! who does not first find a majority of every configuration in reach, willing, not ahead of it, and without a leader (as the
//! thesis on Raft has it in §9.6, and KIP-996).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::options::{FormedBy, Timing};
use super::rpc::Outlook;
use super::types::{LogId, Voter};

/// What one voter knows when it asks itself whether to stand.
#[derive(Clone, Debug)]
pub struct View<'a> {
    pub me: Voter,
    /// The voters; two sets while they are being changed, and then each must agree.
    pub configs: &'a [BTreeSet<Voter>],
    pub term: u64,
    pub last_log_id: Option<LogId>,
    /// The leader that is thought to lead, and how long it has been silent.
    pub leader: Option<(Voter, Duration)>,
    /// What the others said; who is missing did not answer.
    pub answers: BTreeMap<Voter, Outlook>,
    /// Those at whose address nobody listens.
    pub refused: BTreeSet<Voter>,
    /// Added to the patience, so that not all stand at once.
    pub jitter: Duration,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Stand,
    /// Some leader lives, or may: wait.
    LeaderLives,
    /// A majority cannot be had; these did not answer.
    NoMajority {
        missing: BTreeSet<Voter>,
    },
}

/// Whether to stand for election now.
pub fn judge(view: &View<'_>, timing: &Timing) -> Verdict {
    // Who says that it leads an older term has not heard of the newer one yet, and cannot lead us.
    if view.answers.values().any(|outlook| outlook.is_active && outlook.vote.leader_id.term >= view.term) {
        return Verdict::LeaderLives;
    }
    if let Some((leader, silence)) = view.leader {
        let is_gone = view.refused.contains(&leader);
        let patience = if is_gone { timing.lease } else { timing.fetch_timeout + view.jitter };
        if silence < patience {
            return Verdict::LeaderLives;
        }
    }
    let would_vote = |voter: &Voter| {
        *voter == view.me || view.answers.get(voter).is_some_and(|outlook| is_willing(outlook, view, timing))
    };
    let is_majority =
        |config: &BTreeSet<Voter>| config.iter().filter(|voter| would_vote(voter)).count() > config.len() / 2;
    if view.configs.iter().all(is_majority) {
        return Verdict::Stand;
    }
    let others = view.configs.iter().flatten().filter(|voter| **voter != view.me);
    let missing: BTreeSet<Voter> = others.filter(|voter| !view.answers.contains_key(voter)).copied().collect();
    Verdict::NoMajority { missing }
}

/// Whether a voter would vote for us as far as it can tell.
fn is_willing(outlook: &Outlook, view: &View<'_>, timing: &Timing) -> bool {
    let lease_ms = u64::try_from(timing.lease.as_millis()).unwrap_or(u64::MAX);
    outlook.may_vote
        && outlook.last_log_id <= view.last_log_id
        && outlook.leader_heard_ms.is_none_or(|silence_ms| silence_ms > lease_ms)
}

/// When a majority of every configuration was last heard, each voter at its own time; `None` when too few ever were.
pub fn majority_at<T: Ord>(configs: &[BTreeSet<Voter>], heard_at: impl Fn(&Voter) -> Option<T>) -> Option<T> {
    let of_config = |config: &BTreeSet<Voter>| {
        let mut times: Vec<T> = config.iter().filter_map(&heard_at).collect();
        times.sort_unstable_by(|left, right| right.cmp(left));
        times.into_iter().nth(config.len() / 2)
    };
    let times: Option<Vec<T>> = configs.iter().map(of_config).collect();
    times.and_then(|times| times.into_iter().min())
}

/// What a node with an empty directory finds out about a quorum that it may form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forming {
    /// Enough of those listed have no entry of a quorum's log, and nobody who answered has.
    Form,
    /// Somebody knows a quorum: it is there, and its leader will be heard.
    Exists,
    /// Too few have answered, or the others have not been silent for long enough.
    Wait,
}

/// With [`FormedBy::Majority`], who does not answer is waited for as long as a machine may stall that is not taken for dead.
pub const SILENT: Duration = Duration::from_secs(3);

/// Whether to form a quorum, from what `listed` nodes (this one is among them) answered; this one's own answer is not in it.
/// `waited` is for how long this node has looked for a quorum and has not heard of one.
///
/// Safe with [`FormedBy::All`]: what is committed lies on a majority of those listed. Whoever has it answers, so that there is a
/// quorum, or is silent, and then not all have answered.
///
/// With [`FormedBy::Majority`], as long as those who have lost their directory and those who are silent for [`SILENT`] are no
/// more together than a quorum can do without: then one who has what is committed answers. Else, say when among three one has
/// lost its directory, one is away and the third was never there, the two that are left form another quorum, with another id. They
/// cannot be told from two of a cluster that has yet to begin, which is what that setting says they are.
///
/// A leader that is elected meanwhile is safe: who forms writes no more than the first entry, which is the same everywhere, and
/// then votes by the rules for all.
///
/// Live: a vote is no entry, whoever it was for. A candidate may have died with the votes that made it a leader, or have won and
/// died before it told anybody; those who gave them and those who were never there form with each other, and the next term decides.
/// Were a vote taken for a quorum, they would wait for the dead one for ever.
pub fn judge_forming(by: FormedBy, listed: usize, answers: &[Outlook], waited: Duration) -> Forming {
    if answers.iter().any(|outlook| outlook.knows_quorum) {
        return Forming::Exists;
    }
    let there = answers.len() + 1;
    let is_enough = there >= listed || (by == FormedBy::Majority && there > listed / 2 && waited >= SILENT);
    if is_enough { Forming::Form } else { Forming::Wait }
}

#[cfg(test)]
mod tests;
