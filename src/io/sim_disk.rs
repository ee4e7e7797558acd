//! A disk in memory that can lose power.
//!
//! Files and directories are inodes. What was written since an inode's last flush may, after a cut, be there or not: a random
//! prefix of its operations survives, of the three behind it any may, and any write may be torn into blocks of 512 bytes or
//! 4 KiB of which each survives or not. Inodes are cut independently, so that nothing is ordered across files without a
//! flush. A directory's names need a flush of their own.
//!
//! Calls can be made to fail, the space can be bounded, and flushes can be made to lie, to show that a test would notice.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Component, Path};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::io::disk::{DirEntry, Disk, DiskFile, DiskLock, Space};

type NodeId = usize;
const ROOT: NodeId = 0;

/// How many operations behind the surviving prefix may overtake others.
const REORDERED_OPERATIONS: usize = 3;

/// Random numbers from a seed (SplitMix64), so that a cut can be made again.
#[derive(Clone, Debug)]
pub struct SimRandom(u64);

impl SimRandom {
    pub fn new(seed: u64) -> SimRandom {
        SimRandom(seed)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next_u64() % bound as u64).expect("below a usize")
    }

    fn coin(&mut self) -> bool {
        self.next_u64() & 1 == 1
    }
}

#[derive(Clone, Debug)]
enum FileOperation {
    Write { position: usize, bytes: Vec<u8> },
    Truncate { len: usize },
}

/// A name that appeared (`Some`) or went (`None`); a rename is both in one operation.
type DirOperation = Vec<(String, Option<NodeId>)>;

#[derive(Clone, Debug)]
enum Node {
    File { now: Vec<u8>, flushed: Vec<u8>, pending: Vec<FileOperation> },
    Dir { now: BTreeMap<String, NodeId>, flushed: BTreeMap<String, NodeId>, pending: Vec<DirOperation> },
}

/// Which flushes answer success and do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    Records,
    All,
}

#[derive(Clone, Debug)]
struct State {
    nodes: Vec<Node>,
    operation_count: u64,
    flush_count: u64,
    fail_at: Option<(u64, io::ErrorKind)>,
    capacity_bytes: usize,
    flushes_lie: Lie,
    /// Whether the next flush of records fails; it takes what it was to flush with it.
    fails_next_flush: bool,
    has_failed_flush: bool,
    off: bool,
    /// Images to be taken: before an operation takes effect, with some chance.
    image_chance: Option<(SimRandom, usize)>,
    images: Vec<(u64, State)>,
    mark: u64,
}

/// A simulated disk; clones share it.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// The disk as a power cut during some operation left it.
pub struct Image {
    /// What [`SimDisk::mark`] was told last before the cut.
    pub mark: u64,
    pub disk: SimDisk,
}

