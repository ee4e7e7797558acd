//! Settings that contradict each other, or ask for what this version cannot give: better refused than half obeyed.

use super::broker;
use super::listeners::{self, Listener, SecurityProtocol};
use super::loggers;
use super::nodes;
use super::settings::Settings;
use super::value;

/// A reason not to start: the key to look at, and what is wrong.
type Complaint = (&'static str, String);

/// Every contradiction. Values are known to be well formed one by one.
pub(super) fn complaints(settings: &Settings) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    check_listeners(settings, &mut complaints);
    nodes::complaints(settings, &mut complaints);
    if let Err(reason) = listeners::parse_http(settings) {
        complaints.push(("http.listener", reason));
    }
    if let Err(reason) = loggers::check_filter(settings.get_str("logging.level")) {
        complaints.push(("logging.level", reason));
    }
    check_limits(settings, &mut complaints);
    complaints.extend(broker::contradiction_at_start(settings));
    check_logs(settings, &mut complaints);
    // To run open while the file asks for authorisation would be worse than not to run.
    if !settings.get_str("authorizer.class.name").is_empty() {
        complaints.push((
            "authorizer.class.name",
            "this version cannot authorise, and so does not start with it set".to_owned(),
        ));
    }
    complaints
}

fn check_listeners(settings: &Settings, complaints: &mut Vec<Complaint>) {
    let all = match listeners::parse_all(settings, "listeners") {
        Ok(listeners) => listeners,
        Err(reason) => return complaints.push(("listeners", reason)),
    };
    let advertised = match listeners::advertised(settings) {
        Ok(advertised) => advertised,
        Err(reason) => return complaints.push(("advertised.listeners", reason)),
    };
    let for_controllers = settings.try_controller_listeners().unwrap_or_default();
    let listeners: Vec<Listener> = all.iter().filter(|listener| !for_controllers.contains(listener)).cloned().collect();
    if settings.is_broker() && listeners.is_empty() {
        complaints.push(("listeners", "there is no listener for clients".to_owned()));
    }
    if !settings.is_broker()
        && let Some(listener) = listeners.first()
    {
        let reason = format!(
            "{} is for clients, and a process that is only a controller serves none: keep the listeners that \
             controller.listener.names names",
            listener.name
        );
        complaints.push(("listeners", reason));
    }
    for (index, listener) in all.iter().enumerate() {
        if listener.security_protocol != SecurityProtocol::Plaintext {
            let protocol = listener.security_protocol.name();
            let reason =
                format!("{} speaks {protocol}, which this version does not support; use PLAINTEXT", listener.name);
            complaints.push(("listeners", reason));
        }
        for earlier in &all[..index] {
            if earlier.name == listener.name {
                complaints.push((
                    "listeners",
                    format!("each listener must have a different name, and two are {}", listener.name),
                ));
            }
            if earlier.port == listener.port && listener.port != 0 && !is_one_of_each_family(earlier, listener) {
                complaints.push((
                    "listeners",
                    format!("each listener must have a different port, and two have {}", listener.port),
                ));
            }
        }
    }
    let has = |name: &str| listeners.iter().any(|listener| listener.name.eq_ignore_ascii_case(name));
    if settings.is_broker() && settings.get_text("advertised.listeners").is_some() {
        for listener in &advertised {
            // Without a host, as for Kafka, it is this machine: each client is told the address that it came by.
            if listener.is_wildcard() && !listener.host.is_empty() {
                let reason = format!("{listener} cannot be connected to; name an address that clients can reach");
                complaints.push(("advertised.listeners", reason));
            }
            if !has(&listener.name) {
                complaints.push(("advertised.listeners", format!("{} is not among the listeners", listener.name)));
            }
        }
    }
    if let Some(name) = settings.get_text("inter.broker.listener.name") {
        if settings.get_str("security.inter.broker.protocol") != "PLAINTEXT" {
            let reason = "only one of inter.broker.listener.name and security.inter.broker.protocol may be set";
            complaints.push(("inter.broker.listener.name", reason.to_owned()));
        }
        // A controller alone is told how the brokers call theirs.
        if settings.is_broker() && !has(name) {
            complaints.push(("inter.broker.listener.name", format!("{name} is not among the listeners")));
        }
    }
}

/// Kafka lets two listeners share a port when one is IPv4 and the other IPv6 (KIP-797).
fn is_one_of_each_family(left: &Listener, right: &Listener) -> bool {
    use std::net::IpAddr;
    match (left.host.parse(), right.host.parse()) {
        (Ok(left), Ok(right)) => IpAddr::is_ipv4(&left) != IpAddr::is_ipv4(&right),
        _ => false,
    }
}

fn check_limits(settings: &Settings, complaints: &mut Vec<Complaint>) {
    let ordered = [
        ("group.min.session.timeout.ms", "group.max.session.timeout.ms"),
        ("socket.request.max.bytes", "connection.memory.max.bytes"),
        ("connection.memory.max.bytes", "request.memory.max.bytes"),
        ("replica.fetch.wait.max.ms", "replica.socket.timeout.ms"),
        ("replica.fetch.wait.max.ms", "replica.lag.time.max.ms"),
    ];
    for (lower, upper) in ordered {
        let (small, large) = (settings.get_i64(lower), settings.get_i64(upper));
        if small > large {
            complaints.push((lower, format!("{lower} = {small} must not exceed {upper} = {large}")));
        }
    }
    let overrides = "max.connections.per.ip.overrides";
    let is_limit = |pair: &str| pair.rsplit_once(':').is_some_and(|(_, limit)| limit.trim().parse::<u32>().is_ok());
    for pair in value::parse_list(settings.get_str(overrides)).into_iter().filter(|pair| !is_limit(pair)) {
        complaints.push((overrides, format!("{pair} is no address with a number of connections, such as 10.0.0.1:5")));
    }
}

fn check_logs(settings: &Settings, complaints: &mut Vec<Complaint>) {
    let directories = settings.log_dirs();
    if let Some(twice) = (1..directories.len()).find(|index| directories[..*index].contains(&directories[*index])) {
        let message = format!("{} is named twice", directories[twice].display());
        complaints.push(("log.dirs", message));
    }
    if let Err(missing) = settings.check_cordoned(settings.get_str("cordoned.log.dirs")) {
        complaints.push(("cordoned.log.dirs", missing));
    }
    for key in ["log.retention.ms", "log.retention.minutes", "log.retention.hours"] {
        if settings.get_optional_i64(key).is_some_and(|retention| retention == 0 || retention < -1) {
            complaints.push((key, format!("{key} must be -1 (without limit) or at least 1")));
        }
    }
}
