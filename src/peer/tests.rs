//! Links over a loopback socket: order, limits, errors that tell what is known, and connections that come back.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::link::backoff;
use super::*;
use crate::io::net::{self, Listener, Stream};
use crate::protocol::api_key::ApiKey;
use crate::protocol::frame;
use crate::protocol::header::RequestHeader;
use crate::protocol::message::{ApiVersionsRequest, ApiVersionsResponse, ResponseMessage};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

fn listen() -> (Listener, Address) {
    let listening = net::listen("127.0.0.1:0".parse().expect("an address"), 16).expect("a port");
    let address = listening.address().expect("an address");
    let address = Address { host: address.ip().to_string(), port: address.port() };
    (Listener::new(listening).expect("a listener"), address)
}

fn options(address: &Address) -> LinkOptions {
    LinkOptions { backoff_min: Duration::from_millis(1), ..LinkOptions::new(address.clone(), "me") }
}

/// The other end of a link.
struct Peer {
    stream: Stream,
    read: BytesMut,
    ready: VecDeque<(RequestHeader, Bytes)>,
}

impl Peer {
    async fn accept(listener: &Listener) -> Peer {
        let (accepted, _) = listener.accept().await.expect("a connection");
        let stream = accepted.open(Duration::from_secs(1)).expect("a stream");
        Peer { stream, read: BytesMut::new(), ready: VecDeque::new() }
    }

