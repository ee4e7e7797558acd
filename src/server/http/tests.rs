//! The HTTP front of a server that runs, asked over a socket.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use super::unless_by_default;
use crate::config::{self, Inputs, Origin};
use crate::io::clock;
use crate::io::held_port::HeldPort;
use crate::io::threads::wait;
use crate::metrics::catalogue;
use crate::server::Server;
use crate::server::tests::{Fixture, LIMIT, answer, frame, produce};

const HTTP: (&str, &str) = ("http.listener", "127.0.0.1:0");

fn fixture() -> Fixture {
    Fixture::start(&[HTTP])
}

fn address(fixture: &Fixture) -> SocketAddr {
    fixture.running().http_addresses()[0]
}

fn connect(fixture: &Fixture) -> TcpStream {
    let stream = TcpStream::connect(address(fixture)).expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a socket");
    stream
}

/// Status and body of one request on a connection of its own.
fn ask(fixture: &Fixture, request: &str) -> (u16, String) {
    ask_on(connect(fixture), request)
}

fn ask_on(mut stream: TcpStream, request: &str) -> (u16, String) {
    // A server that refuses a request may close before it has read it.
    let _ = stream.write_all(request.as_bytes());
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).expect("an answer in UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, body.to_owned())
}

fn get(fixture: &Fixture, path: &str) -> (u16, String) {
    ask(fixture, &request_of(path))
}

fn request_of(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
}

