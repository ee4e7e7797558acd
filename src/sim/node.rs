//! One simulated machine: its disk, its clock, and the server that runs on it between crashes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::history::History;
use super::invariant::Invariant;
use crate::broker::Broker;
use crate::config::{self, Inputs, Settings};
use crate::io::sim_disk::SimDisk;
use crate::io::simulated::{Host, SimClock};
use crate::server::{Ground, Server};

/// Where clients connect.
pub const CLIENT_PORT: u16 = 9092;
const CONTROLLER_PORT: u16 = 9093;

/// How often a node whose disk was replaced is started, and what lies between two starts.
const START_TRIES: u32 = 10;
const START_AGAIN: Duration = Duration::from_millis(500);

/// See the head of this file.
pub struct Node {
    pub id: i32,
    pub name: String,
    pub host: Arc<Host>,
    settings: Settings,
    flushes_lie: AtomicBool,
    was_emptied: AtomicBool,
    disk: Mutex<SimDisk>,
    broker: Mutex<Weak<Broker>>,
    stop: Notify,
    is_stopping: AtomicBool,
}

/// How the quorum comes to have its voters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voters {
    /// All nodes, for good (kraft.version 0).
    Static,
    /// The first node forms the quorum, and whoever has caught up joins it, also after it was removed (kraft.version 1).
    Dynamic,
}

/// The name of a node's machine.
pub fn name_of(id: i32) -> String {
    format!("node-{id}")
}

impl Node {
    /// A machine with an empty disk; `node_count` of them are one cluster.
    pub fn new(id: i32, node_count: i32, voters: Voters, seed: u64) -> Arc<Node> {
        Arc::new(Node {
            id,
            name: name_of(id),
            host: Host::new(seed),
            settings: settings(id, node_count, voters),
            flushes_lie: AtomicBool::new(false),
            was_emptied: AtomicBool::new(false),
            disk: Mutex::new(SimDisk::new()),
            broker: Mutex::default(),
            stop: Notify::new(),
            is_stopping: AtomicBool::new(false),
        })
    }

    /// The broker that runs on it, if one does.
    pub fn broker(&self) -> Option<Arc<Broker>> {
        self.broker.lock().upgrade()
    }

    /// Flushes of records answer success from now on and do nothing, on every disk that the machine will have.
    pub fn let_flushes_lie(&self) {
        self.flushes_lie.store(true, Ordering::Relaxed);
        self.disk.lock().let_flushes_of_records_lie();
    }

    /// Power goes: what was not flushed may be gone or torn when it comes back.
    pub fn cut_power(&self, seed: u64) {
        let mut disk = self.disk.lock();
        disk.turn_off();
        let left = disk.cut(seed);
        if self.flushes_lie.load(Ordering::Relaxed) {
            left.let_flushes_of_records_lie();
        }
        *disk = left;
        self.forget_broker();
    }

    /// The disk is replaced by an empty one.
    pub fn empty_disk(&self) {
        self.was_emptied.store(true, Ordering::Relaxed);
        let mut disk = self.disk.lock();
        disk.turn_off();
        *disk = SimDisk::new();
        if self.flushes_lie.load(Ordering::Relaxed) {
            disk.let_flushes_of_records_lie();
        }
        drop(disk);
        self.forget_broker();
    }

    /// The next flush of records fails.
    pub fn fail_next_flush(&self) {
        self.disk.lock().fail_next_flush();
    }

    /// Whether a flush has failed since the machine was booted: what is in its memory cannot be told from what is on its disk.
    pub fn has_failed_flush(&self) -> bool {
        self.disk.lock().has_failed_flush()
    }

    /// The process is gone; what it wrote is still in the page cache.
    pub fn forget_broker(&self) {
        *self.broker.lock() = Weak::new();
    }

    /// Asks the server to stop in order.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.stop.notify_one();
    }

    /// Whether it was asked to stop and has not been started since.
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// The machine's life from one start to the next stop or crash.
    pub async fn serve(self: Arc<Node>, history: Arc<History>) -> turmoil::Result {
        self.host.enter();
        self.is_stopping.store(false, Ordering::Relaxed);
        let disk = self.disk.lock().clone();
        let ground = || Ground { clock: Arc::new(SimClock::new(&self.host)), disk: Arc::new(disk.clone()) };
        let mut tries = 1;
        let running = loop {
            let error = match Server::start_on(ground(), self.settings.clone()).await {
                Ok(running) => break running,
                Err(error) => error,
            };
            // With another disk it is another node under an id that was heard of just now, and is refused for a while.
            if !self.was_emptied.load(Ordering::Relaxed) || tries == START_TRIES {
                history.violate(Invariant::Starts, format!("{} does not start: {error:#}", self.name));
                return Ok(());
            }
            tries += 1;
            tokio::time::sleep(START_AGAIN).await;
        };
        *self.broker.lock() = Arc::downgrade(running.broker());
        // What woke an earlier life does not end this one.
        while !self.is_stopping() {
            self.stop.notified().await;
        }
        // It is watched to the end: what it still acknowledges must hold too.
        running.stop().await;
        *self.broker.lock() = Weak::new();
        Ok(())
    }
}

fn settings(id: i32, node_count: i32, voters: Voters) -> Settings {
    let host = name_of(id);
    let mut pairs = vec![
        ("node.id", id.to_string()),
        ("log.dirs", "/data".to_owned()),
        ("server.threads", "1".to_owned()),
        ("offsets.topic.num.partitions", "2".to_owned()),
        ("offsets.topic.replication.factor", node_count.min(3).to_string()),
        ("default.replication.factor", node_count.min(3).to_string()),
        ("min.insync.replicas", if node_count > 1 { "2" } else { "1" }.to_owned()),
        ("log.roll.ms", "3000".to_owned()),
        ("http.listener", String::new()),
        ("group.min.session.timeout.ms", "500".to_owned()),
        ("group.initial.rebalance.delay.ms", "100".to_owned()),
    ];
    if node_count == 1 {
        pairs.push(("listeners", format!("PLAINTEXT://0.0.0.0:{CLIENT_PORT}")));
        pairs.push(("advertised.listeners", format!("PLAINTEXT://{host}:{CLIENT_PORT}")));
    } else {
        let all = (1..=node_count).map(|id| (id, format!("{}:{CONTROLLER_PORT}", name_of(id))));
        match voters {
            Voters::Static => {
                let listed: Vec<_> = all.map(|(id, address)| format!("{id}@{address}")).collect();
                pairs.push(("controller.quorum.voters", listed.join(",")));
            }
            Voters::Dynamic => {
                let listed: Vec<_> = all.map(|(_, address)| address).collect();
                pairs.push(("controller.quorum.bootstrap.servers", listed.join(",")));
                pairs.push(("controller.quorum.auto.join.enable", "true".to_owned()));
            }
        }
        pairs.push(("process.roles", "broker,controller".to_owned()));
        pairs.push(("controller.listener.names", "CONTROLLER".to_owned()));
        let listeners = |host: &str| format!("PLAINTEXT://{host}:{CLIENT_PORT},CONTROLLER://{host}:{CONTROLLER_PORT}");
        pairs.push(("listeners", listeners("0.0.0.0")));
        pairs.push(("advertised.listeners", listeners(&host)));
    }
    let flags = pairs.into_iter().map(|(key, value)| ("--set".to_owned(), key.to_owned(), value)).collect();
    config::load(&Inputs { flags, ..Inputs::default() }).expect("settings that hold").settings
}
