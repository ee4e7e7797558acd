//! Which node this is among others: its roles, the voters it knows, where the quorum is found.
//!
//! Source: `KafkaConfig.validateValues`, `QuorumConfig.parseVoterConnections`, `QuorumConfig.parseBootstrapServers`.

use std::collections::BTreeSet;

use super::settings::Settings;

/// A host and a port, as written in a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Without the brackets of an IPv6 address; never empty.
    pub host: String,
    pub port: u16,
}

impl HostPort {
    fn parse(text: &str) -> Option<HostPort> {
        let (host, port) = text.rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(address) => address,
            None if host.contains(':') => return None,
            None => host,
        };
        (!host.is_empty()).then_some(())?;
        Some(HostPort { host: host.to_owned(), port: port.parse().ok()? })
    }
}

/// One of `controller.quorum.voters`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    pub id: i32,
    pub address: HostPort,
}

impl Voter {
    fn parse(text: &str) -> Option<Voter> {
        let (id, address) = text.split_once('@')?;
        Some(Voter { id: id.parse().ok().filter(|id| *id >= 0)?, address: HostPort::parse(address)? })
    }
}

impl Settings {
    /// Whether this process serves clients.
    pub fn is_broker(&self) -> bool {
        self.get_list("process.roles").contains(&"broker")
    }

    /// Whether this process may vote and decide for the cluster.
    pub fn is_controller(&self) -> bool {
        self.get_list("process.roles").contains(&"controller")
    }

    /// The fixed voters; none when there is no such list.
    pub fn voters(&self) -> Vec<Voter> {
        self.get_list("controller.quorum.voters").into_iter().filter_map(Voter::parse).collect()
    }

    /// Where the quorum is found.
    pub fn bootstrap_servers(&self) -> Vec<HostPort> {
        self.get_list("controller.quorum.bootstrap.servers").into_iter().filter_map(HostPort::parse).collect()
    }
}

/// What is wrong with the settings of this room: the key to look at, and why.
pub(super) fn complaints(settings: &Settings, complaints: &mut Vec<(&'static str, String)>) {
    if settings.get_i32("broker.id") != settings.node_id() {
        complaints.push(("broker.id", "broker.id is the old name of node.id, and they differ".to_owned()));
    }
    if settings.node_id() < 0 {
        complaints.push(("broker.id", "a node needs an id of 0 or more".to_owned()));
    }
    check_voters(settings, complaints);
    for server in settings.get_list("controller.quorum.bootstrap.servers") {
        if HostPort::parse(server).is_none() {
            complaints.push(("controller.quorum.bootstrap.servers", format!("{server} is not host:port")));
        }
    }
    check_controller_listeners(settings, complaints);
    let (interval, session) = ("broker.heartbeat.interval.ms", "broker.session.timeout.ms");
    let (interval_ms, session_ms) = (settings.get_i64(interval), settings.get_i64(session));
    if interval_ms.saturating_mul(2) > session_ms {
        let reason =
            format!("two heartbeats must fit into {session} = {session_ms}, or one that is late fences the broker");
        complaints.push((interval, reason));
    }
}

fn check_voters(settings: &Settings, complaints: &mut Vec<(&'static str, String)>) {
    const KEY: &str = "controller.quorum.voters";
    let mut ids = BTreeSet::new();
    for text in settings.get_list(KEY) {
        match Voter::parse(text) {
            None => complaints.push((KEY, format!("{text} is not id@host:port"))),
            Some(voter) if !ids.insert(voter.id) => {
                complaints.push((KEY, format!("two voters have the id {}; every node needs its own", voter.id)));
            }
            Some(_) => {}
        }
    }
    let id = settings.node_id();
    if ids.is_empty() {
        if !settings.is_controller() && settings.bootstrap_servers().is_empty() {
            let reason = "a broker alone needs to know its controllers: set controller.quorum.bootstrap.servers, or \
                          controller.quorum.voters";
            complaints.push(("process.roles", reason.to_owned()));
        }
        return;
    }
    if settings.is_controller() && !ids.contains(&id) {
        let reason = format!(
            "node.id {id} is not among the voters: add {id}@<host>:<port of its controller listener>, or set \
             process.roles=broker"
        );
        complaints.push((KEY, reason));
    }
    if !settings.is_controller() && ids.contains(&id) {
        complaints.push((KEY, format!("node.id {id} is a voter, and with process.roles=broker it cannot vote")));
    }
}

fn check_controller_listeners(settings: &Settings, complaints: &mut Vec<(&'static str, String)>) {
    const KEY: &str = "controller.listener.names";
    let Some(listeners) = settings.try_controller_listeners() else { return };
    // A broker that is a controller too can be both on one listener.
    let needs_own = !settings.is_broker() || settings.assigned(KEY).is_some_and(|name| name != "CONTROLLER");
    if settings.is_controller() && listeners.is_empty() && needs_own {
        complaints
            .push((KEY, "none of these names is among the listeners: add one such as NAME://host:9093".to_owned()));
    }
    if !settings.is_controller()
        && let Some(listener) = listeners.first()
    {
        let reason = format!("{} is a listener for controllers, and process.roles names no controller", listener.name);
        complaints.push(("listeners", reason));
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1@a:9093", Some((1, "a", 9093)))]
    #[case("0@[::1]:1", Some((0, "::1", 1)))]
    #[case("-1@a:1", None)]
    #[case("1@:1", None)]
    #[case("1@a", None)]
    #[case("1@a:70000", None)]
    #[case("1@::1:1", None)]
    #[case("a:1", None)]
    fn a_voter_is_an_id_at_an_address(#[case] text: &str, #[case] expected: Option<(i32, &str, u16)>) {
        let expected = expected.map(|(id, host, port)| Voter { id, address: HostPort { host: host.to_owned(), port } });
        assert_eq!(Voter::parse(text), expected);
    }
}
