//! Every setting that Kafka shows, and a bad value for each.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::player::Player;
use super::topics::create_with;

const RESOURCES: &[(i8, &str, &str)] =
    &[(2, "plain", "a topic"), (4, "1", "a broker"), (32, "g", "a group"), (16, "m", "a subscription")];
const SET: i8 = 0;

pub fn play(player: &mut Player<'_>) -> Result<()> {
    create_with(player, "plain", 1, &[])?;
    for (kind, name, what) in RESOURCES {
        let settings = shown(player, *kind, name, what)?;
        for setting in settings {
            bad_values(player, (*kind, name), &setting)?;
        }
        shown(player, *kind, name, &format!("{what} after all refusals"))?;
    }
    Ok(())
}

/// All that is told of each setting, but the words of its documentation: it must have some.
fn shown(player: &mut Player<'_>, kind: i8, name: &str, what: &str) -> Result<Vec<Value>> {
    let resource = json!({ "resourceType": kind, "resourceName": name, "configurationKeys": null });
    let body = json!({ "resources": [resource], "includeSynonyms": true, "includeDocumentation": true });
    let documented = |answer: &Value| {
        let mut settings = Map::new();
        for setting in answer["results"][0]["configs"].as_array().into_iter().flatten() {
            let mut setting = setting.clone();
            setting["documentation"] = json!(!setting["documentation"].as_str().unwrap_or_default().is_empty());
            settings.insert(setting["name"].as_str().unwrap_or_default().to_owned(), setting);
        }
        json!(settings)
    };
    let case = format!("every setting of {what}");
    let answer = player.ask_as(&case, ("DescribeConfigs", 4), &body, documented)?;
    Ok(answer["results"][0]["configs"].as_array().context("configs")?.clone())
}

/// Values that do not fit the type, by Kafka's number of it.
fn misfits(config_type: i64) -> &'static [&'static str] {
    match config_type {
        1 => &["maybe", ""],
        2 => &["", "no such thing"],
        3 => &["x", "2147483648", "-2147483648", ""],
        4 => &["x", "32768", "-32768"],
        5 => &["x", "9223372036854775808", "-9223372036854775808"],
        6 => &["x", "-1.5", "1e9"],
        7 => &["a,,b", "no such thing", ""],
        _ => &["no such thing"],
    }
}

fn bad_values(player: &mut Player<'_>, (kind, resource): (i8, &str), setting: &Value) -> Result<()> {
    let name = setting["name"].as_str().context("a name")?;
    for value in misfits(setting["configType"].as_i64().unwrap_or_default()) {
        let config = json!({ "name": name, "configOperation": SET, "value": value });
        let resource = json!({ "resourceType": kind, "resourceName": resource, "configs": [config] });
        let body = json!({ "resources": [resource], "validateOnly": true });
        player.ask(&format!("{name}={value:?}"), "IncrementalAlterConfigs", 1, &body)?;
    }
    Ok(())
}