fn empty_dir() -> Node {
    Node::Dir { now: BTreeMap::new(), flushed: BTreeMap::new(), pending: Vec::new() }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Default for SimDisk {
    fn default() -> SimDisk {
        SimDisk::new()
    }
}

impl SimDisk {
    /// An empty disk without bounds or failures.
    pub fn new() -> SimDisk {
        SimDisk::from_state(State {
            nodes: vec![empty_dir()],
            operation_count: 0,
            flush_count: 0,
            fail_at: None,
            capacity_bytes: usize::MAX,
            flushes_lie: Lie::None,
            fails_next_flush: false,
            has_failed_flush: false,
            off: false,
            image_chance: None,
            images: Vec::new(),
            mark: 0,
        })
    }

    fn from_state(state: State) -> SimDisk {
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// The operation `after` changes from now fails, and has had no effect, or half of its own if it is a write.
    pub fn fail_after(&self, after: u64, error: io::ErrorKind) {
        let mut state = self.state.lock();
        state.fail_at = Some((state.operation_count + after, error));
    }

    /// How often anything was changed or flushed.
    #[cfg(test)]
    pub fn operation_count(&self) -> u64 {
        self.state.lock().operation_count
    }

    /// How often a file or a directory was flushed.
    #[cfg(test)]
    pub fn flush_count(&self) -> u64 {
        self.state.lock().flush_count
    }

    /// How many bytes all files may hold.
    pub fn set_capacity_bytes(&self, bytes: usize) {
        self.state.lock().capacity_bytes = bytes;
    }

    /// Flushes answer success from now on and do nothing.
    pub fn let_flushes_lie(&self) {
        self.state.lock().flushes_lie = Lie::All;
    }

    /// As [`SimDisk::let_flushes_lie`], for the files of partitions' records only (`*.log`): what else a server writes would
    /// notice first, and refuse to start.
    pub fn let_flushes_of_records_lie(&self) {
        self.state.lock().flushes_lie = Lie::Records;
    }

    /// The next flush of records fails as on Linux: what it was to flush stays readable, counts as clean, and is not on the
    /// medium (fsyncgate). A later flush succeeds and proves nothing.
    pub fn fail_next_flush(&self) {
        self.state.lock().fails_next_flush = true;
    }

    /// Whether a flush has failed so since power was there.
    pub fn has_failed_flush(&self) -> bool {
        self.state.lock().has_failed_flush
    }

    /// Power goes: every call fails from now on.
    pub fn turn_off(&self) {
        self.state.lock().off = true;
    }

    /// Cuts power on a copy of the disk, before one in `one_in` changing operations, while the disk itself goes on.
    pub fn take_images(&self, seed: u64, one_in: usize) {
        self.state.lock().image_chance = Some((SimRandom::new(seed), one_in));
    }

    /// Labels the images taken from here on.
    pub fn mark(&self, mark: u64) {
        self.state.lock().mark = mark;
    }

    /// The images taken since the last call.
    pub fn images(&self) -> Vec<Image> {
        let images = std::mem::take(&mut self.state.lock().images);
        images.into_iter().map(|(mark, state)| Image { mark, disk: SimDisk::from_state(state) }).collect()
    }

    /// The disk after power was cut now: what was not flushed is there, gone, or torn. This disk is left as it is.
    pub fn cut(&self, seed: u64) -> SimDisk {
        let state = self.state.lock();
        SimDisk::from_state(state.cut(&mut SimRandom::new(seed), None))
    }
}

impl State {
    fn cut(&self, random: &mut SimRandom, current: Option<(NodeId, &FileOperation)>) -> State {
        let mut nodes = self.nodes.clone();
        if let Some((node, operation)) = current
            && let Node::File { pending, .. } = &mut nodes[node]
        {
            pending.push(operation.clone());
        }
        for node in &mut nodes {
            match node {
                Node::File { now, flushed, pending } => {
                    for operation in surviving(std::mem::take(pending), random) {
                        apply_torn(flushed, operation, random);
                    }
                    now.clone_from(flushed);
                }
                Node::Dir { now, flushed, pending } => {
                    for operation in surviving(std::mem::take(pending), random) {
                        apply_dir(flushed, operation);
                    }
                    now.clone_from(flushed);
                }
            }
        }
        let (fail_at, image_chance) = (None, None);
        State {
            nodes,
            fail_at,
            image_chance,
            images: Vec::new(),
            off: false,
            flushes_lie: Lie::None,
            fails_next_flush: false,
            has_failed_flush: false,
            capacity_bytes: self.capacity_bytes,
            operation_count: 0,
            flush_count: 0,
            mark: self.mark,
        }
    }

    /// Before a change: takes an image, counts, fails when told to.
    fn on_change(&mut self, current: Option<(NodeId, &FileOperation)>) -> io::Result<()> {
        self.check_power()?;
        if let Some((mut random, one_in)) = self.image_chance.clone() {
            if random.below(one_in) == 0 {
                let image = self.cut(&mut random, current);
                self.images.push((self.mark, image));
            }
            self.image_chance = Some((random, one_in));
        }
        self.operation_count += 1;
        match self.fail_at {
            Some((at, error)) if self.operation_count > at => {
                self.fail_at = None;
                Err(error.into())
            }
            _ => Ok(()),
        }
    }

    fn check_power(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    fn find(&self, path: &Path) -> io::Result<NodeId> {
        self.check_power()?;
        let mut node = ROOT;
        for name in names(path) {
            let Node::Dir { now, .. } = &self.nodes[node] else { return Err(not_found()) };
            node = *now.get(name).ok_or_else(not_found)?;
        }
        Ok(node)
    }

    fn parent<'p>(&self, path: &'p Path) -> io::Result<(NodeId, &'p str)> {
        let name = names(path).last().ok_or_else(not_found)?;
        Ok((self.find(path.parent().ok_or_else(not_found)?)?, name))
    }

    fn change_dir(&mut self, node: NodeId, operation: DirOperation) -> io::Result<()> {
        self.on_change(None)?;
        let Node::Dir { now, pending, .. } = &mut self.nodes[node] else { return Err(not_found()) };
        apply_dir(now, operation.clone());
        pending.push(operation);
        Ok(())
    }

    fn change_file(&mut self, node: NodeId, operation: FileOperation) -> io::Result<()> {
        let changed = self.on_change(Some((node, &operation)));
        let room = self.capacity_bytes.saturating_sub(self.used_bytes());
        let Node::File { now, pending, .. } = &mut self.nodes[node] else { return Err(not_found()) };
        let operation = match (operation, changed) {
            (operation, Ok(())) => operation,
            // A write that fails may have written its first half.
            (FileOperation::Write { position, mut bytes }, Err(error)) => {
                bytes.truncate(bytes.len() / 2);
                let half = FileOperation::Write { position, bytes };
                apply(now, &half);
                pending.push(half);
                return Err(error);
            }
            (FileOperation::Truncate { .. }, Err(error)) => return Err(error),
        };
        let (operation, full) = match operation {
            FileOperation::Write { position, mut bytes } if position + bytes.len() > now.len() + room => {
                bytes.truncate((now.len() + room).saturating_sub(position));
                (FileOperation::Write { position, bytes }, true)
            }
            operation => (operation, false),
        };
        apply(now, &operation);
        pending.push(operation);
        if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn used_bytes(&self) -> usize {
        let len = |node: &Node| if let Node::File { now, .. } = node { now.len() } else { 0 };
        self.nodes.iter().map(len).sum()
    }
}

fn names(path: &Path) -> impl Iterator<Item = &str> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => name.to_str(),
        _ => None,
    })
}

