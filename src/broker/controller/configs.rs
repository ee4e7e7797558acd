//! Settings that clients change.

use std::sync::Arc;

use super::options;
use crate::broker::Broker;
use crate::broker::start::SUPPORTED_LEVELS;
use crate::controller::{self, AlterConfigs, AlterQuotas, AlteredQuotas, Asked, ConfigOp, FeatureUpdate, Refusal};
use crate::metadata::Image;

impl Broker {
    /// Changes settings: one answer for each resource, in the order of the request. `asked` is whom the client
    /// speaks to.
    pub async fn incremental_alter_configs(
        self: &Arc<Broker>,
        asked: Asked,
        requests: Vec<AlterConfigs<ConfigOp>>,
        validate_only: bool,
        timeout_ms: i32,
    ) -> Result<Vec<Result<(), Refusal>>, Refusal> {
        let options = options(self.settings());
        let decide = move |image: &Image| {
            let mut decision = controller::incremental_alter_configs(image, &options, &asked, &requests);
            if validate_only {
                decision.records.clear();
            }
            decision
        };
        self.decide(timeout_ms, decide).await
    }

    /// As [`Broker::incremental_alter_configs`], for requests that name all that is to be set on a resource.
    pub async fn alter_configs(
        self: &Arc<Broker>,
        asked: Asked,
        requests: Vec<AlterConfigs<Option<String>>>,
        validate_only: bool,
        timeout_ms: i32,
    ) -> Result<Vec<Result<(), Refusal>>, Refusal> {
        let options = options(self.settings());
        let decide = move |image: &Image| {
            let mut decision = controller::alter_configs(image, &options, &asked, &requests);
            if validate_only {
                decision.records.clear();
            }
            decision
        };
        self.decide(timeout_ms, decide).await
    }

    /// Changes quotas of clients: one answer for each entity, in the order of the request.
    pub async fn alter_client_quotas(
        self: &Arc<Broker>,
        entries: Vec<AlterQuotas>,
        validate_only: bool,
        timeout_ms: i32,
    ) -> Result<Vec<AlteredQuotas>, Refusal> {
        let decide = move |_: &Broker, image: &Image| {
            let mut decision = controller::alter_client_quotas(image, &entries)?;
            if validate_only {
                decision.records.clear();
            }
            Ok(decision)
        };
        self.decide_or_refuse(timeout_ms, decide, |_, _, _| ()).await
    }

    /// Changes the levels of features, all or none: one answer for each.
    pub async fn update_features(
        self: &Arc<Broker>,
        updates: Vec<FeatureUpdate>,
        validate_only: bool,
        timeout_ms: i32,
    ) -> Result<Vec<(String, Result<(), Refusal>)>, Refusal> {
        let (controller, kraft_version) = (self.node_id(), self.quorum().kraft_version());
        let decide = move |image: &Image| {
            let mut decision =
                controller::update_features(image, controller, kraft_version, SUPPORTED_LEVELS, &updates);
            if validate_only {
                decision.records.clear();
            }
            decision
        };
        self.decide(timeout_ms, decide).await
    }
}
