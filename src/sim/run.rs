//! One run: a cluster, its clients, what goes wrong, and what must be true in the end.
//!
//! The cluster begins to serve; faults come and go; everything is healed. Then a write to every partition must be acknowledged
//! within ten seconds and every ISR be full within sixty. At last the power of all nodes is cut at once, and an auditor reads
//! everything that was ever acknowledged.

use std::panic;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use turmoil::Sim;

use super::history::{HASTY_PRODUCERS, History};
use super::invariant::{Broken, Invariant};
use super::load::{self, Load, PARTITIONS, PRODUCERS};
use super::node::{Node, Voters};
use super::plan::{Action, DISK_MS, LINK_MS, Plan};
use super::trace::Trace;
use super::watch::Watch;
use super::{members, movers};
use crate::io::bugs::{self, Bug};
use crate::io::sim_disk::SimRandom;
use crate::io::simulated::{self, Host};

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    pub seed: u64,
    pub node_count: i32,
    pub voters: Voters,
    /// A bug that is put back: the run should fail.
    pub bug: Option<Bug>,
    /// Whether flushes answer success and do nothing once the cluster serves: the run must fail.
    pub flushes_lie: bool,
    pub is_traced: bool,
}

/// What a run came to when nothing was broken.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub trace_hash: u64,
    pub acked: usize,
    pub read: u64,
    pub simulated_ms: u64,
}

/// Limits in simulated ms.
const SERVES_WITHIN_MS: u64 = 30_000;
const ACKS_WITHIN_MS: u64 = 10_000;
const WHOLE_WITHIN_MS: u64 = 60_000;
const AUDITED_WITHIN_MS: u64 = 60_000;
/// How long the cluster works after it is healed.
const HEALED_MS: u64 = 3_000;

/// The last panic of this process: no part of a server may panic, even where a panic is contained.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// What one client does.
type Life = Pin<Box<dyn Future<Output = turmoil::Result>>>;

struct Run<'a> {
    sim: Sim<'a>,
    nodes: Vec<Arc<Node>>,
    load: Arc<Load>,
    history: Arc<History>,
    watch: Watch,
    trace: Trace,
    random: SimRandom,
    now_ms: u64,
    /// Who was leader, or follower, of a partition, and had to die for it last.
    fallen_leader: Option<i32>,
    fallen_follower: Option<i32>,
}

/// Runs one seed. The error is what was broken, with the simulated time.
pub fn run(options: RunOptions) -> Result<Report, Broken> {
    simulated::seed_process(options.seed);
    if let Some(bug) = options.bug {
        bugs::put_back(bug);
    }
    panic::set_hook(Box::new(|info| {
        let trace = std::backtrace::Backtrace::force_capture().to_string();
        let ours: Vec<&str> =
            trace.lines().filter(|line| line.contains("/src/") && !line.contains("/rustc/")).collect();
        let told = format!("{info}\n{}", ours.join("\n"));
        // On this thread nobody may come to look, if the simulation itself has panicked.
        eprintln!("{told}");
        PANIC.lock().get_or_insert(told);
    }));
    let mut run = Run::new(options);
    let outcome = run.play(options);
    let (acked, read) = run.history.counts();
    let report = Report { trace_hash: run.trace.hash(), acked, read, simulated_ms: run.now_ms };
    outcome.map(|()| report).map_err(|Broken { invariant, what }| {
        let what = format!("at {} ms: {what}", run.now_ms);
        Broken { invariant, what }
    })
}

