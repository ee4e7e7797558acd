//! Which quota holds for whom, and how long who exceeds it waits.

use rstest::rstest;

use super::*;

const OPTIONS: fn() -> Options = || Options::new((11, 1), (11, 1));

/// `user`, `user/client` or `/client`, where `*` is everybody else.
fn entity(text: &str) -> Entity {
    let name = |text: &str| match text {
        "" => None,
        "*" => Some(EntityName::Default),
        name => Some(EntityName::Named(name.to_owned())),
    };
    let (user, client_id) = text.split_once('/').unwrap_or((text, ""));
    Entity { user: name(user), client_id: name(client_id), ip: None }
}

fn limits(quotas: &[(&str, Key, f64)]) -> Limits {
    let quotas: Vec<_> = quotas.iter().map(|(who, key, value)| (entity(who), *key, Amount::new(*value))).collect();
    let mut limits = Limits::new(OPTIONS());
    limits.set(quotas.iter().map(|(entity, key, amount)| (entity, *key, *amount)));
    limits
}

/// The most exact quota holds: the order of `DefaultQuotaCallback`. Its value is told by the most that fits into a window of
/// ten seconds.
#[rstest]
#[case("a/x a/* a */x */* * /x /*", 10.0)]
#[case("a/* a */x */* * /x /*", 10.0)]
#[case("a */x */* * /x /*", 10.0)]
#[case("*/x */* * /x /*", 10.0)]
#[case("*/* * /x /*", 10.0)]
#[case("* /x /*", 10.0)]
#[case("/x /*", 10.0)]
#[case("/*", 10.0)]
fn the_most_exact_quota_holds(#[case] quotas: &str, #[case] expected: f64) {
    let quotas: Vec<_> =
        (1_u8..).zip(quotas.split(' ')).map(|(value, who)| (who, Key::ProducerByteRate, f64::from(value))).collect();
    let limits = limits(&quotas);
    assert_eq!(limits.window_max(Kind::Produce, "a", "x"), Some(expected));
    assert_eq!(limits.window_max(Kind::Fetch, "a", "x"), None, "another kind has quotas of its own");
}

#[test]
fn a_rate_is_averaged_over_the_window() {
    let mut limits = limits(&[("a", Key::ProducerByteRate, 1_000.0)]);
    // Ten seconds' worth at once is within the average of a window that has just begun.
    assert_eq!(limits.record(Kind::Produce, "a", "x", 10_000.0, 0), 0);
    // Another thousand is too much by a tenth: one second of ten.
    assert_eq!(limits.record(Kind::Produce, "a", "y", 1_000.0, 0), 1_000);
    // After that second it is right again.
    assert_eq!(limits.record(Kind::Produce, "a", "x", 0.0, 11_000), 0);
    assert_eq!(limits.record(Kind::Produce, "b", "x", 1e9, 0), 0, "nobody else is limited");
}

#[test]
fn what_is_taken_back_does_not_count() {
    let mut limits = limits(&[("/x", Key::ConsumerByteRate, 100.0)]);
    assert!(limits.record(Kind::Fetch, "a", "x", 5_000.0, 7) > 0);
    limits.unrecord(Kind::Fetch, "a", "x", 5_000.0, 7);
    assert_eq!(limits.record(Kind::Fetch, "a", "x", 1_000.0, 8), 0);
}

#[test]
fn a_request_is_held_back_a_second_at_most() {
    let mut limits = limits(&[("*", Key::RequestPercentage, 0.001)]);
    assert_eq!(limits.record(Kind::Request, "a", "", 100.0, 0), 1_000);
}

#[test]
fn mutations_are_tokens_that_come_back() {
    let mut limits = limits(&[("a", Key::ControllerMutationRate, 2.0)]);
    assert_eq!(limits.mutation_debt_ms("a", "x", 0), 0);
    // Eleven seconds' worth are there, and what goes beyond is a debt.
    limits.record_mutations("a", "x", 30.0, 0);
    assert_eq!(limits.mutation_debt_ms("a", "x", 0), 4_000);
    assert_eq!(limits.mutation_debt_ms("a", "x", 3_000), 1_000);
    assert_eq!(limits.mutation_debt_ms("a", "x", 4_000), 0);
    assert_eq!(limits.mutation_debt_ms("b", "x", 0), 0);
}

#[test]
fn connections_are_counted_by_address() {
    let mut limits = Limits::new(OPTIONS());
    let of = |name: EntityName| Entity { ip: Some(name), ..Entity::default() };
    let quotas = [(of(EntityName::Default), 1.0), (of(EntityName::Named("10.0.0.1".into())), 2.0)];
    limits.set(quotas.iter().map(|(entity, value)| (entity, Key::ConnectionCreationRate, Amount::new(*value))));
    let taken =
        |limits: &mut Limits, address: &str| (0..30).filter(|_| limits.record_connection(address, 0) == 0).count();
    assert_eq!((taken(&mut limits, "10.0.0.1"), taken(&mut limits, "10.0.0.2")), (20, 10));
    assert_eq!(limits.record_connection("10.0.0.2", 0), 1_000);
    assert_eq!(limits.record_connection("10.0.0.2", 60_000), 0);
}

#[test]
fn a_quota_that_is_gone_limits_nobody_and_forgets() {
    let mut limits = limits(&[("a", Key::ProducerByteRate, 1.0)]);
    assert!(limits.record(Kind::Produce, "a", "x", 1_000.0, 0) > 0);
    limits.set(std::iter::empty());
    assert!(!limits.limits(Kind::Produce));
    assert_eq!(limits.record(Kind::Produce, "a", "x", 1_000.0, 0), 0);
}

#[test]
fn strangers_cannot_fill_the_memory() {
    let mut limits = limits(&[("/*", Key::ProducerByteRate, 1.0)]);
    for client in 0..30_000 {
        limits.record(Kind::Produce, "a", &format!("client-{client}"), 1.0, 0);
    }
    assert!(limits.tallies() <= 10_000);
}
