//! A server on a real socket, and clients that misbehave. The server must close or answer as Kafka does, and serve the others.

mod cluster;
mod controllers;
mod initial;
mod limits;
mod live;
mod replication;
mod replication_settings;
mod topic_settings;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::config::{self, Inputs};
use crate::io::clock::{Clock, SystemClock};
use crate::io::gated_disk::GatedDisk;
use crate::io::threads::wait;
use crate::model::{LeaderEpoch, Now, Offset, PartitionIndex};
use crate::protocol::records::RecordBatchBuilder;

use super::run::{Ground, Running, Server};

/// Longer than anything here takes; a test that reaches it fails.
pub(in crate::server) const LIMIT: Duration = Duration::from_secs(20);

pub(in crate::server) struct Fixture {
    running: Option<Running>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    pub(in crate::server) fn start(more: &[(&str, &str)]) -> Fixture {
        Fixture::start_on(Ground::system(), more)
    }

    pub(in crate::server) fn start_on(ground: Ground, more: &[(&str, &str)]) -> Fixture {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = vec![
            ("listeners", "PLAINTEXT://127.0.0.1:0"),
            ("log.dirs", folder.path().to_str().expect("a name in UTF-8")),
            ("server.threads", "2"),
            ("http.listener", ""),
        ];
        settings.retain(|(key, _)| more.iter().all(|(other, _)| other != key));
        settings.extend_from_slice(more);
        let flags = settings.into_iter().map(|(key, value)| ("--set".to_owned(), key.to_owned(), value.to_owned()));
        let inputs = Inputs { flags: flags.collect(), ..Inputs::default() };
        let loaded = config::load(&inputs).expect("settings that hold");
        let running = wait(Server::start_on(ground, loaded.settings)).expect("a server");
        Fixture { running: Some(running), _folder: folder }
    }

    pub(in crate::server) fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    pub(in crate::server) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.running().addresses()[0]).expect("a connection");
        stream.set_read_timeout(Some(LIMIT)).expect("a socket");
        stream
    }

    /// Others are served, and what went wrong holds nothing any more.
    fn assert_serves(&self) {
        let mut stream = self.connect();
        stream.write_all(&frame(&API_VERSIONS_V0)).expect("a request");
        assert_eq!(&answer(&mut stream).expect("an answer")[..6], &[0, 0, 0, 7, 0, 0]);
        drop(stream);
        self.eventually("no connection is left", |running| running.connections() == 0);
        self.eventually("no memory is held", |running| running.request_memory_bytes() == 0);
    }

    pub(in crate::server) fn eventually(&self, what: &str, mut holds: impl FnMut(&Running) -> bool) {
        let start = Instant::now();
        while !holds(self.running()) {
            assert!(start.elapsed() < LIMIT, "{what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            wait(running.stop());
        }
    }
}

/// ApiVersions v0, correlation id 7, client id null.
const API_VERSIONS_V0: [u8; 10] = [0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

pub(in crate::server) fn frame(content: &[u8]) -> Vec<u8> {
    let length = i32::try_from(content.len()).expect("a short frame");
    [&length.to_be_bytes(), content].concat()
}

/// The next answer without its length; `None` when the server has closed the connection.
pub(in crate::server) fn answer(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("neither an answer nor an end"),
        Err(_) => return None,
    }
    let mut content = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("a length")];
    stream.read_exact(&mut content).expect("a whole answer");
    Some(content)
}

fn assert_closes(fixture: &Fixture, what: &str, bytes: &[u8]) {
    let mut stream = fixture.connect();
    // The server may have closed it before everything was sent.
    let _ = stream.write_all(bytes);
    assert_eq!(answer(&mut stream), None, "{what}");
    drop(stream);
    fixture.assert_serves();
}

