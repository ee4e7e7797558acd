//! Dialogues about who may lead the quorum: `src/quorum/testdata`.
//!
//! Lines: `voter 2 of=1,2,3 term=2 last=2/10` is the one who asks itself, and begins anew · `leader 1 silent=1499` · `refused 1`
//! (nobody listens there) · `answer 3 term=2 last=2/10 heard=300 active waiting` · `judge` · `leads now=1600 acked=2:100,3:40` ·
//! `commits term=3 committed=2/10`. Times in ms; `last` is the term and index of the last entry.

use std::collections::BTreeMap;

use super::*;
use crate::quorum::core::knows_committed;

struct Dialogue {
    me: i32,
    configs: [BTreeSet<Voter>; 1],
    term: u64,
    last: Option<LogId>,
    leader: Option<(Voter, Duration)>,
    answers: BTreeMap<Voter, Outlook>,
    refused: BTreeSet<Voter>,
}

struct Line<'a> {
    verb: &'a str,
    words: Vec<&'a str>,
}

impl<'a> Line<'a> {
    fn named(&self, name: &str) -> Option<&'a str> {
        self.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.named(name).map(|text| text.parse().expect("a number"))
    }

    fn entry(&self, name: &str) -> Option<LogId> {
        let (term, index) = self.named(name)?.split_once('/').expect("a term and an index");
        log_id(term.parse().expect("a term"), index.parse().expect("an index"))
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    fn who(&self) -> Voter {
        voter(self.words[0].parse().expect("a number"))
    }
}

impl Dialogue {
    fn new() -> Dialogue {
        Dialogue {
            me: 1,
            configs: [BTreeSet::new()],
            term: 0,
            last: None,
            leader: None,
            answers: BTreeMap::new(),
            refused: BTreeSet::new(),
        }
    }

    fn hear(&mut self, text: &str) -> String {
        let mut words = text.split_whitespace();
        let line = Line { verb: words.next().expect("a verb"), words: words.collect() };
        let millis = |name| line.number(name).map(Duration::from_millis);
        match line.verb {
            "voter" => {
                let of = line.named("of").expect("voters").split(',');
                *self = Dialogue::new();
                self.me = line.who().node_id.0;
                self.configs = [of.map(|id| voter(id.parse().expect("a number"))).collect()];
                (self.term, self.last) = (line.number("term").unwrap_or(0), line.entry("last"));
            }
            "leader" => self.leader = Some((line.who(), millis("silent").unwrap_or_default())),
            "refused" => drop(self.refused.insert(line.who())),
            "answer" => {
                let vote = Vote::new_committed(line.number("term").unwrap_or(self.term), voter(1));
                let (may_vote, is_active) = (!line.has("waiting"), line.has("active"));
                let leader_heard_ms = line.number("heard");
                let outlook = Outlook { vote, may_vote, is_active, leader_heard_ms, ..outlook(line.entry("last")) };
                self.answers.insert(line.who(), outlook);
            }
            "judge" => return self.judge(),
            "leads" => return self.leads(&line),
            "commits" => {
                let vote = Vote::new_committed(line.number("term").expect("a term"), voter(1));
                let is_known = knows_committed(&vote, line.entry("committed"));
                return if is_known { "counts\n" } else { "does not count: of no entry of its own term\n" }.to_owned();
            }
            other => panic!("{other} is no event"),
        }
        String::new()
    }

    fn judge(&self) -> String {
        let view = View {
            me: voter(self.me),
            configs: &self.configs,
            term: self.term,
            last_log_id: self.last,
            leader: self.leader,
            answers: self.answers.clone(),
            refused: self.refused.clone(),
            jitter: Duration::ZERO,
        };
        match judge(&view, &Timing::default()) {
            Verdict::Stand => "stands\n".to_owned(),
            Verdict::LeaderLives => "waits: a leader lives\n".to_owned(),
            Verdict::NoMajority { missing } => {
                let missing: Vec<i32> = missing.iter().map(|voter| voter.node_id.0).collect();
                format!("waits: no majority, not heard of {missing:?}\n")
            }
        }
    }

    fn leads(&self, line: &Line<'_>) -> String {
        let now = line.number("now").expect("a time");
        let acked = line.named("acked").unwrap_or_default().split(',').filter_map(|ack| ack.split_once(':'));
        let acked: BTreeMap<Voter, u64> =
            acked.map(|(id, at)| (voter(id.parse().expect("an id")), at.parse().expect("a time"))).collect();
        let heard_at = |of: &Voter| if *of == voter(self.me) { Some(now) } else { acked.get(of).copied() };
        let fetch_timeout = Timing::default().fetch_timeout;
        match majority_at(&self.configs, heard_at) {
            Some(at) if Duration::from_millis(now - at) < fetch_timeout => "leads on\n".to_owned(),
            _ => "leads no more\n".to_owned(),
        }
    }
}

#[test]
fn dialogues_go_as_written() {
    crate::tests::check_dialogues("src/quorum/testdata", 5, |text| {
        let mut dialogue = Dialogue::new();
        crate::tests::play_dialogue(text, |line| dialogue.hear(line))
    });
}