    /// The next request; `None` when the link has hung up.
    async fn request(&mut self) -> Option<(RequestHeader, Bytes)> {
        loop {
            while let Some(mut frame) = frame::next_frame(&mut self.read, 1 << 20).expect("an honest frame") {
                let header = RequestHeader::parse(&mut frame).expect("a header");
                self.ready.push_back((header, frame));
            }
            if let Some(request) = self.ready.pop_front() {
                return Some(request);
            }
            self.read.reserve(1024);
            let (stream, read) = (&mut self.stream, &mut self.read);
            if std::future::poll_fn(|cx| stream.poll_read(cx, read)).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    async fn answer(&mut self, correlation_id: i32, body: &[u8]) {
        let mut frame = BytesMut::new();
        frame.put_i32(i32::try_from(body.len() + 4).expect("a small body"));
        frame.put_i32(correlation_id);
        frame.put_slice(body);
        while !frame.is_empty() {
            let slices = [std::io::IoSlice::new(&frame)];
            let written = std::future::poll_fn(|cx| self.stream.poll_write(cx, &slices, false)).await.expect("a write");
            drop(frame.split_to(written));
        }
    }
}

async fn ask(link: &Link, body: &'static [u8], timeout: Duration) -> Result<Bytes, LinkError> {
    link.call_raw(ApiKey::Quorum, 0, Bytes::from_static(body), timeout).await
}

#[test]
fn each_request_gets_its_own_answer_whatever_the_order_they_come_in() {
    block_on(async {
        let (listener, address) = listen();
        let link = Link::new(options(&address));
        let serve = async {
            let mut peer = Peer::accept(&listener).await;
            let (first, body) = peer.request().await.expect("a request");
            assert_eq!((first.client_id.as_deref(), &body[..]), (Some("me"), &b"a"[..]));
            let (second, _) = peer.request().await.expect("a request");
            peer.answer(second.correlation_id, b"B").await;
            peer.answer(first.correlation_id, b"A").await;
        };
        let (first, second, ()) = tokio::join!(ask(&link, b"a", LONG), ask(&link, b"b", LONG), serve);
        assert_eq!((first, second), (Ok(Bytes::from_static(b"A")), Ok(Bytes::from_static(b"B"))));
    });
}

#[test]
fn a_message_is_written_and_its_answer_read() {
    block_on(async {
        let (listener, address) = listen();
        let link = Link::new(options(&address));
        let response = ApiVersionsResponse::default().with_error_code(7);
        let serve = async {
            let mut peer = Peer::accept(&listener).await;
            let (header, _) = peer.request().await.expect("a request");
            assert_eq!((header.api_key, header.api_version), (ApiKey::ApiVersions, 0));
            let mut body = BytesMut::new();
            ResponseMessage::write(&response, &mut body, 0).expect("v0");
            peer.answer(header.correlation_id, &body).await;
        };
        let request = ApiVersionsRequest::default();
        let (answer, ()) = tokio::join!(link.call(&request, 0, LONG), serve);
        assert_eq!(answer, Ok(response.clone()));
    });
}

#[test]
fn nobody_listening_is_told_from_nothing_heard() {
    block_on(async {
        let (listener, address) = listen();
        assert_eq!(probe(&address, LONG).await, Probe::Reachable);
        drop(listener);
        assert_eq!(probe(&address, LONG).await, Probe::Refused);
        let nowhere = Address { host: "a name that is none".to_owned(), port: 1 };
        assert_eq!(probe(&nowhere, LONG).await, Probe::Unknown);
        let link = Link::new(options(&address));
        assert_eq!(ask(&link, b"a", LONG).await, Err(LinkError::Refused(address)));
    });
}

#[test]
fn a_peer_that_comes_back_is_connected_again() {
    block_on(async {
        let (listener, address) = listen();
        let link = Link::new(options(&address));
        let serve = async {
            let mut peer = Peer::accept(&listener).await;
            peer.request().await.expect("a request");
            drop(peer);
            let mut peer = Peer::accept(&listener).await;
            let (header, _) = peer.request().await.expect("a request");
            peer.answer(header.correlation_id, b"A").await;
        };
        let calls = async {
            assert!(matches!(ask(&link, b"a", LONG).await, Err(LinkError::Lost { .. })));
            assert_eq!(ask(&link, b"a", LONG).await, Ok(Bytes::from_static(b"A")));
        };
        tokio::join!(serve, calls);
    });
}

#[test]
fn a_request_out_of_time_takes_its_connection_with_it() {
    block_on(async {
        let (listener, address) = listen();
        let link = Link::new(options(&address));
        let serve = async {
            let mut silent = Peer::accept(&listener).await;
            silent.request().await.expect("a request");
            assert!(silent.request().await.is_none());
        };
        let (answer, ()) = tokio::join!(ask(&link, b"a", SHORT), serve);
        assert_eq!(answer, Err(LinkError::Timeout(address)));
    });
}

#[test]
fn a_caller_that_goes_away_takes_up_its_place_no_longer_than_it_had_said() {
    block_on(async {
        let (listener, address) = listen();
        let link = Link::new(LinkOptions { in_flight_max: 1, ..options(&address) });
        let serve = async {
            let mut silent = Peer::accept(&listener).await;
            silent.request().await.expect("a request");
            let mut peer = Peer::accept(&listener).await;
            let (header, _) = peer.request().await.expect("a request");
            peer.answer(header.correlation_id, b"B").await;
        };
        let calls = async {
            let gone = tokio::time::timeout(SHORT / 2, ask(&link, b"a", SHORT)).await;
            assert!(gone.is_err());
            assert_eq!(ask(&link, b"b", LONG).await, Ok(Bytes::from_static(b"B")));
        };
        tokio::join!(serve, calls);
    });
}

#[test]
fn what_is_over_a_limit_waits_or_is_refused() {
    block_on(async {
        let (listener, address) = listen();
        let limits = LinkOptions { in_flight_max: 1, in_flight_bytes_max: 2, answer_bytes_max: 6, ..options(&address) };
        let link = Link::new(limits);
        let too_large = LinkError::TooLarge { bytes: 3, limit_bytes: 2 };
        assert_eq!(ask(&link, b"abc", LONG).await, Err(too_large));
        let serve = async {
            let mut peer = Peer::accept(&listener).await;
            let (header, _) = peer.request().await.expect("a request");
            // Nothing more comes before the first is answered.
            peer.read.reserve(64);
            let (stream, read) = (&mut peer.stream, &mut peer.read);
            let more = std::future::poll_fn(|cx| std::task::Poll::Ready(stream.poll_read(cx, read))).await;
            assert!(more.is_pending());
            peer.answer(header.correlation_id, b"AA").await;
            let (header, body) = peer.request().await.expect("a request");
            assert_eq!(&body[..], b"cd");
            peer.answer(header.correlation_id, b"too long").await;
        };
        let (first, second, ()) = tokio::join!(ask(&link, b"ab", LONG), ask(&link, b"cd", LONG), serve);
        assert_eq!(first, Ok(Bytes::from_static(b"AA")));
        assert!(matches!(second, Err(LinkError::Lost { reason, .. }) if reason.contains("limit")));
    });
}

#[test]
fn an_answer_that_nobody_asked_for_ends_the_connection() {
    block_on(async {
        let (listener, address) = listen();
        let link = Link::new(options(&address));
        let serve = async {
            let mut peer = Peer::accept(&listener).await;
            let (header, _) = peer.request().await.expect("a request");
            peer.answer(header.correlation_id + 1, b"A").await;
        };
        let (answer, ()) = tokio::join!(ask(&link, b"a", LONG), serve);
        assert!(matches!(answer, Err(LinkError::Lost { .. })));
    });
}

#[test]
fn a_link_outlives_the_runtime_that_it_connected_on() {
    let server = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (listener, address) = server.block_on(async { listen() });
    server.spawn(async move {
        loop {
            let mut peer = Peer::accept(&listener).await;
            tokio::spawn(async move {
                while let Some((header, body)) = peer.request().await {
                    peer.answer(header.correlation_id, &body).await;
                }
            });
        }
    });
    let link = Link::new(options(&address));
    for _ in 0..2 {
        let answer = block_on(async {
            let mut answer = ask(&link, b"a", LONG).await;
            while matches!(answer, Err(LinkError::Lost { .. })) {
                answer = ask(&link, b"a", LONG).await;
            }
            answer
        });
        assert_eq!(answer, Ok(Bytes::from_static(b"a")));
    }
}

#[test]
fn the_pause_doubles_up_to_its_limit_and_varies_by_a_fifth() {
    let address = Address { host: "a".to_owned(), port: 1 };
    let options = LinkOptions {
        backoff_min: Duration::from_millis(100),
        backoff_max: Duration::from_millis(400),
        ..LinkOptions::new(address, "me")
    };
    let pauses: Vec<u128> = (0..5).map(|failures| backoff(&options, failures, 20).as_millis()).collect();
    assert_eq!(pauses, [100, 200, 400, 400, 400]);
    assert_eq!(backoff(&options, u32::MAX, 0).as_millis(), 320);
    assert_eq!(backoff(&options, 0, 40).as_millis(), 120);
}
