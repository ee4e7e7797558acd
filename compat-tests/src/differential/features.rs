//! UpdateFeatures in every version.

use anyhow::Result;
use serde_json::{Value, json};

use super::configs::catch_up;
use super::player::Player;
use super::topics::create_with;

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;
const API: &str = "UpdateFeatures";
/// The topic whose changes say how much was heard of.
const BARRIER: &str = "barrier";

pub fn play(player: &mut Player<'_>) -> Result<()> {
    create_with(player, BARRIER, 1, &[])?;
    let metadata = "metadata.version";
    let kraft = "kraft.version";
    let elr = "eligible.leader.replicas.version";
    for (case, updates) in [
        ("the level it has", &[(metadata, 30, UPGRADE)][..]),
        ("the level it has, as a downgrade", &[(metadata, 30, SAFE_DOWNGRADE)]),
        ("beyond what is known", &[(metadata, 31, UPGRADE)]),
        ("far beyond", &[(metadata, 32_767, UPGRADE)]),
        ("below what is known", &[(metadata, 1, UPGRADE)]),
        ("a downgrade as an upgrade", &[(metadata, 29, UPGRADE)]),
        ("a safe downgrade of metadata", &[(metadata, 27, SAFE_DOWNGRADE)]),
        ("a safe downgrade by one", &[(metadata, 29, SAFE_DOWNGRADE)]),
        ("an unsafe downgrade by one", &[(metadata, 29, UNSAFE_DOWNGRADE)]),
        ("a downgrade below what is known", &[(metadata, 1, UNSAFE_DOWNGRADE)]),
        ("metadata deleted", &[(metadata, 0, UNSAFE_DOWNGRADE)]),
        ("metadata deleted as an upgrade", &[(metadata, 0, UPGRADE)]),
        ("a negative level", &[(metadata, -1, SAFE_DOWNGRADE)]),
        ("an unknown feature", &[("no.such.version", 1, UPGRADE)]),
        ("an unknown feature deleted", &[("no.such.version", 0, SAFE_DOWNGRADE)]),
        ("no name", &[("", 1, UPGRADE)]),
        ("upgrade type 0", &[(elr, 1, 0)]),
        ("upgrade type 4", &[(elr, 1, 4)]),
        ("a good one and a bad one", &[(elr, 0, SAFE_DOWNGRADE), ("no.such.version", 1, UPGRADE)]),
        ("eligible leaders at the level it has", &[(elr, 1, UPGRADE)]),
        ("eligible leaders beyond", &[(elr, 2, UPGRADE)]),
        ("eligible leaders deleted as an upgrade", &[(elr, 0, UPGRADE)]),
        ("nothing", &[]),
        ("the voters' level it has", &[(kraft, 0, UPGRADE)]),
        ("the voters' level it has, as a downgrade", &[(kraft, 0, SAFE_DOWNGRADE)]),
        ("the voters' level beyond", &[(kraft, 2, UPGRADE)]),
        ("a negative level of the voters", &[(kraft, -1, UPGRADE)]),
    ] {
        for version in 0..=2 {
            player.ask(case, API, version, &request(version, updates, false))?;
        }
    }
    for version in 1..=2 {
        let body = request(version, &[(kraft, 1, SAFE_DOWNGRADE)], false);
        player.ask("the voters' level above, as a downgrade", API, version, &body)?;
        let body = request(version, &[(kraft, 1, UPGRADE)], true);
        player.ask("the voters' level, only to be validated", API, version, &body)?;
        let body = request(version, &[(elr, 0, SAFE_DOWNGRADE)], true);
        player.ask("eligible leaders deleted, only to be validated", API, version, &body)?;
    }
    features(player, "after a validation")?;
    player.ask("eligible leaders deleted", API, 2, &request(2, &[(elr, 0, SAFE_DOWNGRADE)], false))?;
    features(player, "without eligible leaders")?;
    player.ask("eligible leaders deleted again", API, 2, &request(2, &[(elr, 0, SAFE_DOWNGRADE)], false))?;
    player.ask("eligible leaders again", API, 1, &request(1, &[(elr, 1, UPGRADE)], false))?;
    features(player, "with eligible leaders")?;
    player.ask("eligible leaders deleted unsafely", API, 1, &request(1, &[(elr, 0, UNSAFE_DOWNGRADE)], false))?;
    player.ask("eligible leaders by v0", API, 0, &request(0, &[(elr, 1, UPGRADE)], false))?;
    player.ask("eligible leaders deleted by v0", API, 0, &request(0, &[(elr, 0, SAFE_DOWNGRADE)], false))?;
    player.ask("eligible leaders at last", API, 2, &request(2, &[(elr, 1, UPGRADE)], false))?;
    let mut hasty = request(2, &[(elr, 1, UPGRADE)], false);
    hasty["timeoutMs"] = json!(0);
    player.ask("without time", API, 2, &hasty)?;
    Ok(())
}

/// In v0 a downgrade is one that is allowed.
fn request(version: i16, updates: &[(&str, i16, i8)], validate_only: bool) -> Value {
    let update = |(feature, level, upgrade_type): &(&str, i16, i8)| match version {
        0 => json!({ "feature": feature, "maxVersionLevel": level, "allowDowngrade": *upgrade_type > 1 }),
        _ => json!({ "feature": feature, "maxVersionLevel": level, "upgradeType": upgrade_type }),
    };
    let updates: Vec<Value> = updates.iter().map(update).collect();
    let mut request = json!({ "timeoutMs": 10_000, "featureUpdates": updates });
    if version > 0 {
        request["validateOnly"] = json!(validate_only);
    }
    request
}

/// What ApiVersions says of the one feature that is changed here.
fn features(player: &mut Player<'_>, case: &str) -> Result<()> {
    catch_up(player, BARRIER)?;
    let body = json!({ "clientSoftwareName": "differential", "clientSoftwareVersion": "1" });
    player.ask_as(case, ("ApiVersions", 3), &body, |answer| {
        let of = |list: &str| {
            let features = answer[list].as_array().into_iter().flatten();
            features
                .filter(|feature| feature["name"] == "eligible.leader.replicas.version")
                .cloned()
                .collect::<Vec<_>>()
        };
        json!({ "supported": of("supportedFeatures"), "finalized": of("finalizedFeatures") })
    })?;
    Ok(())
}
