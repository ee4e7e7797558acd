//! Changing the quotas of clients (KIP-546). Source: `ClientQuotaControlManager`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{BATCH_PARTITIONS_MAX, Decision, Refusal};
use crate::metadata::{Image, Record};
use crate::model::ErrorCode;
use crate::quota::{Amount, Entity, EntityName, Key};

/// Whom a quota is for, as a client names it: types and names, where no name is the default.
pub type EntityParts = Vec<(String, Option<String>)>;

/// An entity, and whether its quotas are changed.
pub type AlteredQuotas = (EntityParts, Result<(), Refusal>);

/// The changes asked of the quotas of one entity.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterQuotas {
    pub entity: EntityParts,
    /// Keys and their new values; `None` takes the quota back.
    pub ops: Vec<(String, Option<f64>)>,
}

/// Decides on AlterClientQuotas: one answer for each entity, in the order of the request. Error of the whole: POLICY_VIOLATION for
/// more than are written at once.
pub fn alter_client_quotas(image: &Image, entries: &[AlterQuotas]) -> Result<Decision<Vec<AlteredQuotas>>, Refusal> {
    let mut records = Vec::new();
    let mut answer: Vec<AlteredQuotas> = Vec::new();
    let named: Vec<EntityParts> = entries.iter().map(|entry| last_of_each_type(&entry.entity)).collect();
    let mut times: BTreeMap<&EntityParts, usize> = BTreeMap::new();
    named.iter().for_each(|entity| *times.entry(entity).or_default() += 1);
    for (entry, entity) in entries.iter().zip(&named) {
        let decided = match times.remove(entity) {
            // It was answered before.
            None => continue,
            Some(1) => alter(image, entity, &entry.ops),
            Some(_) => Err(duplicate(entity)),
        };
        answer.push((entity.clone(), decided.map(|more| records.extend(more))));
    }
    if records.len() > BATCH_PARTITIONS_MAX {
        let message = "Request parameters do not satisfy the configured policy.";
        return Err(Refusal::new(ErrorCode::PolicyViolation, message));
    }
    Ok(Decision { records, answer })
}

/// Of two parts of one type the later one counts, as in Kafka's maps.
fn last_of_each_type(parts: &EntityParts) -> EntityParts {
    let is_last = |index: usize, kind: &str| parts[index + 1..].iter().all(|(other, _)| other != kind);
    let last = parts.iter().enumerate().filter(|(index, (kind, _))| is_last(*index, kind));
    last.map(|(_, part)| part.clone()).collect()
}

fn duplicate(entity: &EntityParts) -> Refusal {
    let parts: Vec<String> =
        entity.iter().map(|(kind, name)| format!("{kind}={}", name.as_deref().unwrap_or("null"))).collect();
    let message = format!("Ignoring duplicate entity ClientQuotaEntity(entries={{{}}})", parts.join(", "));
    Refusal::new(ErrorCode::InvalidRequest, message)
}

fn refuse<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(ErrorCode::InvalidRequest, message))
}

fn alter(image: &Image, parts: &EntityParts, ops: &[(String, Option<f64>)]) -> Result<Vec<Record>, Refusal> {
    let mut names = BTreeSet::new();
    for (name, _) in ops {
        if !names.insert(name) {
            return Err(duplicate(parts));
        }
    }
    let entity = entity_of(parts)?;
    let known = image.quotas().get(&entity);
    let mut records = Vec::new();
    for (name, value) in ops {
        let key = Key::of(name).filter(|key| key.is_of_address() == entity.ip.is_some());
        let value = match (key, value) {
            (None, None) => continue,
            (None, Some(_)) => return refuse(format!("Invalid configuration key {name}")),
            (Some(_), None) => None,
            (Some(key), Some(value)) => Some(Amount::new(checked(key, *value)?)),
        };
        let Some(key) = key else { continue };
        if known.and_then(|known| known.get(&key)) != value.as_ref() {
            records.push(Record::QuotaChanged { entity: entity.clone(), key, value });
        }
    }
    Ok(records)
}

/// The entity that a client names. Errors: INVALID_REQUEST for parts that there are not, or not together.
fn entity_of(parts: &EntityParts) -> Result<Entity, Refusal> {
    if parts.is_empty() {
        return refuse("Invalid empty client quota entity");
    }
    let mut entity = Entity::default();
    for (entity_type, name) in parts {
        let Some(part) = entity.part_mut(entity_type) else {
            return refuse(format!("Unhandled client quota entity type: {entity_type}"));
        };
        if name.as_deref() == Some("") {
            return refuse(format!("Empty {entity_type} not supported"));
        }
        *part = Some(EntityName::of(name.as_deref()));
    }
    if entity.ip.is_some() && (entity.user.is_some() || entity.client_id.is_some()) {
        return refuse("Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId");
    }
    if let Some(EntityName::Named(address)) = &entity.ip
        && address.parse::<IpAddr>().is_err()
    {
        return refuse(format!("{address} is not a valid IP or resolvable host."));
    }
    Ok(entity)
}

