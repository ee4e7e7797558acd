//! One run: a cluster, its clients, what goes wrong, and what must be true in the end.
//!
//! The cluster begins to serve; faults come and go; everything is healed. Then a write to every partition must be acknowledged
//! within ten seconds and every ISR be full within sixty. At last the power of all nodes is cut at once, and an auditor reads
//! everything that was ever acknowledged.

use std::panic;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use turmoil::Sim;

use super::history::History;
use super::load::{self, Load, PARTITIONS, PRODUCERS};
use super::node::Node;
use super::plan::{Action, DISK_MS, LINK_MS, Plan};
use super::trace::Trace;
use super::watch::Watch;
use crate::io::sim_disk::SimRandom;
use crate::io::simulated::{self, Host};

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    pub seed: u64,
    pub node_count: i32,
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

struct Run<'a> {
    sim: Sim<'a>,
    nodes: Vec<Arc<Node>>,
    load: Arc<Load>,
    history: Arc<History>,
    watch: Watch,
    trace: Trace,
    random: SimRandom,
    now_ms: u64,
}

/// Runs one seed. The error is what was broken, with the simulated time.
pub fn run(options: RunOptions) -> Result<Report, String> {
    simulated::seed_process(options.seed);
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
    outcome.map(|()| report).map_err(|broken| format!("at {} ms: {broken}", run.now_ms))
}

impl Run<'_> {
    fn new(options: RunOptions) -> Run<'static> {
        let RunOptions { seed, node_count, is_traced, .. } = options;
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
        let nodes: Vec<_> = (1..=node_count).map(|id| Node::new(id, node_count, random.next_u64())).collect();
        for node in &nodes {
            let (of_host, history) = (Arc::clone(node), Arc::clone(&history));
            sim.host(node.name.as_str(), move || Arc::clone(&of_host).serve(Arc::clone(&history)));
        }
        let trace = Trace::new(is_traced);
        Run { sim, nodes, load, history, watch: Watch::default(), trace, random, now_ms: 0 }
    }

    fn play(&mut self, options: RunOptions) -> Result<(), String> {
        let plan = Plan::draw(options.seed, options.node_count);
        self.start_clients();
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

    fn start_clients(&mut self) {
        let creator = load::create_topic(Arc::clone(&self.load), self.new_host());
        self.sim.client("creator", creator);
        if self.load.node_count > 1 {
            let mover = load::reassign(Arc::clone(&self.load), self.new_host());
            self.sim.client("mover", mover);
        }
        for producer in 0..PRODUCERS {
            let life = load::produce(Arc::clone(&self.load), self.new_host(), producer);
            self.sim.client(format!("producer-{producer}"), life);
        }
        for partition in PARTITIONS {
            let life = load::consume(Arc::clone(&self.load), self.new_host(), partition);
            self.sim.client(format!("consumer-{}", partition.1), life);
        }
    }

    fn new_host(&mut self) -> Arc<Host> {
        Host::new(self.random.next_u64())
    }

    /// One ms for everyone, then a look at everything. Answers whether all clients are done.
    fn step(&mut self) -> Result<bool, String> {
        let is_done = self.sim.step().map_err(|error| error.to_string())?;
        self.now_ms += 1;
        self.trace.now_ms = self.now_ms;
        self.history.set_now_ms(self.now_ms);
        self.watch.look(&self.nodes, &self.history, &mut self.trace);
        if let Some(panicked) = PANIC.lock().take() {
            return Err(format!("a panic: {panicked}"));
        }
        match self.history.violation() {
            Some(broken) => Err(broken),
            None => Ok(is_done),
        }
    }

    fn advance_to(&mut self, at_ms: u64) -> Result<(), String> {
        while self.now_ms < at_ms {
            self.step()?;
        }
        Ok(())
    }

    fn until(&mut self, what: &str, within_ms: u64, mut is_so: impl FnMut(&mut Self) -> bool) -> Result<(), String> {
        let deadline_ms = self.now_ms + within_ms;
        while !is_so(self) {
            if self.now_ms >= deadline_ms {
                return Err(format!("{what} within {within_ms} ms"));
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
        self.watch.on_start(id);
        self.sim.bounce(node.name.as_str());
    }

    fn heal(&mut self) {
        self.trace.line("heal");
        self.load.calm_down();
        for from in 1..=self.load.node_count {
            for to in 1..=self.load.node_count {
                if from < to {
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

    fn check_recovery(&mut self) -> Result<(), String> {
        let healed_ms = self.now_ms;
        self.until("a write is not acknowledged", ACKS_WITHIN_MS, |run| {
            // A little later than the healing, so that the write began after it.
            PARTITIONS.iter().all(|partition| run.history.last_acked_ms(*partition) > healed_ms + 100)
        })?;
        let deadline_ms = healed_ms + WHOLE_WITHIN_MS;
        while let Some(missing) = self.watch.what_is_missing(&self.nodes) {
            if self.now_ms >= deadline_ms {
                return Err(format!("not whole within {WHOLE_WITHIN_MS} ms: {missing}"));
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

    fn audit(&mut self) -> Result<(), String> {
        let auditor = load::audit(Arc::clone(&self.load), self.new_host());
        self.sim.client("auditor", auditor);
        let deadline_ms = self.now_ms + AUDITED_WITHIN_MS;
        while !self.step()? {
            if self.now_ms >= deadline_ms {
                return Err(format!("what was acknowledged cannot be read within {AUDITED_WITHIN_MS} ms"));
            }
        }
        let history = Arc::clone(&self.history);
        let deadline_ms = self.now_ms + WHOLE_WITHIN_MS;
        while let Some(behind) = self.watch.behind(&self.nodes, |partition| history.acked_end(partition)) {
            if self.now_ms >= deadline_ms {
                return Err(format!("not everywhere within {WHOLE_WITHIN_MS} ms: {behind}"));
            }
            self.step()?;
        }
        Ok(())
    }
}
