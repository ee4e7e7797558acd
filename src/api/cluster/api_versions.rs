//! ApiVersions (18), v0–4: what this server offers. The first thing that clients ask.
//! v1 throttle time · v3 flexible, client software name and version, features (KIP-511, KIP-584) · v4 features from version 0
//!
//! Source: `KafkaApis.handleApiVersionsRequest`, `ApiVersionsRequest.isValid`, `DefaultApiVersionManager`. A version that
//! nobody knows is answered with v0, UNSUPPORTED_VERSION and this API's own versions, so that the client can ask again.
//! A feature is finalised here when what it stands for works: clients act on it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::api::{self, Answer, Api, Context, Reply};
use crate::config::Roles;
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use crate::protocol::message::{ApiVersionsRequest, ApiVersionsResponse, StrBytes};
use crate::security::Access;

/// Every feature that this server knows, with its first and last level: those of Kafka 4.3.1. What is finalised of them is
/// in the cluster's image.
const SUPPORTED: &[(&str, RangeInclusive<i16>)] =
    &[("metadata.version", 7..=30), ("eligible.leader.replicas.version", 0..=1), (KRAFT_VERSION, 0..=1)];

/// 1 when the set of voters can be changed (KIP-853). The quorum knows it: no record finalises it.
const KRAFT_VERSION: &str = "kraft.version";

/// The first version in which clients name their software, and in which a nonsensical name is refused.
const FIRST_VERSION_WITH_SOFTWARE: i16 = 3;

pub struct ApiVersions;

impl Api for ApiVersions {
    type Request = ApiVersionsRequest;
    type Response = ApiVersionsResponse;
    const KEY: ApiKey = ApiKey::ApiVersions;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const ACCESS: Access<ApiVersionsRequest> = Access::Anyone;
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);

    fn handle(cx: &Context<'_>, request: ApiVersionsRequest) -> Reply<ApiVersionsResponse> {
        if cx.version >= FIRST_VERSION_WITH_SOFTWARE && !is_valid(&request) {
            return Reply::Now(Self::refuse(&request, ErrorCode::InvalidRequest));
        }
        let image = cx.broker.image();
        let mut finalised = image.features().clone();
        let kraft_version = cx.broker.quorum().kraft_version();
        if kraft_version > 0 {
            finalised.insert(KRAFT_VERSION.to_owned(), kraft_version);
        }
        Reply::Now(offer(cx.version, cx.connection.roles, &finalised, image.features_epoch()))
    }

    fn refuse(_request: &ApiVersionsRequest, code: ErrorCode) -> ApiVersionsResponse {
        ApiVersionsResponse::default().with_error_code(code.code())
    }
}

/// Everything that is offered on a listener.
fn offer(version: i16, roles: Roles, finalised: &BTreeMap<String, i16>, epoch: i64) -> ApiVersionsResponse {
    let versions = api::offered(roles).map(|row| version_of(row.key, &row.advertised));
    // Clients before v4 refuse a feature that can be at level 0 (KIP-1022).
    let shown = SUPPORTED.iter().filter(|(_, levels)| version >= 4 || *levels.start() > 0);
    let supported = shown.map(|(name, levels)| {
        SupportedFeatureKey::default()
            .with_name(StrBytes::from_static_str(name))
            .with_min_version(*levels.start())
            .with_max_version(*levels.end())
    });
    // Kafka gives the finalised level as both ends.
    let finalised = finalised.iter().map(|(name, level)| {
        FinalizedFeatureKey::default()
            .with_name(StrBytes::from_string(name.clone()))
            .with_min_version_level(*level)
            .with_max_version_level(*level)
    });
    ApiVersionsResponse::default()
        .with_api_keys(versions.collect())
        .with_supported_features(supported.collect())
        .with_finalized_features_epoch(epoch)
        .with_finalized_features(finalised.collect())
}

fn version_of(key: ApiKey, versions: &RangeInclusive<i16>) -> ApiVersion {
    ApiVersion::default().with_api_key(key.key()).with_min_version(*versions.start()).with_max_version(*versions.end())
}

/// The answer to an unknown version of ApiVersions: a v0 body whatever was asked (KIP-511).
pub fn unsupported_version(correlation_id: i32) -> Answer {
    let response = ApiVersionsResponse::default()
        .with_error_code(ErrorCode::UnsupportedVersion.code())
        .with_api_keys(vec![version_of(ApiKey::ApiVersions, &ApiVersions::VERSIONS)]);
    Answer::encode(&response, 0, correlation_id).expect("v0 has an error code and a list of versions")
}

/// `ApiVersionsRequest.isValid`: letters, digits, dots and dashes, with a letter or digit at both ends.
fn is_valid(request: &ApiVersionsRequest) -> bool {
    is_software_word(&request.client_software_name) && is_software_word(&request.client_software_version)
}

/// Kafka's `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`.
fn is_software_word(word: &str) -> bool {
    let bytes = word.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() && bytes.iter().all(inside)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::protocol::message::{self, ResponseMessage};

    #[test]
    fn software_names_are_checked_as_kafka_checks_them() {
        for word in ["a", "apache-kafka-java", "4.3.1", "1.0-SNAPSHOT", "A9"] {
            assert!(is_software_word(word), "{word}");
        }
        for word in ["", "-a", "a-", ".", "a b", "1/2", "ä", "a_b"] {
            assert!(!is_software_word(word), "{word}");
        }
    }

    #[test]
    fn an_unknown_version_is_answered_with_kafkas_bytes() {
        let answer = unsupported_version(77);
        let [api::Chunk::Bytes(bytes)] = answer.chunks.as_slice() else { panic!("one chunk") };
        // Length, correlation id, error 35, one entry: key 18, 0 to 4. Captured from Apache Kafka 4.3.1.
        let expected = b"\x00\x00\x00\x10\x00\x00\x00\x4d\x00\x23\x00\x00\x00\x01\x00\x12\x00\x00\x00\x04";
        assert_eq!(bytes.as_ref(), expected);
    }

    #[test]
    fn a_listener_offers_what_it_serves_and_clients_see_nothing_of_controllers() {
        let offered = |roles| -> Vec<i16> {
            offer(4, roles, &BTreeMap::new(), 0).api_keys.iter().map(|version| version.api_key).collect()
        };
        let both = Roles::CLIENT.and(Roles::INTER_BROKER).and(Roles::CONTROLLER);
        assert_eq!(offered(both), offered(Roles::CLIENT));
        let of_controllers = offered(Roles::CONTROLLER);
        assert!(of_controllers.contains(&ApiKey::CreateTopics.key()));
        assert!(!of_controllers.contains(&ApiKey::Metadata.key()));
    }

    #[test]
    fn every_version_can_be_written_and_offers_every_row() {
        for version in ApiVersions::VERSIONS {
            let mut out = BytesMut::new();
            let offer = offer(version, Roles::CLIENT, &BTreeMap::from([("metadata.version".to_owned(), 30)]), 3);
            message::encode_response(1, &offer, version, &mut out).expect("it can be written");
            let mut body = out.split_off(8).freeze();
            let read = ApiVersionsResponse::read(&mut body, version).expect("it can be read");
            assert_eq!(read.api_keys.len(), api::offered(Roles::CLIENT).count());
        }
    }
}
