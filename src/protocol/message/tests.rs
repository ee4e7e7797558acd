use super::*;
use crate::protocol::frame;
use crate::protocol::guard;

/// Writes the default of a request and of its response in every version, and reads both back.
struct RoundTrip;

impl RequestVisitor for RoundTrip {
    type Output = ();

    fn visit<R: RequestMessage>(self) {
        for version in R::VERSIONS {
            let request = R::default();
            let mut body = BytesMut::new();
            request.write(&mut body, version).unwrap_or_else(|error| panic!("{} v{version}: {error}", R::KEY));
            guard::check(R::KEY, version, &body).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(decode_request::<R>(version, body.freeze()).as_ref(), Ok(&request), "{} v{version}", R::KEY);

            let response = R::Response::default();
            let mut out = BytesMut::new();
            encode_response(7, &response, version, &mut out).unwrap_or_else(|error| panic!("{error}"));
            let mut body = frame::next_frame(&mut out, usize::MAX).expect("a length").expect("a whole frame");
            let header_bytes = if response_header_version(R::KEY, version) == 1 { 5 } else { 4 };
            assert_eq!(body[..4], [0, 0, 0, 7], "the correlation id");
            bytes::Buf::advance(&mut body, header_bytes);
            assert_eq!(decode_response::<R::Response>(version, body).as_ref(), Ok(&response), "{} v{version}", R::KEY);
        }
    }
}

#[test]
fn every_message_reads_back_in_every_version() {
    for api in ApiKey::ALL {
        visit_request(*api, RoundTrip);
    }
}

struct Versions;

impl RequestVisitor for Versions {
    type Output = RangeInclusive<i16>;

    fn visit<R: RequestMessage>(self) -> RangeInclusive<i16> {
        R::VERSIONS
    }
}

/// What Kafka 4.3.1 reads and this server cannot yet; none of it may be offered.
const GAPS: &[(ApiKey, i16)] = &[
    (ApiKey::WriteTxnMarkers, 2),
    (ApiKey::ShareFetch, 2),
    (ApiKey::ShareAcknowledge, 2),
    (ApiKey::WriteShareGroupState, 1),
    (ApiKey::ReadShareGroupStateSummary, 1),
    (ApiKey::StreamsGroupHeartbeat, 0),
    (ApiKey::StreamsGroupDescribe, 0),
    (ApiKey::DescribeShareGroupOffsets, 1),
];

#[test]
fn the_versions_of_kafka_are_read_but_for_the_known_gaps() {
    let mut missing = Vec::new();
    for api in ApiKey::ALL {
        let read = visit_request(*api, Versions);
        let gaps = api.versions().filter(|version| !read.as_ref().is_some_and(|read| read.contains(version)));
        missing.extend(gaps.map(|version| (*api, version)));
    }
    assert_eq!(missing, GAPS);
}

#[test]
fn a_failed_encoding_leaves_the_buffer_as_it_was() {
    let request = OffsetFetchRequest::default().with_require_stable(true);
    let mut out = BytesMut::from(&b"before"[..]);
    let error = encode_request(1, None, &request, 1, &mut out).expect_err("require_stable is v7");
    assert_eq!((error.what, error.version), ("OffsetFetch", 1));
    assert_eq!(out, &b"before"[..]);
}

#[test]
fn api_versions_answers_with_the_old_header_in_every_version() {
    let mut out = BytesMut::new();
    encode_response(0x0102_0304, &ApiVersionsResponse::default(), 4, &mut out).expect("v4");
    // Length, correlation id, and at once the error code: no tagged fields between.
    assert_eq!(out[4..10], [1, 2, 3, 4, 0, 0]);
}