#[test]
fn health_is_told_by_status_and_in_words() {
    let fixture = fixture();
    assert_eq!(get(&fixture, "/livez"), (200, "ok\n".to_owned()));
    assert_eq!(get(&fixture, "/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(get(&fixture, "/").0, 200);
    assert_eq!(get(&fixture, "/healthz").0, 404);
    assert_eq!(ask(&fixture, "POST /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").0, 405);
    fixture.running().shared.begin_stop();
    assert_eq!(get(&fixture, "/readyz"), (503, "stopping\n".to_owned()));
    assert_eq!(get(&fixture, "/livez").0, 200);
}

#[test]
fn a_server_that_starts_says_what_it_waits_for() {
    let ports = [HeldPort::reserve(), HeldPort::reserve()];
    let [own, http] = ports.each_ref().map(|port| format!("127.0.0.1:{port}"));
    let waiting = || {
        let stream = TcpStream::connect(&http).ok()?;
        stream.set_read_timeout(Some(LIMIT)).expect("a socket");
        Some(ask_on(stream, &request_of("/readyz"))).filter(|(_, body)| body.contains("at the start"))
    };
    let listeners = format!("PLAINTEXT://{own}");
    std::thread::scope(|scope| {
        let first = [("listeners", listeners.as_str()), ("http.listener", &http), ("create.topics", "a:1:2")];
        let first = scope.spawn(move || Fixture::start(&first));
        let begun = clock::instant();
        let (status, body) = loop {
            assert!(begun.elapsed() < LIMIT && !first.is_finished(), "it waits for a second broker and says so");
            if let Some(told) = waiting() {
                break told;
            }
            std::thread::yield_now();
        };
        let expected = "starting: waits for what is to be there at the start: topic a: INVALID_REPLICATION_FACTOR";
        assert!(status == 503 && body.starts_with(expected), "{status} {body}");
        // Then the topic is made, and one of the two follows the other.
        let listener = ("listeners", "PLAINTEXT://127.0.0.1:0");
        let quorum = ("controller.quorum.bootstrap.servers", own.as_str());
        let second = Fixture::start(&[("node.id", "2"), listener, HTTP, quorum]);
        let first = first.join().expect("a server");
        assert_eq!(get(&first, "/readyz"), (200, "ok\n".to_owned()));
        first.eventually("a follower fetches", |_| {
            let text = [&first, &second].map(|node| get(node, "/metrics").1).concat();
            text.contains("_totaltimems_count{request=\"FetchFollower\"}")
        });
        let shown = [&first, &second].map(|node| samples(&get(node, "/metrics").1));
        let lag = "kafka_server_replicafetchermanager_maxlag{clientId=\"Replica\"}";
        assert!(shown.iter().all(|node| node[lag].abs() < 1e-9), "nothing was written");
        let brokers: f64 = shown.iter().filter_map(|node| node.get("kafka_brokers")).sum();
        assert!((brokers - 2.0).abs() < 1e-9, "one node tells: {brokers}");
        drop(second);
    });
}

#[test]
fn long_heads_are_refused_and_others_are_answered() {
    let fixture = fixture();
    let long = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(20 << 10));
    assert_eq!(ask(&fixture, &long).0, 431);
    assert_eq!(ask(&fixture, "\u{1}\u{2}\r\n\r\n").0, 400);
    assert_eq!(get(&fixture, "/livez").0, 200);
}

#[test]
fn connections_over_the_limit_wait_until_one_ends() {
    let fixture = fixture();
    let mut held: Vec<TcpStream> = (0..super::CONNECTIONS_MAX).map(|_| connect(&fixture)).collect();
    // The last one that was let in is served; after it nobody is.
    let mut waiting = connect(&fixture);
    waiting.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").expect("a request");
    for stream in &mut held {
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").expect("a request");
        let mut first = [0; 12];
        stream.read_exact(&mut first).expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200");
    }
    waiting.set_nonblocking(true).expect("a socket");
    let read = waiting.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(read, Err(std::io::ErrorKind::WouldBlock), "there is no place for it");
    waiting.set_nonblocking(false).expect("a socket");
    drop(held);
    let mut text = String::new();
    waiting.read_to_string(&mut text).expect("an answer");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

/// Samples by name and labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
}

/// Metadata v1 of topic t, which creates it; then two produces of one record, and DeleteTopics v1.
const CREATE: [u8; 17] = [0, 3, 0, 1, 0, 0, 0, 1, 255, 255, 0, 0, 0, 1, 0, 1, b't'];
/// Fetch v4 of a consumer, from the start of the topic's only partition, without waiting.
const FETCH: [u8; 54] = [
    0, 1, 0, 4, 0, 0, 0, 5, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1,
    b't', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0,
];
const DELETE: [u8; 21] = [0, 20, 0, 1, 0, 0, 0, 9, 255, 255, 0, 0, 0, 1, 0, 1, b't', 0, 0, 39, 16];

#[test]
fn traffic_is_counted_by_topic_until_the_topic_is_gone() {
    let fixture = fixture();
    let mut client = fixture.connect();
    for request in [frame(&CREATE), produce(2), produce(3), frame(&FETCH)] {
        client.write_all(&request).expect("a request");
        answer(&mut client).expect("an answer");
    }
    let (status, text) = get(&fixture, "/metrics");
    assert_eq!(status, 200);
    let shown = samples(&text);
    let value = |name: &str| *shown.get(name).unwrap_or_else(|| panic!("{name} in\n{text}"));
    let is = |name: &str, expected: f64| assert!((value(name) - expected).abs() < 1e-9, "{name} {}", value(name));
    is("kafka_server_brokertopicmetrics_messagesin_total{topic=\"t\"}", 2.0);
    is("kafka_server_brokertopicmetrics_messagesin_total", 2.0);
    is("kafka_server_brokertopicmetrics_totalproducerequests_total{topic=\"t\"}", 2.0);
    is("kafka_network_requestmetrics_requests_total{request=\"Produce\",version=\"3\"}", 2.0);
    is("kafka_network_requestmetrics_totaltimems_count{request=\"Produce\"}", 2.0);
    is("kafka_network_requestmetrics_requests_total{request=\"Fetch\",version=\"4\"}", 1.0);
    is("kafka_network_requestmetrics_requests_total{request=\"FetchConsumer\",version=\"4\"}", 1.0);
    assert!(!text.contains("request=\"FetchFollower\""), "{text}");
    let half = value("kafka_network_requestmetrics_totaltimems{request=\"Produce\",quantile=\"0.50\"}");
    let most = value("kafka_network_requestmetrics_totaltimems{request=\"Produce\",quantile=\"0.999\"}");
    assert!(0.0 < half && half <= most, "{half} {most}");
    is("ottla_network_request_time_ms_count{request=\"Produce\"}", 2.0);
    is("kafka_network_requestmetrics_localtimems_count{request=\"Produce\"}", 2.0);
    // Records wait for stable storage; who asks for metadata waits for nothing.
    let remote = |request: &str| {
        value(&format!("kafka_network_requestmetrics_remotetimems{{request=\"{request}\",quantile=\"0.999\"}}"))
    };
    assert!(remote("Produce") > 0.01 && remote("Fetch") <= 0.01, "{text}");
    is("kafka_topic_partition_current_offset{topic=\"t\",partition=\"0\"}", 2.0);
    is("kafka_log_log_logendoffset{topic=\"t\",partition=\"0\"}", 2.0);
    is("kafka_server_replicamanager_leadercount", 1.0);
    is("kafka_controller_kafkacontroller_activecontrollercount", 1.0);
    let connections = shown.iter().filter(|(name, _)| name.contains("_connection_count{listener=\"PLAINTEXT\""));
    assert!((connections.map(|(_, count)| count).sum::<f64>() - 1.0).abs() < 1e-9, "{text}");
    is("kafka_server_kafkaserver_brokerstate", 3.0);
    let bytes_in = value("kafka_server_brokertopicmetrics_bytesin_total");
    assert!(bytes_in > 100.0 && value("kafka_log_log_size{topic=\"t\",partition=\"0\"}") >= bytes_in);
    assert!(value("kafka_log_logflushstats_logflushrateandtimems_count") >= 1.0);
    client.write_all(&frame(&DELETE)).expect("a request");
    answer(&mut client).expect("an answer");
    let (_, text) = get(&fixture, "/metrics");
    assert!(!text.contains("topic=\"t\""), "{text}");
    let after = samples(&text);
    let total = after["kafka_server_brokertopicmetrics_bytesin_total"];
    assert!((total - bytes_in).abs() < 1e-9, "what was counted stays counted");
}

#[test]
fn a_partition_needs_no_more_replicas_in_sync_than_it_has() {
    let fixture = Fixture::start(&[HTTP, ("min.insync.replicas", "2")]);
    let mut client = fixture.connect();
    client.write_all(&frame(&CREATE)).expect("a request");
    answer(&mut client).expect("an answer");
    let mut text = String::new();
    // A log is opened a little after its topic is there.
    fixture.eventually("the partition is shown", |_| {
        text = get(&fixture, "/metrics").1;
        text.contains("kafka_cluster_partition_")
            && text.contains("kafka_server_replicamanager_atminisrpartitioncount 1")
    });
    let shown = samples(&text);
    let of = |name: &str| shown[&format!("kafka_cluster_partition_{name}{{topic=\"t\",partition=\"0\"}}")];
    let names = ["replicascount", "insyncreplicascount", "underreplicated", "underminisr", "atminisr"];
    assert_eq!(names.map(of).map(|value| value.to_string()), ["1", "1", "0", "0", "1"]);
    let counts = ["underminisrpartitioncount", "atminisrpartitioncount"];
    let all = counts.map(|name| shown[&format!("kafka_server_replicamanager_{name}")].to_string());
    assert_eq!(all, ["0", "1"]);
}

/// The table of all names, as people read it.
fn table() -> String {
    let mut page = String::from(
        "# What `/metrics` shows\n\nKafka's names where Kafka has the number, as Prometheus' JMX exporter writes them. A test holds \
         this table against\n`catalogue.rs` and a running server; `UPDATE_EXPECT=1 cargo test names_and_labels` rewrites it.\n\n\
         | name | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    for family in catalogue::ALL {
        let kind = family.shown_kind();
        let labels = family.labels.join(", ");
        page.push_str(&format!("| `{}` | {kind} | {labels} | {} |\n", family.shown_name(), family.help));
    }
    page
}

#[test]
fn names_and_labels_are_those_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/metrics/catalogue.md");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, table()).expect("the page can be written");
    }
    let page = std::fs::read_to_string(&path).expect("src/metrics/catalogue.md");
    assert!(page == table(), "UPDATE_EXPECT=1 cargo test names_and_labels rewrites {}", path.display());

    let fixture = fixture();
    let mut client = fixture.connect();
    // OffsetCommit v2 without a member: an offset of group g.
    let commit = [
        &[0, 8, 0, 2, 0, 0, 0, 5, 255, 255, 0, 1, b'g', 255, 255, 255, 255, 0, 0][..],
        &[255; 8],
        &[0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 255, 255],
    ];
    let coordinator = [0, 10, 0, 0, 0, 0, 0, 4, 255, 255, 0, 1, b'g'];
    for request in [frame(&CREATE), produce(2), produce(3), frame(&coordinator)] {
        client.write_all(&request).expect("a request");
        answer(&mut client).expect("an answer");
    }
    let (mut code, mut tries) = (15, 0);
    // The coordinator may be at loading its empty log.
    while code != 0 && tries < 1000 {
        client.write_all(&frame(&commit.concat())).expect("a request");
        let answer = answer(&mut client).expect("an answer");
        code = i16::from_be_bytes([answer[answer.len() - 2], answer[answer.len() - 1]]);
        tries += 1;
    }
    assert_eq!(code, 0, "the offset is committed");
    let (_, text) = get(&fixture, "/metrics");
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').expect("a value").0;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let family = catalogue::ALL.iter().find(|family| {
            let suffix = name.strip_prefix(family.name).unwrap_or("?");
            match family.kind {
                catalogue::Kind::Counter => suffix == "_total",
                catalogue::Kind::Count | catalogue::Kind::Gauge => suffix.is_empty(),
                catalogue::Kind::Histogram => ["_bucket", "_sum", "_count"].contains(&suffix),
            }
        });
        let family = family.unwrap_or_else(|| panic!("{name} is not in the table"));
        let labels = labels.trim_end_matches('}').split(',').filter_map(|label| Some(label.split_once('=')?.0));
        found.entry(family.name).or_default().extend(labels.filter(|label| *label != "le"));
    }
    for family in catalogue::ALL {
        let shown = found.get(family.name).unwrap_or_else(|| panic!("{} is not shown", family.name));
        assert_eq!(shown, &family.labels.iter().copied().collect::<BTreeSet<_>>(), "{}", family.name);
    }
    let lag = samples(&text)["kafka_consumergroup_lag{consumergroup=\"g\",topic=\"t\",partition=\"0\"}"];
    assert!((lag - 1.0).abs() < 1e-9, "two records, one is committed");
}

