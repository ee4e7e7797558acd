//! UpdateFeatures (57), v0–2: raises and lowers what the cluster has agreed to use (KIP-584).
//! v1 upgrade types, validate only · v2 an error of one feature is the whole request's
//!
//! The controller decides. Source: `ControllerApis.handleUpdateFeatures`, `QuorumController.updateFeatures`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::{Api, Context, Reply};
use crate::config::Roles;
use crate::controller::{FeatureUpdate, Refusal, UpgradeType};
use crate::model::ErrorCode;
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::update_features_request::FeatureUpdateKey;
use crate::protocol::message::update_features_response::UpdatableFeatureResult;
use crate::protocol::message::{StrBytes, UpdateFeaturesRequest, UpdateFeaturesResponse};
use crate::security::{Access, Operation};

/// See the head of this file.
pub struct UpdateFeatures;

/// Kafka looks at the time only when there is something to write; what needs no record is done in no time.
const TIMEOUT_MIN_MS: i32 = 1_000;
/// The first version that says of which kind an update is, instead of whether a downgrade is allowed.
const FIRST_VERSION_WITH_TYPES: i16 = 1;
/// The first version without results of single features.
const FIRST_VERSION_AS_A_WHOLE: i16 = 2;

impl Api for UpdateFeatures {
    type Request = UpdateFeaturesRequest;
    type Response = UpdateFeaturesResponse;
    const KEY: ApiKey = ApiKey::UpdateFeatures;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const ACCESS: Access<UpdateFeaturesRequest> = Access::Cluster(Operation::Alter);
    const LISTENERS: Roles = Roles::CLIENT.and(Roles::CONTROLLER);
    const FORWARDED: bool = true;

    fn handle(cx: &Context<'_>, request: UpdateFeaturesRequest) -> Reply<UpdateFeaturesResponse> {
        let (broker, version) = (Arc::clone(cx.broker), cx.version);
        Reply::later(async move {
            let updates = request.feature_updates.iter().map(|update| wanted(update, version)).collect();
            match broker.update_features(updates, request.validate_only, request.timeout_ms.max(TIMEOUT_MIN_MS)).await {
                Ok(results) => answer(results, version),
                Err(refusal) => refused(refusal),
            }
        })
    }

    fn refuse(_: &UpdateFeaturesRequest, code: ErrorCode) -> UpdateFeaturesResponse {
        refused(Refusal { code, message: None })
    }
}

fn wanted(update: &FeatureUpdateKey, version: i16) -> FeatureUpdate {
    let upgrade_type = match (version < FIRST_VERSION_WITH_TYPES, update.upgrade_type) {
        // Kafka does not look whether the older version allows a downgrade.
        (true, _) | (false, 1) => UpgradeType::Upgrade,
        (false, 2) => UpgradeType::SafeDowngrade,
        (false, 3) => UpgradeType::UnsafeDowngrade,
        (false, _) => UpgradeType::Unknown,
    };
    FeatureUpdate { feature: update.feature.to_string(), level: update.max_version_level, upgrade_type }
}

fn refused(refusal: Refusal) -> UpdateFeaturesResponse {
    UpdateFeaturesResponse::default()
        .with_error_code(refusal.code.code())
        .with_error_message(refusal.message.map(StrBytes::from_string))
}

/// One that fails fails all: nothing was changed.
fn answer(results: Vec<(String, Result<(), Refusal>)>, version: i16) -> UpdateFeaturesResponse {
    let failed = results.iter().find_map(|(feature, result)| Some((feature, result.as_ref().err()?)));
    if let Some((feature, refusal)) = failed {
        let reason = refusal.message.as_deref().unwrap_or_default();
        let message = format!("The update failed for all features since the following feature had an error: {reason}");
        tracing::info!(%feature, %reason, "features stay as they are");
        return refused(Refusal::new(refusal.code, message));
    }
    let response = UpdateFeaturesResponse::default().with_error_message(None);
    if version >= FIRST_VERSION_AS_A_WHOLE {
        return response;
    }
    let results = results.into_iter().map(|(feature, _)| {
        UpdatableFeatureResult::default()
            .with_feature(StrBytes::from_string(feature))
            .with_error_message(Some(StrBytes::from_static_str("NONE")))
    });
    response.with_results(results.collect())
}