/// Which of the unflushed operations reached the medium: a prefix, and any of the few behind it.
fn surviving<T>(operations: Vec<T>, random: &mut SimRandom) -> Vec<T> {
    let prefix = random.below(operations.len() + 1);
    let overtaking = prefix..prefix + REORDERED_OPERATIONS;
    let survives =
        |index: usize, random: &mut SimRandom| index < prefix || overtaking.contains(&index) && random.coin();
    operations.into_iter().enumerate().filter(|(index, _)| survives(*index, random)).map(|(_, kept)| kept).collect()
}

fn apply(content: &mut Vec<u8>, operation: &FileOperation) {
    match operation {
        FileOperation::Truncate { len } => content.resize(*len, 0),
        FileOperation::Write { position, bytes } => {
            let end = position + bytes.len();
            content.resize(content.len().max(end), 0);
            content[*position..end].copy_from_slice(bytes);
        }
    }
}

/// Applies a write whole, or torn along the medium's blocks.
fn apply_torn(content: &mut Vec<u8>, operation: FileOperation, random: &mut SimRandom) {
    let FileOperation::Write { position, bytes } = &operation else { return apply(content, &operation) };
    let block = match random.below(3) {
        0 => return apply(content, &operation),
        1 => 512,
        _ => 4096,
    };
    let end = position + bytes.len();
    let mut start = *position;
    while start < end {
        let stop = ((start / block + 1) * block).min(end);
        if random.coin() {
            let bytes = bytes[start - position..stop - position].to_vec();
            apply(content, &FileOperation::Write { position: start, bytes });
        }
        start = stop;
    }
}

