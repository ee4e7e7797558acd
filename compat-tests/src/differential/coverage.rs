//! Every version of every API that is offered has been asked at least once well and at least once badly.

use anyhow::{Result, ensure};
use ottla::api::offered;
use ottla::config::Roles;
use ottla::protocol::api_key::ApiKey;
use serde_json::Value;

use super::player::Case;
use crate::wire::Schemas;

/// APIs of which one node cannot do what is asked: voters are added and removed in the suite of tools, on three.
const NEEDS_SEVERAL_NODES: &[ApiKey] = &[ApiKey::AddRaftVoter, ApiKey::RemoveRaftVoter];

/// Judged by Kafka's answers: a request was good when its answer tells of no error, and bad when it does, or when the
/// connection is closed.
pub fn check(schemas: &Schemas, played: &[Case]) -> Result<()> {
    let mut missing = Vec::new();
    for row in offered(Roles::CLIENT) {
        for version in row.versions.clone() {
            let asked = Some((row.key.key(), version));
            let outcomes = || played.iter().filter(|case| case.asked == asked).map(|case| &case.outcome);
            if outcomes().all(is_bad) && !NEEDS_SEVERAL_NODES.contains(&row.key) {
                missing.push(format!("{} v{version} was never asked well", row.key));
            }
            if takes_anything(schemas, row.key, version)? && !outcomes().any(is_bad) {
                missing.push(format!("{} v{version} was never asked badly", row.key));
            }
        }
    }
    ensure!(missing.is_empty(), "{} are missing\n        {}", missing.len(), missing.join("\n        "));
    Ok(())
}

/// Whether a request has anything that could be wrong: bytes behind a request are ignored.
fn takes_anything(schemas: &Schemas, key: ApiKey, version: i16) -> Result<bool> {
    let request = schemas.request(key.name())?;
    Ok(request.flexible.contains(version) || request.fields.iter().any(|field| field.versions.contains(version)))
}

fn is_bad(outcome: &Value) -> bool {
    outcome.is_null() || outcome.get("closed").is_some() || has_error(outcome)
}

fn has_error(value: &Value) -> bool {
    match value {
        Value::Object(fields) => {
            fields.get("errorCode").is_some_and(|code| code.as_i64() != Some(0)) || fields.values().any(has_error)
        }
        Value::Array(elements) => elements.iter().any(has_error),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::is_bad;

    #[test]
    fn an_error_code_at_any_depth_makes_an_answer_bad() {
        let deep = json!({ "topics": [{ "partitions": [{ "errorCode": 3 }] }] });
        for bad in [deep, json!({ "errorCode": -1 }), json!({ "closed": true }), Value::Null] {
            assert!(is_bad(&bad), "{bad}");
        }
        for good in [json!({ "errorCode": 0, "topics": [] }), json!({ "throttleTimeMs": 0 })] {
            assert!(!is_bad(&good), "{good}");
        }
    }
}