fn start(http: &str, folder: &tempfile::TempDir) -> anyhow::Result<crate::server::Running> {
    let pairs = [
        ("listeners", "PLAINTEXT://127.0.0.1:0"),
        ("log.dirs", folder.path().to_str().expect("a name in UTF-8")),
        ("http.listener", http),
    ];
    let flags = pairs.map(|(key, value)| ("--set".to_owned(), key.to_owned(), value.to_owned())).to_vec();
    wait(Server::start(config::load(&Inputs { flags, ..Inputs::default() }).expect("settings that hold").settings))
}

#[test]
fn an_address_that_was_set_and_is_taken_is_named_and_nothing_starts() {
    let fixture = fixture();
    let folder = tempfile::tempdir().expect("a folder");
    let taken = address(&fixture).to_string();
    let error = start(&taken, &folder).err().expect("the port is taken");
    let text = format!("{error:#}");
    let expected = format!("http.listener: {taken}: cannot listen on {taken}: another process listens there");
    assert!(text.starts_with(&expected), "{text}");
    assert!(std::fs::read_dir(folder.path()).expect("the folder").next().is_none(), "nothing was touched");
}

#[test]
fn the_default_address_is_gone_without_when_it_is_taken() {
    let taken = || Err(anyhow::anyhow!("another process listens there"));
    assert!(unless_by_default(taken(), &Origin::Default).expect("a server without HTTP").is_empty());
    let error = unless_by_default(taken(), &Origin::Flag("--set".into())).err().expect("it was asked for");
    assert_eq!(error.to_string(), "another process listens there");
}

#[test]
fn without_an_address_there_is_no_http() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = start("", &folder).expect("a server");
    assert!(running.http_addresses().is_empty());
    wait(running.stop());
}