#[test]
fn lengths_of_nothing_below_nothing_and_too_much_close_the_connection() {
    let fixture = Fixture::start(&[("socket.request.max.bytes", "1000")]);
    assert_closes(&fixture, "length 0", &[0, 0, 0, 0]);
    assert_closes(&fixture, "length -1", &[0xff, 0xff, 0xff, 0xff]);
    assert_closes(&fixture, "length -2^31", &[0x80, 0, 0, 0]);
    assert_closes(&fixture, "length 2 GB", &[0x7f, 0xff, 0xff, 0xff]);
    assert_closes(&fixture, "one byte over the limit", &1001_i32.to_be_bytes());
}

#[test]
fn a_request_as_long_as_the_limit_is_answered() {
    let fixture = Fixture::start(&[("socket.request.max.bytes", "1000")]);
    let mut stream = fixture.connect();
    let mut content = API_VERSIONS_V0.to_vec();
    content.resize(1000, 0);
    stream.write_all(&frame(&content)).expect("a request");
    assert!(answer(&mut stream).is_some());
}

#[test]
fn headers_that_nobody_can_read_close_the_connection() {
    let fixture = Fixture::start(&[]);
    assert_closes(&fixture, "an unknown API", &frame(&[0x7f, 0xff, 0, 0, 0, 0, 0, 7, 0xff, 0xff]));
    assert_closes(&fixture, "an API that is not offered", &frame(&[0, 52, 0, 0, 0, 0, 0, 7, 0xff, 0xff, 0]));
    assert_closes(&fixture, "a version that is not offered", &frame(&[0, 3, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0]));
    assert_closes(&fixture, "a header that breaks off", &frame(&[0, 18, 0]));
    assert_closes(&fixture, "a client id beyond the frame", &frame(&[0, 18, 0, 0, 0, 0, 0, 7, 0x7f, 0xff]));
}

#[test]
fn four_byte_bodies_of_every_api_and_version_do_no_harm() {
    let fixture = Fixture::start(&[]);
    for row in crate::api::rows() {
        for version in row.advertised.clone() {
            for body in [[0xff; 4], [0x7f, 0xff, 0xff, 0xff], [0; 4], [0x80, 0, 0, 0]] {
                let mut content = Vec::new();
                content.extend_from_slice(&row.key.key().to_be_bytes());
                content.extend_from_slice(&version.to_be_bytes());
                content.extend_from_slice(&[0, 0, 0, 7, 0xff, 0xff]);
                if row.key.is_flexible(version) {
                    content.push(0);
                }
                content.extend_from_slice(&body);
                let mut stream = fixture.connect();
                stream.write_all(&frame(&content)).expect("a request");
                // No more comes: whatever this request is, it is answered or closed.
                stream.shutdown(std::net::Shutdown::Write).expect("a socket");
                let _ = answer(&mut stream);
            }
        }
    }
    fixture.assert_serves();
}