fn apply_dir(entries: &mut BTreeMap<String, NodeId>, operation: DirOperation) {
    for (name, node) in operation {
        match node {
            Some(node) => entries.insert(name, node),
            None => entries.remove(&name),
        };
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        let node = match state.find(path) {
            Ok(node) => node,
            Err(_) if create => {
                let (parent, name) = state.parent(path)?;
                let node = state.nodes.len();
                state.nodes.push(Node::File { now: Vec::new(), flushed: Vec::new(), pending: Vec::new() });
                state.change_dir(parent, vec![(name.to_owned(), Some(node))])?;
                node
            }
            Err(error) => return Err(error),
        };
        match state.nodes[node] {
            Node::File { .. } => {
                let has_records = path.extension().is_some_and(|extension| extension == "log");
                Ok(Arc::new(SimFile { disk: self.clone(), node, has_records }))
            }
            Node::Dir { .. } => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state.lock();
        match &state.nodes[state.find(path)?] {
            Node::File { now, .. } => Ok(now.clone()),
            Node::Dir { .. } => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        self.state.lock().find(path).is_ok()
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.state.lock();
        let Node::Dir { now, .. } = &state.nodes[state.find(path)?] else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        let is_dir = |node: NodeId| matches!(state.nodes[node], Node::Dir { .. });
        Ok(now.iter().map(|(name, node)| DirEntry { name: name.clone(), is_dir: is_dir(*node) }).collect())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let mut parent = ROOT;
        for name in names(path) {
            let Node::Dir { now, .. } = &state.nodes[parent] else { return Err(io::ErrorKind::NotADirectory.into()) };
            parent = match now.get(name) {
                Some(node) => *node,
                None => {
                    let node = state.nodes.len();
                    state.nodes.push(empty_dir());
                    state.change_dir(parent, vec![(name.to_owned(), Some(node))])?;
                    node
                }
            };
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let node = state.find(from)?;
        let (from_dir, from_name) = state.parent(from)?;
        let (to_dir, to_name) = state.parent(to)?;
        if from_dir == to_dir {
            return state.change_dir(from_dir, vec![(from_name.to_owned(), None), (to_name.to_owned(), Some(node))]);
        }
        state.change_dir(to_dir, vec![(to_name.to_owned(), Some(node))])?;
        state.change_dir(from_dir, vec![(from_name.to_owned(), None)])
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.find(path)?;
        let (parent, name) = state.parent(path)?;
        state.change_dir(parent, vec![(name.to_owned(), None)])
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let node = state.find(path)?;
        state.on_change(None)?;
        state.flush_count += 1;
        let lies = state.flushes_lie == Lie::All;
        match &mut state.nodes[node] {
            Node::Dir { flushed, pending, .. } if !lies => {
                pending.drain(..).for_each(|operation| apply_dir(flushed, operation));
            }
            _ => {}
        }
        Ok(())
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let state = self.state.lock();
        state.find(path)?;
        let usable = state.capacity_bytes.saturating_sub(state.used_bytes());
        Ok(Space { total_bytes: state.capacity_bytes as u64, usable_bytes: usable as u64 })
    }

    fn lock(&self, _path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.state.lock().check_power()?;
        Ok(Some(Box::new(SimLock)))
    }
}

struct SimLock;

impl DiskLock for SimLock {}

struct SimFile {
    disk: SimDisk,
    node: NodeId,
    has_records: bool,
}

impl SimFile {
    fn with<T>(&self, read: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        let state = self.disk.state.lock();
        state.check_power()?;
        match &state.nodes[self.node] {
            Node::File { now, .. } => Ok(read(now)),
            Node::Dir { .. } => Err(io::ErrorKind::IsADirectory.into()),
        }
    }
}

fn index(position: u64) -> usize {
    usize::try_from(position).expect("a simulated file fits in memory")
}

impl DiskFile for SimFile {
    fn write_all_at(&self, slices: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        let bytes = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let operation = FileOperation::Write { position: index(position), bytes };
        self.disk.state.lock().change_file(self.node, operation)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.with(|content| {
            let start = index(position).min(content.len());
            let count = buffer.len().min(content.len() - start);
            buffer[..count].copy_from_slice(&content[start..start + count]);
            count
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.disk.state.lock().change_file(self.node, FileOperation::Truncate { len: index(len) })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|content| content.len() as u64)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.on_change(None)?;
        state.flush_count += 1;
        let lies = match state.flushes_lie {
            Lie::None => false,
            Lie::Records => self.has_records,
            Lie::All => true,
        };
        if state.fails_next_flush && self.has_records {
            (state.fails_next_flush, state.has_failed_flush) = (false, true);
            if let Node::File { pending, .. } = &mut state.nodes[self.node] {
                pending.clear();
            }
            return Err(io::Error::other("the medium failed"));
        }
        match &mut state.nodes[self.node] {
            Node::File { flushed, pending, .. } if !lies => {
                // What was written since is small against the file.
                pending.drain(..).for_each(|operation| apply(flushed, &operation));
            }
            _ => {}
        }
        Ok(())
    }

    fn modified_ms(&self) -> io::Result<i64> {
        self.with(|_| 0)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(disk: &SimDisk, path: &str, text: &str, position: u64) -> Arc<dyn DiskFile> {
        let file = disk.open(Path::new(path), true).unwrap();
        file.write_all_at(&mut [IoSlice::new(text.as_bytes())], position).unwrap();
        file
    }

    fn outcomes(disk: &SimDisk, path: &str) -> std::collections::BTreeSet<Option<String>> {
        let read = |seed| disk.cut(seed).read(Path::new(path)).ok();
        (0..200).map(read).map(|bytes| bytes.map(|bytes| String::from_utf8(bytes).unwrap())).collect()
    }

    #[test]
    fn a_file_survives_when_it_and_its_name_are_flushed() {
        let disk = SimDisk::new();
        let file = write(&disk, "a", "hello", 0);
        assert!(outcomes(&disk, "a").contains(&None));
        file.sync_data().unwrap();
        assert_eq!(outcomes(&disk, "a"), [None, Some("hello".into())].into());
        disk.sync_dir(Path::new("")).unwrap();
        assert_eq!(outcomes(&disk, "a"), [Some("hello".into())].into());
        write(&disk, "a", "jello", 0);
        assert_eq!(outcomes(&disk, "a"), [Some("hello".into()), Some("jello".into())].into());
    }

    #[test]
    fn later_writes_may_overtake_earlier_ones() {
        let disk = SimDisk::new();
        let file = write(&disk, "a", "--", 0);
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        write(&disk, "a", "1", 0);
        write(&disk, "a", "2", 1);
        let expected = ["--", "1-", "-2", "12"].map(|text| Some(text.to_owned()));
        assert_eq!(outcomes(&disk, "a"), expected.into());
    }

    #[test]
    fn an_atomic_replacement_shows_the_old_or_the_new() {
        let disk = SimDisk::new();
        disk.write_atomically(Path::new("/a"), b"old").unwrap();
        disk.take_images(1, 1);
        disk.write_atomically(Path::new("/a"), b"new").unwrap();
        let found: std::collections::BTreeSet<_> =
            disk.images().iter().map(|image| image.disk.read(Path::new("/a")).unwrap()).collect();
        assert!(found.is_subset(&[b"old".to_vec(), b"new".to_vec()].into()), "{found:?}");
        assert_eq!(disk.cut(0).read(Path::new("/a")).unwrap(), b"new");
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_says_so() {
        let disk = SimDisk::new();
        disk.set_capacity_bytes(4);
        let file = disk.open(Path::new("a"), true).unwrap();
        let error = file.write_all_at(&mut [IoSlice::new(b"hello")], 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.read(Path::new("a")).unwrap(), b"hell");
    }

    #[test]
    fn what_a_failed_flush_was_to_flush_is_lost_whatever_later_ones_say() {
        let disk = SimDisk::new();
        let file = write(&disk, "a.log", "--", 0);
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        write(&disk, "a.log", "xx", 0);
        disk.fail_next_flush();
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        assert_eq!(disk.read(Path::new("a.log")).unwrap(), b"xx");
        assert_eq!(outcomes(&disk, "a.log"), [Some("--".into())].into());
        assert!(disk.has_failed_flush());
    }

    #[test]
    fn a_lying_flush_loses_what_it_claimed() {
        let disk = SimDisk::new();
        disk.let_flushes_lie();
        disk.write_atomically(Path::new("/a"), b"x").unwrap();
        assert!(outcomes(&disk, "a").contains(&None));
    }
}
