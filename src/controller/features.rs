//! Raising and lowering finalised features (KIP-584, KIP-778). Source: `FeatureControlManager`, `ControllerApis.handleUpdateFeatures`.

use std::collections::BTreeSet;

use super::{Decision, Refusal};
use crate::metadata::{Image, Record};
use crate::model::{BrokerId, ErrorCode};

/// `MetadataVersion.FEATURE_NAME`.
const METADATA_VERSION: &str = "metadata.version";
/// `KRaftVersion.FEATURE_NAME`: whether the voters of the quorum can change. No record of the metadata holds it.
const KRAFT_VERSION: SupportedLevels = ("kraft.version", 0, 1);

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

/// Decides on UpdateFeatures: all updates or none. The answer of one that fails is the whole request's. `kraft_version` is that of
/// the quorum.
pub fn update_features(
    image: &Image,
    controller: BrokerId,
    kraft_version: i16,
    supported: &[SupportedLevels],
    updates: &[FeatureUpdate],
) -> Decision<Vec<(String, Result<(), Refusal>)>> {
    let mut records = Vec::new();
    let mut answer = Vec::new();
    let mut named = BTreeSet::new();
    for update in updates.iter().filter(|update| named.insert(update.feature.as_str())) {
        let decided = update_feature(image, controller, kraft_version, supported, update);
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
    kraft_version: i16,
    supported: &[SupportedLevels],
    update: &FeatureUpdate,
) -> Result<Option<Record>, Refusal> {
    let FeatureUpdate { feature, level, upgrade_type } = update;
    let (feature, level) = (feature.as_str(), *level);
    let refuse = |message: String| Err(Refusal::new(ErrorCode::InvalidUpdateVersion, message));
    let invalid = |reason: &str| refuse(format!("Invalid update version {level} for feature {feature}. {reason}"));
    let is_of_voters = feature == KRAFT_VERSION.0;
    let known = supported.iter().chain([&KRAFT_VERSION]).find(|(name, _, _)| *name == feature);
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
    let current = if is_of_voters { kraft_version } else { image.features().get(feature).copied().unwrap_or(0) };
    if level == current {
        return Ok(None);
    }
    if level > current {
        return match upgrade_type {
            UpgradeType::Upgrade if is_of_voters => invalid("The voters of this quorum were fixed when it was formed."),
            UpgradeType::Upgrade => Ok(Some(Record::FeatureFinalized { name: feature.to_owned(), level })),
            _ => invalid("Can't downgrade to a newer version."),
        };
    }
    if *upgrade_type == UpgradeType::Upgrade {
        return invalid(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe \
             downgrade.",
        );
    }
    match feature {
        _ if is_of_voters => invalid("Can't downgrade the version of this feature."),
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
    #[case("new.version", 2, UpgradeType::SafeDowngrade, Err("Can't downgrade to a newer version."))]
    #[case("kraft.version", 0, UpgradeType::Upgrade, Ok(0))]
    #[case("kraft.version", 0, UpgradeType::SafeDowngrade, Ok(0))]
    #[case("kraft.version", 1, UpgradeType::SafeDowngrade, Err("Can't downgrade to a newer version."))]
    #[case("kraft.version", 2, UpgradeType::Upgrade, Err("Local controller 1 only supports versions 0-1"))]
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
        let decided = update_features(&image, BrokerId(1), 0, SUPPORTED, &[update]);
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
    fn what_voters_are_is_no_matter_of_a_downgrade() {
        for (level, reason) in [
            (1, "The voters of this quorum were fixed when it was formed."),
            (0, "Can't downgrade the version of this feature."),
        ] {
            let upgrade_type = if level == 1 { UpgradeType::Upgrade } else { UpgradeType::SafeDowngrade };
            let update = FeatureUpdate { feature: "kraft.version".into(), level, upgrade_type };
            let decided = update_features(&Image::default(), BrokerId(1), 1 - level, SUPPORTED, &[update]);
            let message = format!("Invalid update version {level} for feature kraft.version. {reason}");
            assert_eq!(decided.answer[0].1, Err(Refusal::new(ErrorCode::InvalidUpdateVersion, message)));
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
        let decided = update_features(&Image::default(), BrokerId(1), 0, SUPPORTED, &updates);
        assert_eq!(decided.records, []);
        assert!(decided.answer[0].1.is_ok() && decided.answer[1].1.is_err());
    }
}
