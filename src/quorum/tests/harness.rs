//! Several quorums in one process, each behind a loopback socket of its own, with cables that can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::task::{JoinHandle, JoinSet};

use super::*;
use crate::io::held_port::HeldPort;
use crate::io::net::{self, Accepted, Listener};
use crate::protocol::frame;
use crate::protocol::header::RequestHeader;

/// Longer than anything here takes, also on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(180);

/// A machine that stalls must not be what changes the leader: only one that is told to stop, is killed or resigns goes.
pub fn steady() -> Timing {
    Timing { fetch_timeout: Duration::from_secs(30), ..Timing::default() }
}

/// Who cannot speak to whom: by node id, from and to.
type Cuts = Arc<Mutex<BTreeSet<(i32, i32)>>>;

pub struct TestNode {
    pub dir: tempfile::TempDir,
    pub address: Address,
    _port: HeldPort,
    running: Option<(Arc<Quorum>, JoinHandle<()>)>,
}

pub struct Cluster {
    pub nodes: BTreeMap<i32, TestNode>,
    cuts: Cuts,
    pub timing: Timing,
    pub formed_by: FormedBy,
}

pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("what is waited for comes") })
}

impl Cluster {
    /// Nodes that do not run yet, on free ports.
    pub fn new(ids: impl IntoIterator<Item = i32>) -> Cluster {
        let mut cluster =
            Cluster { nodes: BTreeMap::new(), cuts: Cuts::default(), timing: steady(), formed_by: FormedBy::All };
        for id in ids {
            cluster.add(id);
        }
        cluster
    }

    /// Three fixed voters that run, and the list of them.
    pub async fn of_three(timing: Timing) -> (Cluster, Formation) {
        let mut cluster = Cluster { timing, ..Cluster::new(1..=3) };
        let voters = cluster.voters();
        cluster.start_all(&voters).await;
        (cluster, voters)
    }

    pub fn add(&mut self, id: i32) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let port = HeldPort::reserve();
        let address = Address { host: "127.0.0.1".to_owned(), port: port.number() };
        self.nodes.insert(id, TestNode { dir, address, _port: port, running: None });
    }

    /// All nodes as fixed voters.
    pub fn voters(&self) -> Formation {
        Formation::Voters(self.nodes.iter().map(|(id, node)| (BrokerId(*id), node.address.clone())).collect())
    }

    pub fn join(&self, at: i32, auto_join: bool) -> Formation {
        Formation::Join { addresses: vec![self.nodes[&at].address.clone()], may_form: false, auto_join }
    }

    pub async fn start_all(&mut self, formation: &Formation) {
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.start(id, formation.clone()).await;
        }
    }

    pub async fn start(&mut self, id: i32, formation: Formation) {
        self.try_start(id, formation, None).await.expect("a quorum starts");
    }

    pub async fn try_start(
        &mut self,
        id: i32,
        formation: Formation,
        cluster_id: Option<&str>,
    ) -> Result<(), StartError> {
        let node = self.nodes.get_mut(&id).expect("a node of the cluster");
        let directory = node.dir.path().join(DIRECTORY);
        let quorum = Quorum::start(QuorumOptions {
            dir: directory,
            node_id: BrokerId(id),
            directory_id: crate::io::random::uuid(),
            cluster_id: cluster_id.map(str::to_owned),
            formation,
            endpoint: Endpoint { listener: "CONTROLLER".to_owned(), address: node.address.clone() },
            disk: Arc::new(SystemDisk),
            snapshot_entries: 100_000,
            formed_by: self.formed_by,
            timing: self.timing,
        });
        let quorum = Arc::new(quorum.await?);
        let socket = format!("{}:{}", node.address.host, node.address.port).parse().expect("an address");
        let listener = Listener::new(net::listen(socket, 64).expect("the port")).expect("a listener");
        let server = tokio::spawn(serve(listener, id, Arc::clone(&quorum), Arc::clone(&self.cuts)));
        node.running = Some((quorum, server));
        Ok(())
    }

    pub fn quorum(&self, id: i32) -> &Arc<Quorum> {
        &self.nodes[&id].running.as_ref().expect("a node that runs").0
    }

    /// The ids of those that run.
    pub fn running(&self) -> Vec<i32> {
        self.nodes.iter().filter(|(_, node)| node.running.is_some()).map(|(id, _)| *id).collect()
    }

    /// Ends a node as a signal would: nobody is told, nothing more is written.
    pub async fn kill(&mut self, id: i32) {
        let running = self.nodes.get_mut(&id).and_then(|node| node.running.take());
        let (quorum, server) = running.expect("a node that runs");
        server.abort();
        // The end of a task that was told to end.
        let _ = server.await;
        let service = quorum.service.lock().take();
        let (stop, service) = service.expect("a service");
        drop(stop);
        service.ended().await;
    }

    pub async fn stop(&mut self, id: i32) {
        self.quorum(id).stop().await;
        let running = self.nodes.get_mut(&id).and_then(|node| node.running.take());
        running.expect("a node that runs").1.abort();
    }

    pub async fn stop_all(mut self) {
        for id in self.running() {
            self.kill(id).await;
        }
    }

    /// Empties the directory of a node that does not run.
    pub fn wipe(&mut self, id: i32) {
        self.nodes.get_mut(&id).expect("a node of the cluster").dir =
            tempfile::tempdir().expect("a temporary directory");
    }

    pub fn cut(&self, from: i32, to: i32) {
        self.cuts.lock().insert((from, to));
    }

    /// Cuts a node off from all others.
    pub fn isolate(&self, id: i32) {
        for other in self.nodes.keys().filter(|other| **other != id) {
            self.cut(id, *other);
            self.cut(*other, id);
        }
    }

    /// Cuts two halves off from each other.
    pub fn part(&self, one: &[i32], other: &[i32]) {
        for (one, other) in one.iter().flat_map(|one| other.iter().map(move |other| (*one, *other))) {
            self.cut(one, other);
            self.cut(other, one);
        }
    }

    pub fn heal(&self) {
        self.cuts.lock().clear();
    }

    /// The node that may decide, when all of these agree on it.
    pub async fn leader_of(&self, ids: &[i32]) -> i32 {
        loop {
            let leaders: BTreeSet<Option<i32>> = ids
                .iter()
                .map(|id| self.quorum(*id).leadership().borrow().leader.as_ref().map(|leader| leader.id.0))
                .collect();
            if leaders.len() == 1
                && let Some(Some(leader)) = leaders.first().copied()
                && ids.contains(&leader)
                && self.quorum(leader).is_leader()
            {
                return leader;
            }
            tick().await;
        }
    }

    pub async fn leader(&self) -> i32 {
        self.leader_of(&self.running()).await
    }

    /// Commits a topic through whoever leads.
    pub async fn create(&self, name: &str, number: u128) {
        loop {
            let leader = self.running().into_iter().find(|id| self.quorum(*id).is_leader());
            if let Some(leader) = leader {
                let submitted =
                    tokio::time::timeout(Duration::from_secs(5), self.quorum(leader).submit(vec![topic(name, number)]));
                // A topic that is there twice is there once.
                if let Ok(Ok(_)) = submitted.await {
                    return;
                }
            }
            tick().await;
        }
    }

    /// Returns when all of these nodes have the topic.
    pub async fn await_topic(&self, ids: &[i32], name: &str) {
        for id in ids {
            let mut images = self.quorum(*id).images();
            images.wait_for(|image| image.topic(name).is_some()).await.expect("the quorum lives");
        }
    }
}

