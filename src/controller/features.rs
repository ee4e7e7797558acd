//! Raising and lowering finalised features (KIP-584, KIP-778). Source: `FeatureControlManager`, `ControllerApis.handleUpdateFeatures`.

use std::collections::BTreeSet;

use super::{Decision, Refusal};
use crate::metadata::{Image, Record};
use crate::model::{BrokerId, ErrorCode};

/// `MetadataVersion.FEATURE_NAME`.
const METADATA_VERSION: &str = "metadata.version";

/// Kafka's `FeatureUpdate.UpgradeType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeType {
    Upgrade,
    SafeDowngrade,
    UnsafeDowngrade,
    /// A number that stands for none.
    Unknown,
}

/// A feature and the level that it is to have; 0 ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    pub feature: String,
    pub level: i16,
    pub upgrade_type: UpgradeType,
}

/// The levels of a feature that this software can do.
pub type SupportedLevels = (&'static str, i16, i16);

/// Decides on UpdateFeatures: all updates or none. The answer of one that fails is the whole request's.
pub fn update_features(
    image: &Image,
    controller: BrokerId,
    supported: &[SupportedLevels],
    updates: &[FeatureUpdate],
) -> Decision<Vec<(String, Result<(), Refusal>)>> {
    let mut records = Vec::new();
    let mut answer = Vec::new();
    let mut named = BTreeSet::new();
    for update in updates.iter().filter(|update| named.insert(update.feature.as_str())) {
        let decided = update_feature(image, controller, supported, update);
        answer.push((update.feature.clone(), decided.map(|more| records.extend(more))));
    }
    if answer.iter().any(|(_, result): &(String, Result<(), Refusal>)| result.is_err()) {
        records.clear();
    }
    Decision { records, answer }
}

fn update_feature(
    image: &Image,
    controller: BrokerId,
    supported: &[SupportedLevels],
    update: &FeatureUpdate,
) -> Result<Option<Record>, Refusal> {
    let FeatureUpdate { feature, level, upgrade_type } = update;
    let (feature, level) = (feature.as_str(), *level);
    let refuse = |message: String| Err(Refusal::new(ErrorCode::InvalidUpdateVersion, message));
    let invalid = |reason: &str| refuse(format!("Invalid update version {level} for feature {feature}. {reason}"));
    let known = supported.iter().find(|(name, _, _)| *name == feature);
    if *upgrade_type == UpgradeType::Unknown {
        return invalid("The controller does not support the given upgrade type.");
    }
    if level < 0 {
        return invalid("A feature version cannot be less than 0.");
    }
    let Some((_, min, max)) = known else {
        return match level {
            0 => invalid(&format!("Feature {feature} not found.")),
            _ => invalid(&format!("Local controller {controller} does not support this feature.")),
        };
    };
    if level < *min || *max < level {
        return invalid(&format!("Local controller {controller} only supports versions {min}-{max}"));
    }
    let current = image.features().get(feature).copied().unwrap_or(0);
    if level == current {
        return Ok(None);
    }
    if level > current {
        return Ok(Some(Record::FeatureFinalized { name: feature.to_owned(), level }));
    }
    if *upgrade_type == UpgradeType::Upgrade {
        return invalid(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe \
             downgrade.",
        );
    }
    match feature {
        METADATA_VERSION if *upgrade_type == UpgradeType::UnsafeDowngrade => refuse(format!(
            "Unsupported metadata.version downgrade from {current} to {level}. Unsafe metadata downgrade is not supported in \
             this version."
        )),
        METADATA_VERSION => refuse(format!(
            "Unsupported metadata.version downgrade from {current} to {level}. Refusing to perform the requested downgrade \
             because it might delete metadata information."
        )),
        // Leaders here know no other rules; what they have promised could not be kept by the older ones.
        _ => invalid("This feature cannot be given up here."),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::metadata::Delta;

    const SUPPORTED: &[SupportedLevels] = &[("metadata.version", 7, 30), ("new.version", 0, 2)];

    /// As Apache Kafka 4.3.1 answers, but for giving a feature up.
    #[rstest]
    #[case("metadata.version", 30, UpgradeType::Upgrade, Ok(0))]
    #[case("metadata.version", 30, UpgradeType::SafeDowngrade, Ok(0))]
    #[case("metadata.version", 31, UpgradeType::Upgrade, Err("Local controller 1 only supports versions 7-30"))]
    #[case("metadata.version", 0, UpgradeType::UnsafeDowngrade, Err("Local controller 1 only supports versions 7-30"))]
    #[case("metadata.version", -1, UpgradeType::SafeDowngrade, Err("A feature version cannot be less than 0."))]
    #[case("none.version", 1, UpgradeType::Upgrade, Err("Local controller 1 does not support this feature."))]
    #[case("none.version", 0, UpgradeType::SafeDowngrade, Err("Feature none.version not found."))]
    #[case("new.version", 1, UpgradeType::Unknown, Err("The controller does not support the given upgrade type."))]
    #[case("new.version", 2, UpgradeType::Upgrade, Ok(1))]
    fn a_level_is_one_that_is_known(
        #[case] feature: &str,
        #[case] level: i16,
        #[case] upgrade_type: UpgradeType,
        #[case] outcome: Result<usize, &str>,
    ) {
        let mut image = Image::default();
        let record = Record::FeatureFinalized { name: "metadata.version".into(), level: 30 };
        image.apply(&record, &mut Delta::default());
        let update = FeatureUpdate { feature: feature.to_owned(), level, upgrade_type };
        let decided = update_features(&image, BrokerId(1), SUPPORTED, &[update]);
        let message = decided.answer[0].1.clone().err().and_then(|refusal| refusal.message);
        match outcome {
            Ok(records) => assert_eq!((message, decided.records.len()), (None, records)),
            Err(reason) => {
                let expected = format!("Invalid update version {level} for feature {feature}. {reason}");
                assert_eq!((message, decided.records.len()), (Some(expected), 0));
            }
        }
    }

    #[test]
    fn one_that_fails_keeps_the_others_back() {
        let update = |feature: &str, level| FeatureUpdate {
            feature: feature.to_owned(),
            level,
            upgrade_type: UpgradeType::Upgrade,
        };
        let updates = [update("new.version", 1), update("none.version", 1)];
        let decided = update_features(&Image::default(), BrokerId(1), SUPPORTED, &updates);
        assert_eq!(decided.records, []);
        assert!(decided.answer[0].1.is_ok() && decided.answer[1].1.is_err());
    }
}