impl Run<'_> {
    fn new(options: RunOptions) -> Run<'static> {
        let RunOptions { seed, node_count, voters, is_traced, .. } = options;
        let mut random = SimRandom::new(seed);
        let mut sim = turmoil::Builder::new()
            .rng_seed(seed)
            .simulation_duration(Duration::from_secs(100_000))
            .tick_duration(Duration::from_millis(1))
            .min_message_latency(Duration::from_micros(200))
            .max_message_latency(Duration::from_millis(LINK_MS))
            .tcp_capacity(4096)
            .enable_random_order()
            .build();
        let history = Arc::new(History::default());
        let load = Load::new(node_count, Arc::clone(&history));
        let nodes: Vec<_> = (1..=node_count).map(|id| Node::new(id, node_count, voters, random.next_u64())).collect();
        for node in &nodes {
            let (of_host, history) = (Arc::clone(node), Arc::clone(&history));
            sim.host(node.name.as_str(), move || Arc::clone(&of_host).serve(Arc::clone(&history)));
        }
        let trace = Trace::new(is_traced);
        let (watch, fallen_leader, fallen_follower) = (Watch::default(), None, None);
        Run { sim, nodes, load, history, watch, trace, random, now_ms: 0, fallen_leader, fallen_follower }
    }

    fn play(&mut self, options: RunOptions) -> Result<(), Broken> {
        // Another disk is another voter, where voters are told apart by it: the old one would be waited for.
        let plan = Plan::draw(options.seed, options.node_count, options.voters == Voters::Static);
        self.start_clients(options.voters);
        self.until("the cluster does not serve", SERVES_WITHIN_MS, |run| {
            PARTITIONS.iter().all(|partition| run.history.last_acked_ms(*partition) > 0)
        })?;
        if options.flushes_lie {
            self.nodes.iter().for_each(|node| node.let_flushes_lie());
        }
        let begun_ms = self.now_ms;
        for (at_ms, action) in &plan.actions {
            self.advance_to(begun_ms + at_ms.min(&plan.heal_ms))?;
            self.act(*action);
        }
        self.advance_to(begun_ms + plan.heal_ms)?;
        self.heal();
        self.check_recovery()?;
        self.load.end();
        self.advance_to(self.now_ms + HEALED_MS)?;
        self.cut_all_power();
        self.audit()
    }

    /// All clients live on one machine: what the network costs grows with the square of how many there are.
    fn start_clients(&mut self, voters: Voters) {
        let host = self.new_host();
        let load = &self.load;
        let of = || (Arc::clone(load), Arc::clone(&host));
        let mut lives: Vec<Life> = Vec::new();
        let mut live = |life: Life| lives.push(life);
        let (creating, on) = of();
        live(Box::pin(load::create_topic(creating, on)));
        if load.node_count > 1 {
            let (moving, on) = of();
            live(Box::pin(movers::move_partitions(moving, on)));
        }
        if voters == Voters::Dynamic {
            let (removing, on) = of();
            live(Box::pin(movers::remove_voters(removing, on)));
        }
        for producer in 0..PRODUCERS {
            let (producing, on) = of();
            live(Box::pin(load::produce(producing, on, producer)));
        }
        for (producer, partition) in (HASTY_PRODUCERS..).zip(PARTITIONS) {
            let (producing, on) = of();
            live(Box::pin(load::produce_hastily(producing, on, producer, partition)));
        }
        for _ in 0..members::COUNT {
            let (taking_part, on) = of();
            live(Box::pin(members::take_part(taking_part, on)));
        }
        for partition in PARTITIONS {
            let (consuming, on) = of();
            live(Box::pin(load::consume(consuming, on, partition)));
        }
        self.sim.client("clients", async move {
            let running: Vec<_> = lives.into_iter().map(tokio::task::spawn_local).collect();
            for life in running {
                life.await??;
            }
            Ok(())
        });
    }

    fn new_host(&mut self) -> Arc<Host> {
        Host::new(self.random.next_u64())
    }

    /// One ms for everyone, then a look at everything. Answers whether all clients are done.
    fn step(&mut self) -> Result<bool, Broken> {
        let is_done = self.sim.step().map_err(|error| Broken::new(Invariant::NoPanic, error.to_string()))?;
        self.now_ms += 1;
        self.trace.now_ms = self.now_ms;
        self.history.set_now_ms(self.now_ms);
        self.watch.look(&self.nodes, &self.history, &mut self.trace);
        if let Some(panicked) = PANIC.lock().take() {
            return Err(Broken::new(Invariant::NoPanic, panicked));
        }
        match self.history.violation() {
            Some(broken) => Err(broken),
            None => Ok(is_done),
        }
    }

    fn advance_to(&mut self, at_ms: u64) -> Result<(), Broken> {
        while self.now_ms < at_ms {
            self.step()?;
        }
        Ok(())
    }

    fn until(&mut self, what: &str, within_ms: u64, mut is_so: impl FnMut(&mut Self) -> bool) -> Result<(), Broken> {
        let deadline_ms = self.now_ms + within_ms;
        while !is_so(self) {
            if self.now_ms >= deadline_ms {
                return Err(Broken::new(Invariant::Recovers, format!("{what} within {within_ms} ms")));
            }
            self.step()?;
        }
        Ok(())
    }

    fn act(&mut self, action: Action) {
        self.trace.line(&format!("{action:?}"));
        tracing::info!(?action, at_ms = self.now_ms, "fault");
        match action {
            Action::Crash { node, loses_power } => self.crash(node, loses_power),
            Action::Start { node } => self.start(node),
            Action::Stop { node } if self.sim.is_host_running(self.name(node)) => self.node(node).stop(),
            Action::Stop { .. } => {}
            Action::Empty { node } => self.empty(node),
            Action::FailFlush { node } => self.node(node).fail_next_flush(),
            Action::Stall { node } => self.others(node).for_each(|other| self.sim.hold(self.name(node), other)),
            Action::GoOn { node } => self.others(node).for_each(|other| self.sim.release(self.name(node), other)),
            Action::SlowLeader { partition, max_ms } => {
                let leader = self.watch.leader(PARTITIONS[partition]);
                leader.into_iter().for_each(|leader| self.slow_links(leader, max_ms));
            }
            Action::CrashLeader { partition } => {
                self.fallen_leader = self.watch.leader(PARTITIONS[partition]);
                self.fallen_leader.into_iter().for_each(|leader| self.crash(leader, false));
            }
            Action::CrashFollower { partition } => {
                self.fallen_follower = self.watch.follower(PARTITIONS[partition]);
                self.fallen_follower.into_iter().for_each(|follower| self.crash(follower, false));
            }
            Action::EmptyFollower => self.fallen_follower.into_iter().for_each(|follower| self.empty(follower)),
            Action::StartFollowers => self.start_down(self.fallen_leader),
            Action::LinksWell => (1..=self.load.node_count).for_each(|node| self.slow_links(node, LINK_MS)),
            Action::StartDown => self.start_down(None),
            Action::Cut { from, to } => self.sim.partition_oneway(self.name(from), self.name(to)),
            Action::Mend { from, to } => self.sim.repair_oneway(self.name(from), self.name(to)),
            Action::Disk { node, max_ms } => self.node(node).host.set_blocking_max(Duration::from_millis(max_ms)),
            Action::Link { between: (a, b), max_ms } => {
                let time = Duration::from_millis(max_ms);
                self.sim.set_link_max_message_latency(self.name(a), self.name(b), time);
            }
            Action::Wall { node, offset_ms } => self.node(node).host.set_wall_offset_ms(offset_ms),
        }
    }

    fn node(&self, id: i32) -> &Arc<Node> {
        &self.nodes[usize::try_from(id - 1).expect("nodes are numbered from 1")]
    }

    fn name(&self, id: i32) -> String {
        self.node(id).name.clone()
    }

    fn others(&self, id: i32) -> impl Iterator<Item = String> {
        let others: Vec<_> = self.nodes.iter().filter(|node| node.id != id).map(|node| node.name.clone()).collect();
        others.into_iter()
    }

    fn start_down(&mut self, but: Option<i32>) {
        for id in (1..=self.load.node_count).filter(|id| Some(*id) != but) {
            if !self.sim.is_host_running(self.name(id)) {
                self.start(id);
            }
        }
    }

    fn slow_links(&mut self, id: i32, max_ms: u64) {
        for other in self.others(id) {
            self.sim.set_link_max_message_latency(self.name(id), other, Duration::from_millis(max_ms));
        }
    }

    fn empty(&mut self, id: i32) {
        self.node(id).empty_disk();
        self.watch.on_emptied(id);
        self.sim.crash(self.name(id));
    }

    fn crash(&mut self, id: i32, loses_power: bool) {
        let node = Arc::clone(self.node(id));
        if !loses_power && !self.sim.is_host_running(node.name.as_str()) {
            return;
        }
        if loses_power {
            // Before the process goes: whatever it does while it is dropped reaches no disk.
            node.cut_power(self.random.next_u64());
        } else {
            node.forget_broker();
        }
        self.sim.crash(node.name.as_str());
    }

    fn start(&mut self, id: i32) {
        let node = Arc::clone(self.node(id));
        // A slow stop is a stop by force in the end.
        if self.sim.is_host_running(node.name.as_str()) {
            if !node.is_stopping() {
                return;
            }
            self.crash(id, false);
        }
        if node.has_failed_flush() {
            node.cut_power(self.random.next_u64());
        }
        self.watch.on_start(id);
        self.sim.bounce(node.name.as_str());
    }

    fn heal(&mut self) {
        self.trace.line("heal");
        self.load.calm_down();
        for from in 1..=self.load.node_count {
            for to in 1..=self.load.node_count {
                if from < to {
                    self.sim.release(self.name(from), self.name(to));
                    self.sim.repair(self.name(from), self.name(to));
                    let time = Duration::from_millis(LINK_MS);
                    self.sim.set_link_max_message_latency(self.name(from), self.name(to), time);
                }
            }
            self.node(from).host.set_blocking_max(Duration::from_millis(DISK_MS));
            if self.node(from).is_stopping() || !self.sim.is_host_running(self.name(from)) {
                self.start(from);
            }
        }
    }

    fn check_recovery(&mut self) -> Result<(), Broken> {
        let healed_ms = self.now_ms;
        self.until("a write is not acknowledged", ACKS_WITHIN_MS, |run| {
            // A little later than the healing, so that the write began after it.
            PARTITIONS.iter().all(|partition| run.history.last_acked_ms(*partition) > healed_ms + 100)
        })?;
        self.until("no member of the group commits", WHOLE_WITHIN_MS, |run| {
            run.history.last_member_commit_ms() > healed_ms + 100
        })?;
        let deadline_ms = healed_ms + WHOLE_WITHIN_MS;
        while let Some(missing) = self.watch.what_is_missing() {
            if self.now_ms >= deadline_ms {
                let what = format!("not whole within {WHOLE_WITHIN_MS} ms: {missing}");
                return Err(Broken::new(Invariant::Recovers, what));
            }
            self.step()?;
        }
        Ok(())
    }

    fn cut_all_power(&mut self) {
        self.trace.line("cut all power");
        for id in 1..=self.load.node_count {
            self.crash(id, true);
        }
        for id in 1..=self.load.node_count {
            self.start(id);
        }
    }

    fn audit(&mut self) -> Result<(), Broken> {
        let auditor = load::audit(Arc::clone(&self.load), self.new_host());
        self.sim.client("auditor", auditor);
        let deadline_ms = self.now_ms + AUDITED_WITHIN_MS;
        while !self.step()? {
            if self.now_ms >= deadline_ms {
                let what = format!("what was acknowledged cannot be read within {AUDITED_WITHIN_MS} ms");
                return Err(Broken::new(Invariant::Recovers, what));
            }
        }
        let history = Arc::clone(&self.history);
        let deadline_ms = self.now_ms + WHOLE_WITHIN_MS;
        while let Some(behind) = self.watch.behind(&self.nodes, |partition| history.acked_end(partition)) {
            if self.now_ms >= deadline_ms {
                let what = format!("not everywhere within {WHOLE_WITHIN_MS} ms: {behind}");
                return Err(Broken::new(Invariant::Recovers, what));
            }
            self.step()?;
        }
        Ok(())
    }
}
