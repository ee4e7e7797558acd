use bytes::{BufMut, BytesMut};

use super::*;
use crate::protocol::message::offset_fetch_request::OffsetFetchRequestGroup;
use crate::protocol::message::{self, LeaveGroupRequest, OffsetFetchRequest, RequestMessage};
use crate::protocol::wire;

fn malformed(api: ApiKey, version: i16, body: &[u8]) -> WireError {
    match check(api, version, body) {
        Err(GuardError::Malformed { error, .. }) => error,
        other => panic!("{api} v{version} {body:?}: {other:?}"),
    }
}

#[test]
fn every_version_of_kafka_has_a_shape_and_no_other() {
    for api in ApiKey::ALL {
        let mut covered = Vec::new();
        for program in shapes::programs(*api) {
            assert!(program.first <= program.last);
            for version in program.first..=program.last {
                assert_eq!(program.flexible, api.is_flexible(version), "{api} v{version}");
                covered.push(version);
            }
        }
        assert_eq!(covered, api.versions().collect::<Vec<_>>(), "{api}");
        for version in [api.versions().start() - 1, api.versions().end() + 1, i16::MIN, i16::MAX] {
            assert_eq!(check(*api, version, &[]), Err(GuardError::UnsupportedVersion { api: *api, version }));
        }
    }
}

#[test]
fn four_byte_bodies_of_every_version_are_judged_without_harm() {
    let bodies = [[0xff; 4], [0x7f, 0xff, 0xff, 0xff], [0x80, 0, 0, 0], [0, 0, 0, 1], [0; 4], [0xff, 0xff, 0xff, 0x0f]];
    for api in ApiKey::ALL {
        for version in api.versions() {
            for body in bodies {
                if let Ok(charge) = check(*api, version, &body) {
                    assert!(charge.decoded_bytes <= FRAME_BYTES + 4 * 1024, "{api} v{version} {body:?}: {charge:?}");
                }
            }
        }
    }
}

#[test]
fn counts_and_lengths_must_fit_in_what_remains() {
    let two_billion = [0x7f, 0xff, 0xff, 0xff];
    assert!(matches!(malformed(ApiKey::Metadata, 1, &two_billion), WireError::CountOverRemaining { .. }));
    let four_billion = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0];
    assert!(matches!(malformed(ApiKey::Metadata, 12, &four_billion), WireError::CountOverRemaining { .. }));
    assert_eq!(malformed(ApiKey::Metadata, 1, &[0xff, 0xff, 0xff, 0xfe]), WireError::NegativeLength { length: -2 });
    let name = [0, 0, 0, 1, 0, 9, b'a'];
    assert_eq!(malformed(ApiKey::Metadata, 1, &name), WireError::Truncated { needed: 9, remaining: 1 });
}

#[test]
fn null_is_taken_only_where_the_version_allows_it() {
    let null = [0xff, 0xff, 0xff, 0xff];
    assert_eq!(malformed(ApiKey::Metadata, 0, &null), WireError::UnexpectedNull);
    assert!(check(ApiKey::Metadata, 1, &null).is_ok());
    assert_eq!(malformed(ApiKey::Heartbeat, 0, &[0xff, 0xff, 0, 0, 0, 1, 0, 0]), WireError::UnexpectedNull);
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    assert_eq!(malformed(ApiKey::Metadata, 0, &[0, 0, 0, 1, 0, 1, 0xff]), WireError::NotUtf8);
}

#[test]
fn a_known_tag_must_be_of_its_version_and_size() {
    // FetchSnapshot v0: replica id, max bytes, no topics; tag 0 is the cluster id.
    let head = [0, 0, 0, 1, 0, 0, 0, 1, 1];
    let with = |tags: &[u8]| [&head[..], tags].concat();
    assert!(check(ApiKey::FetchSnapshot, 0, &with(&[1, 0, 2, 2, b'a'])).is_ok());
    assert_eq!(
        malformed(ApiKey::FetchSnapshot, 0, &with(&[1, 0, 3, 2, b'a', b'b'])),
        WireError::TagTooLong { left: 1 }
    );
    let short = malformed(ApiKey::FetchSnapshot, 0, &with(&[1, 0, 1, 2, b'a']));
    assert_eq!(short, WireError::Truncated { needed: 1, remaining: 0 });
    // BrokerHeartbeat v0: offline_log_dirs, tag 0, began in v1.
    let heartbeat = [&[0; 4 + 8 + 8 + 2][..], &[1, 0, 1, 1]].concat();
    assert_eq!(malformed(ApiKey::BrokerHeartbeat, 0, &heartbeat), WireError::UnexpectedTag { tag: 0 });
    assert!(check(ApiKey::BrokerHeartbeat, 1, &heartbeat).is_ok());
}

#[test]
fn small_bytes_that_grow_when_decoded_are_charged_as_grown() {
    let count = 1000;
    let mut body = BytesMut::new();
    wire::put_length(&mut body, count, true);
    body.put_bytes(1, 3 * count); // An empty id, no topics, no tags: three bytes a group…
    for position in 0..count {
        body[2 + 3 * position + 2] = 0;
    }
    body.put_slice(&[0, 0]);
    let charge = check(ApiKey::OffsetFetch, 8, &body).expect("a thousand groups");
    assert_eq!(charge.decoded_bytes, FRAME_BYTES + count * size_of::<OffsetFetchRequestGroup>());
    let request: OffsetFetchRequest = message::decode_request(8, body.freeze()).expect("what passes decodes");
    assert_eq!(request.groups.len(), count);
}

#[test]
fn the_cap_is_kept_to_the_byte() {
    let mut body = BytesMut::new();
    LeaveGroupRequest::default()
        .with_members(vec![message::leave_group_request::MemberIdentity::default(); 10])
        .write(&mut body, 5)
        .expect("ten members");
    let needed = check(ApiKey::LeaveGroup, 5, &body).expect("ten members").decoded_bytes;
    let refused =
        GuardError::TooExpensive { api: ApiKey::LeaveGroup, version: 5, decoded_bytes: needed, max_bytes: needed - 1 };
    assert_eq!(check_within(ApiKey::LeaveGroup, 5, &body, needed - 1), Err(refused));
    assert!(check_within(ApiKey::LeaveGroup, 5, &body, needed).is_ok());
    assert!(check_within(ApiKey::LeaveGroup, 5, &body, needed + 1).is_ok());
}

#[test]
fn unknown_tags_are_charged() {
    let without = check(ApiKey::ApiVersions, 3, &[2, b'a', 2, b'b', 0]).expect("no tags").decoded_bytes;
    let with = check(ApiKey::ApiVersions, 3, &[2, b'a', 2, b'b', 2, 99, 1, 7, 98, 0]).expect("two tags").decoded_bytes;
    assert_eq!(with - without, TAGS_BYTES + 2 * TAG_BYTES);
}

#[test]
fn bytes_after_the_last_field_are_ignored() {
    assert!(check(ApiKey::Metadata, 1, &[0, 0, 0, 0, 9, 9, 9]).is_ok());
}