/// Gives others a turn.
pub async fn tick() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// Returns when the condition holds.
pub async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tick().await;
    }
}

async fn serve(listener: Listener, id: i32, quorum: Arc<Quorum>, cuts: Cuts) {
    let mut connections = JoinSet::new();
    loop {
        let (accepted, _) = listener.accept().await.expect("a connection");
        connections.spawn(serve_one(accepted, id, Arc::clone(&quorum), Arc::clone(&cuts)));
    }
}

async fn serve_one(accepted: Accepted, id: i32, quorum: Arc<Quorum>, cuts: Cuts) {
    let Ok(mut stream) = accepted.open(Duration::from_secs(1)) else { return };
    let mut read = BytesMut::new();
    loop {
        while let Some(mut body) = frame::next_frame(&mut read, 64 << 20).expect("an honest frame") {
            let header = RequestHeader::parse(&mut body).expect("a header");
            let from = header.client_id.as_deref().and_then(|text| text.strip_prefix("quorum-")?.parse().ok());
            let from: i32 = from.expect("a node's id");
            if cuts.lock().contains(&(from, id)) {
                continue;
            }
            let answer = quorum.handle_rpc(body).await;
            if cuts.lock().contains(&(id, from)) {
                continue;
            }
            let mut answered = BytesMut::new();
            answered.put_i32(i32::try_from(answer.len() + 4).expect("a small answer"));
            answered.put_i32(header.correlation_id);
            answered.put_slice(&answer);
            while !answered.is_empty() {
                let slices = [IoSlice::new(&answered)];
                let Ok(written) = std::future::poll_fn(|cx| stream.poll_write(cx, &slices, false)).await else {
                    return;
                };
                drop(answered.split_to(written));
            }
        }
        read.reserve(64 << 10);
        if std::future::poll_fn(|cx| stream.poll_read(cx, &mut read)).await.unwrap_or(0) == 0 {
            return;
        }
    }
}