/// How far a value may be from a whole number to be taken for it.
const WHOLE_TOLERANCE: f64 = 1e-6;

/// The value as it is stored. Source: `ClientQuotaControlManager.validateQuotaKeyValue`.
fn checked(key: Key, value: f64) -> Result<f64, Refusal> {
    let name = key.name();
    if value <= 0.0 || value.is_nan() {
        return refuse(format!("Quota {name} must be greater than 0"));
    }
    if !key.is_whole() {
        return Ok(value);
    }
    let (most, of_type) = match key {
        Key::ConnectionCreationRate => (f64::from(i32::MAX), "an INT"),
        _ => (9_223_372_036_854_775_807.0, "a LONG"),
    };
    if value > most {
        return refuse(format!("Proposed value for {name} is too large for {of_type}."));
    }
    if (value - value.round()).abs() > WHOLE_TOLERANCE {
        return refuse(format!("{name} cannot be a fractional value."));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::metadata::Delta;

    fn asked(entity: &str, ops: &[(&str, Option<f64>)]) -> AlterQuotas {
        let part = |part: &str| {
            let (kind, name) = part.split_once('=').unwrap_or((part, "*"));
            (kind.to_owned(), (name != "*").then(|| name.to_owned()))
        };
        let ops = ops.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect();
        AlterQuotas { entity: entity.split_whitespace().map(part).collect(), ops }
    }

    /// As Apache Kafka 4.3.1 answers.
    #[rstest]
    #[case("user=a", "producer_byte_rate", 1.0, "")]
    #[case("user client-id=c", "request_percentage", 0.5, "")]
    #[case("ip=127.0.0.1", "connection_creation_rate", 1.0, "")]
    #[case("", "producer_byte_rate", 1.0, "Invalid empty client quota entity")]
    #[case("colour=red", "producer_byte_rate", 1.0, "Unhandled client quota entity type: colour")]
    #[case("user=a", "producer_byte_rate", 1.5, "producer_byte_rate cannot be a fractional value.")]
    #[case("user=a", "producer_byte_rate", 0.0, "Quota producer_byte_rate must be greater than 0")]
    #[case("user=a", "connection_creation_rate", 1.0, "Invalid configuration key connection_creation_rate")]
    #[case("ip=127.0.0.1", "producer_byte_rate", 1.0, "Invalid configuration key producer_byte_rate")]
    #[case(
        "ip=127.0.0.1 user=a",
        "connection_creation_rate",
        1.0,
        "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId"
    )]
    fn an_entity_and_its_keys_are_checked(
        #[case] entity: &str,
        #[case] key: &str,
        #[case] value: f64,
        #[case] answer: &str,
    ) {
        let decided = alter_client_quotas(&Image::default(), &[asked(entity, &[(key, Some(value))])]).expect("few");
        let message = decided.answer[0].1.clone().err().and_then(|refusal| refusal.message).unwrap_or_default();
        assert_eq!((message.as_str(), decided.records.len()), (answer, usize::from(answer.is_empty())));
    }

    #[test]
    fn what_is_as_it_was_needs_no_record_and_nothing_is_half_applied() {
        let mut image = Image::default();
        let both = [("producer_byte_rate", Some(5.0)), ("request_percentage", Some(2.0))];
        let decided = alter_client_quotas(&image, &[asked("user=a", &both)]).expect("few");
        assert_eq!(decided.records.len(), 2);
        decided.records.iter().for_each(|record| image.apply(record, &mut Delta::default()));
        let half = [("producer_byte_rate", Some(6.0)), ("request_percentage", Some(-1.0))];
        for ops in [&both, &half] {
            assert_eq!(alter_client_quotas(&image, &[asked("user=a", ops)]).expect("few").records, []);
        }
        let removed = alter_client_quotas(&image, &[asked("user=a", &[("request_percentage", None)])]).expect("few");
        removed.records.iter().for_each(|record| image.apply(record, &mut Delta::default()));
        assert_eq!(image.quotas().values().next().map(|quotas| quotas.len()), Some(1));
    }
}