#[test]
fn a_count_beyond_the_frame_closes_the_connection() {
    let fixture = Fixture::start(&[]);
    // Metadata v1: 2^31-1 topics, in four bytes.
    let metadata = [0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff];
    assert_closes(&fixture, "a count beyond the frame", &frame(&metadata));
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_so_that_the_client_can_ask_again() {
    let fixture = Fixture::start(&[]);
    let mut stream = fixture.connect();
    stream.write_all(&frame(&[0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0])).expect("a request");
    let unsupported = [0, 0, 0, 7, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4];
    assert_eq!(answer(&mut stream).as_deref(), Some(&unsupported[..]));
    stream.write_all(&frame(&API_VERSIONS_V0)).expect("a request");
    assert!(answer(&mut stream).is_some(), "the connection is kept");
}

#[test]
fn every_request_of_one_packet_is_answered_in_order() {
    let fixture = Fixture::start(&[]);
    let mut stream = fixture.connect();
    let mut packet = Vec::new();
    for id in 0..100_u8 {
        packet.extend_from_slice(&frame(&[0, 18, 0, 0, 0, 0, 0, id, 0xff, 0xff]));
    }
    // The last one is cut in two.
    let cut = packet.len() - 5;
    stream.write_all(&packet[..cut]).expect("requests");
    for id in 0..99 {
        assert_eq!(answer(&mut stream).expect("an answer")[3], id);
    }
    stream.write_all(&packet[cut..]).expect("the rest");
    assert_eq!(answer(&mut stream).expect("an answer")[3], 99);
}

/// A Produce v3 request without a topic, with this correlation id.
fn empty_produce(correlation_id: u8) -> Vec<u8> {
    frame(&[0, 0, 0, 3, 0, 0, 0, correlation_id, 255, 255, 255, 255, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0])
}

#[test]
fn what_comes_before_a_frame_that_ends_the_connection_is_not_left_to_the_next_one() {
    let fixture = Fixture::start(&[]);
    let mut broken = fixture.connect();
    broken.write_all(&[empty_produce(1), vec![255; 4]].concat()).expect("requests");
    while answer(&mut broken).is_some() {}
    // One for each core, and more.
    let others: Vec<_> = (2..8)
        .map(|correlation_id| {
            let mut stream = fixture.connect();
            stream.write_all(&empty_produce(correlation_id)).expect("a request");
            assert_eq!(&answer(&mut stream).expect("an answer")[..4], &[0, 0, 0, correlation_id]);
            stream
        })
        .collect();
    drop((broken, others));
    fixture.assert_serves();
}

#[test]
fn a_client_that_closes_its_side_still_gets_its_answers() {
    let fixture = Fixture::start(&[]);
    let mut stream = fixture.connect();
    stream.write_all(&frame(&API_VERSIONS_V0).repeat(3)).expect("requests");
    stream.shutdown(std::net::Shutdown::Write).expect("a socket");
    for _ in 0..3 {
        assert!(answer(&mut stream).is_some());
    }
    assert_eq!(answer(&mut stream), None);
    fixture.assert_serves();
}

#[test]
fn a_begun_request_must_make_progress() {
    let fixture = Fixture::start(&[("request.progress.timeout.ms", "200")]);
    // Nothing after the first bytes: the length alone, then a truncated frame.
    assert_closes(&fixture, "half a length", &[0, 0]);
    assert_closes(&fixture, "a truncated frame", &[0, 0, 0, 100, 0, 18]);
    // A byte at a time is no progress either.
    let mut stream = fixture.connect();
    let sender = stream.try_clone().expect("a socket");
    let trickle = std::thread::spawn(move || {
        let mut sender = sender;
        sender.write_all(&[0, 0, 1, 0]).expect("a length");
        while sender.write_all(&[0]).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(answer(&mut stream), None);
    trickle.join().expect("it ends with the connection");
    fixture.assert_serves();
}

#[test]
fn a_large_request_on_a_slow_line_may_take_longer_than_the_window() {
    let fixture = Fixture::start(&[("request.progress.timeout.ms", "200")]);
    let mut content = API_VERSIONS_V0.to_vec();
    content.resize(20 * 2048, 0);
    let mut stream = fixture.connect();
    for part in frame(&content).chunks(2048) {
        stream.write_all(part).expect("a part");
        std::thread::sleep(Duration::from_millis(30));
    }
    assert!(answer(&mut stream).is_some());
}

#[test]
fn a_silent_connection_is_closed_when_it_has_idled_enough() {
    let fixture = Fixture::start(&[("connections.max.idle.ms", "200")]);
    assert_closes(&fixture, "silence", &[]);
    let mut stream = fixture.connect();
    stream.write_all(&frame(&API_VERSIONS_V0)).expect("a request");
    assert!(answer(&mut stream).is_some());
    assert_eq!(answer(&mut stream), None);
}

#[test]
fn when_memory_is_spent_the_slowest_sender_goes_and_the_others_are_served() {
    let fixture = Fixture::start(&[
        ("request.memory.max.bytes", "1048576"),
        ("connection.memory.max.bytes", "1048576"),
        ("socket.request.max.bytes", "1000000"),
    ]);
    // Ten begun requests of 300 KB, of which all but the last bytes have come: 3 MB, and 1 MB may be held.
    let mut content = API_VERSIONS_V0.to_vec();
    content.resize(300_000, 0);
    let bytes = frame(&content);
    let (begin, end) = bytes.split_at(bytes.len() - 10);
    let senders: Vec<_> = (0..10)
        .map(|_| {
            let mut stream = fixture.connect();
            let begin = begin.to_vec();
            std::thread::spawn(move || stream.write_all(&begin).map(|()| stream))
        })
        .collect();
    fixture.eventually("somebody had to go", |running| {
        assert!(running.request_memory_bytes() <= 1_048_576);
        running.connections_accepted() == 10 && running.connections() > 0 && running.connections() <= 3
    });
    let left = senders.into_iter().filter_map(|sender| sender.join().expect("no panic").ok());
    let answered = left.filter_map(|mut stream| {
        stream.write_all(end).ok()?;
        answer(&mut stream)
    });
    assert!(answered.count() > 0, "who stayed is served");
    fixture.assert_serves();
}

#[test]
fn a_client_that_takes_no_answers_is_not_read_for_ever() {
    let fixture = Fixture::start(&[]);
    let mut stream = fixture.connect();
    stream.set_nonblocking(true).expect("a socket");
    let packet = frame(&API_VERSIONS_V0).repeat(1000);
    let (mut sent, mut pauses) = (0, 0);
    // Until the sockets of both sides are full and the server has stopped reading.
    while pauses < 50 {
        match stream.write(&packet[sent % packet.len()..]) {
            Ok(count) => (sent, pauses) = (sent + count, 0),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                pauses += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => panic!("{error}"),
        }
        assert!(fixture.running().request_memory_bytes() < 32 << 20);
    }
    drop(stream);
    fixture.assert_serves();
}

/// The system's clock, which can be put forward.
struct AdvancingClock {
    clock: SystemClock,
    ahead_ms: AtomicU64,
}

impl Clock for AdvancingClock {
    fn now(&self) -> Now {
        let now = self.clock.now();
        Now { monotonic_ms: now.monotonic_ms + self.ahead_ms.load(Ordering::Relaxed), ..now }
    }
}

#[test]
fn a_client_that_takes_no_answers_is_closed_when_it_has_taken_none_for_long_enough() {
    let clock = Arc::new(AdvancingClock { clock: SystemClock::new(), ahead_ms: AtomicU64::new(0) });
    let ground = Ground { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..Ground::system() };
    let fixture = Fixture::start_on(ground, &[("server.threads", "1")]);
    let limit_ms = fixture.running().shared.options.write_stall_ms;
    let mut stream = fixture.connect();
    stream.set_nonblocking(true).expect("a socket");
    let packet = frame(&API_VERSIONS_V0).repeat(1000);
    let (mut sent, mut pauses) = (0, 0);
    while pauses < 50 {
        match stream.write(&packet[sent % packet.len()..]) {
            Ok(count) => (sent, pauses) = (sent + count, 0),
            Err(_) => {
                pauses += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
    // With the same core serving another connection after it has looked at this one.
    let look = || {
        fixture.running().shared.interrupt_all();
        let mut other = fixture.connect();
        other.write_all(&frame(&API_VERSIONS_V0)).expect("a request");
        assert!(answer(&mut other).is_some());
    };
    clock.ahead_ms.store(limit_ms - 30_000, Ordering::Relaxed);
    look();
    fixture.eventually("the other one has gone", |running| running.connections() <= 1);
    assert_eq!(fixture.running().connections(), 1, "the time is not over");
    // The sockets' buffers may have grown and taken some more: then the time begins anew.
    fixture.eventually("it is closed", |running| {
        clock.ahead_ms.fetch_add(limit_ms, Ordering::Relaxed);
        running.shared.interrupt_all();
        running.connections() == 0
    });
    drop(stream);
    fixture.assert_serves();
}

/// A Produce v3 request of one record to partition 0 of topic t, with acks=all.
pub(in crate::server) fn produce(correlation_id: u8) -> Vec<u8> {
    let mut builder = RecordBatchBuilder::new(LeaderEpoch(-1), 1_700_000_000_000);
    builder.append(1_700_000_000_000, None, Some(b"v"));
    let batch = builder.build();
    let length = i32::try_from(batch.len()).expect("a short batch").to_be_bytes();
    let head =
        [0, 0, 0, 3, 0, 0, 0, correlation_id, 255, 255, 255, 255, 255, 255, 0, 0, 117, 48, 0, 0, 0, 1, 0, 1, b't'];
    frame(&[&head[..], &[0, 0, 0, 1, 0, 0, 0, 0], &length, &batch].concat())
}

#[test]
fn a_produce_overlaps_with_the_next_one_and_what_follows_waits_for_both() {
    let disk = GatedDisk::new("t-0");
    let ground = Ground { disk: Arc::new(disk.clone()), ..Ground::system() };
    let fixture = Fixture::start_on(ground, &[]);
    let mut stream = fixture.connect();
    // Metadata v1 of topic t, which creates it.
    stream.write_all(&frame(&[0, 3, 0, 1, 0, 0, 0, 1, 255, 255, 0, 0, 0, 1, 0, 1, b't'])).expect("a request");
    assert!(answer(&mut stream).is_some());
    let packet = [produce(2), produce(3), frame(&API_VERSIONS_V0), produce(8)].concat();
    stream.write_all(&packet).expect("requests");
    disk.await_one();
    // ApiVersions would be the fourth. It needs no disk, and has been read.
    fixture.eventually("both produces are started", |running| running.requests() == 3);
    let replica = fixture.running().broker().replica("t", PartitionIndex(0)).expect("its leader");
    assert_eq!(replica.published().log_end, Offset(2));
    stream.set_nonblocking(true).expect("a socket");
    let read = stream.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(read, Err(std::io::ErrorKind::WouldBlock), "nothing is flushed, so nothing is answered");
    stream.set_nonblocking(false).expect("a socket");
    disk.open_gate();
    let ids: Vec<u8> = (0..4).map(|_| answer(&mut stream).expect("an answer")[3]).collect();
    assert_eq!(ids, [2, 3, 7, 8]);
    drop(stream);
    fixture.assert_serves();
}

#[test]
fn connections_over_the_limit_are_refused_until_one_ends() {
    let fixture = Fixture::start(&[("max.connections", "3")]);
    let mut held: Vec<TcpStream> = (0..3).map(|_| fixture.connect()).collect();
    fixture.eventually("three are open", |running| running.connections() == 3);
    let mut refused = fixture.connect();
    assert_eq!(answer(&mut refused), None);
    held[0].write_all(&frame(&API_VERSIONS_V0)).expect("a request");
    assert!(answer(&mut held[0]).is_some(), "who is in is served");
    drop(held);
    fixture.eventually("none is open", |running| running.connections() == 0);
    fixture.assert_serves();
}

#[test]
fn a_port_in_use_is_named() {
    let fixture = Fixture::start(&[]);
    let taken = fixture.running().addresses()[0];
    let folder = tempfile::tempdir().expect("a folder");
    let flags = [("listeners", format!("PLAINTEXT://{taken}")), ("log.dirs", folder.path().display().to_string())];
    let flags = flags.into_iter().map(|(key, value)| ("--set".to_owned(), key.to_owned(), value));
    let inputs = Inputs { flags: flags.collect(), ..Inputs::default() };
    let settings = config::load(&inputs).expect("settings that hold").settings;
    let error = wait(Server::start(settings)).err().expect("the port is taken");
    let text = format!("{error:#}");
    assert!(text.contains(&taken.to_string()) && text.contains("another process listens there"), "{text}");
}

#[test]
fn a_stop_ends_connections_and_frees_the_port() {
    let mut fixture = Fixture::start(&[]);
    let address = fixture.running().addresses()[0];
    let mut idle = fixture.connect();
    fixture.eventually("it is open", |running| running.connections() == 1);
    wait(fixture.running.take().expect("it runs").stop());
    assert_eq!(answer(&mut idle), None);
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}
