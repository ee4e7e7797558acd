//! Where an answer says how long its client is held back (`throttle_time_ms`, KIP-124), for answers that are bytes already.
//!
//! In nearly all of Kafka's responses it is the first field, from some version on. Produce and ApiVersions have it behind their
//! lists: the first says where when it is written, and the second's clients do not look.

use super::api_key::ApiKey;
use super::frame::LENGTH_BYTES;

const CORRELATION_ID_BYTES: usize = 4;
const THROTTLE_BYTES: usize = 4;

/// The first version whose answer begins with it; `None` where none does.
fn since(api: ApiKey) -> Option<i16> {
    match api {
        ApiKey::Produce
        | ApiKey::SaslHandshake
        | ApiKey::ApiVersions
        | ApiKey::WriteTxnMarkers
        | ApiKey::SaslAuthenticate
        | ApiKey::CreateDelegationToken
        | ApiKey::RenewDelegationToken
        | ApiKey::ExpireDelegationToken
        | ApiKey::DescribeDelegationToken
        | ApiKey::OffsetDelete
        | ApiKey::Vote
        | ApiKey::BeginQuorumEpoch
        | ApiKey::EndQuorumEpoch
        | ApiKey::DescribeQuorum
        | ApiKey::Envelope
        | ApiKey::InitializeShareGroupState
        | ApiKey::ReadShareGroupState
        | ApiKey::WriteShareGroupState
        | ApiKey::DeleteShareGroupState
        | ApiKey::ReadShareGroupStateSummary
        | ApiKey::Quorum => None,
        ApiKey::ListOffsets | ApiKey::JoinGroup | ApiKey::OffsetForLeaderEpoch => Some(2),
        ApiKey::Metadata | ApiKey::OffsetCommit | ApiKey::OffsetFetch => Some(3),
        ApiKey::Fetch
        | ApiKey::FindCoordinator
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::SyncGroup
        | ApiKey::DescribeGroups
        | ApiKey::ListGroups => Some(1),
        _ => Some(0),
    }
}

/// Where it lies in a frame, from the length on; `None` where it is not the first field.
pub fn position(api: ApiKey, version: i16) -> Option<usize> {
    let header = if api.response_header_version(version) >= 1 { 1 } else { 0 };
    since(api).filter(|since| version >= *since).map(|_| LENGTH_BYTES + CORRELATION_ID_BYTES + header)
}

/// The time in the first bytes of a frame, in ms; 0 where there is none.
pub fn read(api: ApiKey, version: i16, frame: &[u8]) -> u64 {
    let Some(position) = position(api, version) else { return 0 };
    let bytes = frame.get(position..position + THROTTLE_BYTES).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, |bytes| u64::try_from(i32::from_be_bytes(bytes)).unwrap_or(0))
}

/// Raises the time that a frame has at this position.
pub fn raise(frame: &mut [u8], position: usize, throttle_ms: i32) {
    if let Some(bytes) = frame.get_mut(position..position + THROTTLE_BYTES) {
        let known = i32::from_be_bytes(bytes.try_into().expect("four bytes"));
        bytes.copy_from_slice(&known.max(throttle_ms).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::protocol::message::{CreateTopicsResponse, encode_response};

    #[test]
    fn it_is_where_the_codec_writes_it() {
        for version in 2..=7 {
            let mut frame = BytesMut::new();
            let response = CreateTopicsResponse::default().with_throttle_time_ms(70_000);
            encode_response(7, &response, version, &mut frame).expect("it can be written");
            assert_eq!(read(ApiKey::CreateTopics, version, &frame), 70_000);
            let position = position(ApiKey::CreateTopics, version).expect("it has a place");
            raise(&mut frame, position, 80_000);
            raise(&mut frame, position, 5);
            assert_eq!(read(ApiKey::CreateTopics, version, &frame), 80_000);
        }
        assert_eq!(position(ApiKey::Heartbeat, 0), None, "version 0 has no place for it");
    }
}
