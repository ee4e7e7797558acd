//! Listeners: `NAME://host:port`, what each name speaks, and what is advertised to clients.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use super::settings::Settings;
use super::value;

/// How a listener authenticates and encrypts. Source: `org.apache.kafka.common.security.auth.SecurityProtocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityProtocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

impl SecurityProtocol {
    /// Kafka's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            SecurityProtocol::Plaintext => "PLAINTEXT",
            SecurityProtocol::Ssl => "SSL",
            SecurityProtocol::SaslPlaintext => "SASL_PLAINTEXT",
            SecurityProtocol::SaslSsl => "SASL_SSL",
        }
    }

    /// Kafka's number of it, as brokers are registered with.
    pub const fn id(self) -> i16 {
        match self {
            SecurityProtocol::Plaintext => 0,
            SecurityProtocol::Ssl => 1,
            SecurityProtocol::SaslPlaintext => 2,
            SecurityProtocol::SaslSsl => 3,
        }
    }

    /// Whether who connects is known.
    pub const fn authenticates(self) -> bool {
        !matches!(self, SecurityProtocol::Plaintext)
    }

    fn parse(text: &str) -> Option<SecurityProtocol> {
        let all = [
            SecurityProtocol::Plaintext,
            SecurityProtocol::Ssl,
            SecurityProtocol::SaslPlaintext,
            SecurityProtocol::SaslSsl,
        ];
        all.into_iter().find(|protocol| protocol.name().eq_ignore_ascii_case(text))
    }
}

/// What connections of a listener are for: a set, since one listener can serve several purposes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// What clients ask. Every listener of a broker has it, that of its peers too, as in Kafka.
    pub const CLIENT: Roles = Roles(1);
    /// What brokers ask each other: only here is a replica id in a Fetch believed.
    pub const INTER_BROKER: Roles = Roles(2);
    /// What brokers ask the controller, what voters ask each other, and what tools ask with `--bootstrap-controller`.
    pub const CONTROLLER: Roles = Roles(4);

    /// Both sets together.
    pub const fn and(self, other: Roles) -> Roles {
        Roles(self.0 | other.0)
    }

    /// Whether the two sets have a role in common.
    pub const fn meet(self, other: Roles) -> bool {
        self.0 & other.0 != 0
    }
}

/// One listener. `Display` writes it as `host:port`, with brackets round an IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// In capitals, as Kafka normalises it.
    pub name: String,
    /// As written, without the brackets of an IPv6 address; empty means every address.
    pub host: String,
    /// 0 asks the system for a free port.
    pub port: u16,
    pub security_protocol: SecurityProtocol,
}

impl Listener {
    /// Whether only this machine can reach it: `localhost`, 127.0.0.0/8 or ::1.
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    /// Whether it stands for every address of this machine, and so cannot be connected to as such.
    pub fn is_wildcard(&self) -> bool {
        self.host.is_empty() || self.host.parse().is_ok_and(|address: IpAddr| address.is_unspecified())
    }

    /// The hosts to bind: `localhost` is both families, and so is an empty host (whose IPv6 wildcard takes IPv4 too).
    pub fn bind_hosts(&self) -> Vec<&str> {
        match self.host.as_str() {
            "" => vec!["::"],
            host if host.eq_ignore_ascii_case("localhost") => vec!["127.0.0.1", "::1"],
            host => vec![host],
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The listeners of a key, controller listeners left out. Errors: what is wrong with it, as a person would say it.
pub(super) fn parse_for_brokers(settings: &Settings, key: &str) -> Result<Vec<Listener>, String> {
    let controllers = settings.get_list("controller.listener.names");
    let mut listeners = parse_all(settings, key)?;
    listeners.retain(|listener| !controllers.iter().any(|name| name.eq_ignore_ascii_case(&listener.name)));
    Ok(listeners)
}

/// Every listener of a key.
pub(super) fn parse_all(settings: &Settings, key: &str) -> Result<Vec<Listener>, String> {
    let protocols = protocol_map(settings)?;
    settings.get_list(key).into_iter().map(|text| parse(text, &protocols)).collect()
}

/// What is told to clients: `advertised.listeners`, or else the listeners themselves.
pub(super) fn advertised(settings: &Settings) -> Result<Vec<Listener>, String> {
    match settings.get_text("advertised.listeners") {
        Some(_) => parse_for_brokers(settings, "advertised.listeners"),
        None => parse_for_brokers(settings, "listeners"),
    }
}

fn protocol_map(settings: &Settings) -> Result<BTreeMap<String, SecurityProtocol>, String> {
    let mut map = BTreeMap::new();
    let text = settings.get_str("listener.security.protocol.map");
    for pair in value::parse_list(text) {
        let Some((name, protocol)) = pair.split_once(':') else {
            return Err(format!("listener.security.protocol.map: {pair:?} is not NAME:PROTOCOL"));
        };
        let Some(protocol) = SecurityProtocol::parse(protocol.trim()) else {
            return Err(format!(
                "listener.security.protocol.map: {protocol:?} is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"
            ));
        };
        map.insert(name.trim().to_ascii_uppercase(), protocol);
    }
    // Kafka adds the controller's name by itself as long as nobody has written a map of their own.
    if settings.assigned("listener.security.protocol.map").is_none() {
        for name in settings.get_list("controller.listener.names") {
            map.entry(name.to_ascii_uppercase()).or_insert(SecurityProtocol::Plaintext);
        }
    }
    Ok(map)
}

fn parse(text: &str, protocols: &BTreeMap<String, SecurityProtocol>) -> Result<Listener, String> {
    let Some((name, address)) = text.split_once("://") else {
        return Err(format!("{text:?} is not NAME://host:port"));
    };
    let (host, port) = parse_address(text, address)?;
    let name = name.to_ascii_uppercase();
    let Some(security_protocol) = protocols.get(&name).copied() else {
        return Err(format!("{text:?}: listener.security.protocol.map does not say what {name} speaks"));
    };
    Ok(Listener { name, host, port, security_protocol })
}

/// The host and port at the end of `text`.
fn parse_address(text: &str, address: &str) -> Result<(String, u16), String> {
    let Some((host, port)) = address.rsplit_once(':') else {
        return Err(format!("{text:?} names no port"));
    };
    let Ok(port) = port.parse() else {
        return Err(format!("{text:?}: {port:?} is no port, which is a number from 0 to 65535"));
    };
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address,
        None if host.contains(':') => return Err(format!("{text:?}: write an IPv6 address in brackets")),
        None => host,
    };
    Ok((host.to_owned(), port))
}

/// `http.listener`; `None` when it is empty.
pub(super) fn parse_http(settings: &Settings) -> Result<Option<Listener>, String> {
    let text = settings.get_str("http.listener").trim();
    if text.is_empty() {
        return Ok(None);
    }
    if text.contains("//") {
        return Err(format!("{text:?} is not host:port"));
    }
    let (host, port) = parse_address(text, text)?;
    Ok(Some(Listener { name: "HTTP".to_owned(), host, port, security_protocol: SecurityProtocol::Plaintext }))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("PLAINTEXT://localhost:9092", "PLAINTEXT localhost:9092 loopback binds 127.0.0.1,::1")]
    #[case("plaintext://127.0.0.1:0", "PLAINTEXT 127.0.0.1:0 loopback binds 127.0.0.1")]
    #[case("PLAINTEXT://[::1]:9092", "PLAINTEXT [::1]:9092 loopback binds ::1")]
    #[case("PLAINTEXT://:9092", "PLAINTEXT :9092 wildcard binds ::")]
    #[case("PLAINTEXT://0.0.0.0:9092", "PLAINTEXT 0.0.0.0:9092 wildcard binds 0.0.0.0")]
    #[case("PLAINTEXT://[::]:9092", "PLAINTEXT [::]:9092 wildcard binds ::")]
    #[case("PLAINTEXT://kafka.example:65535", "PLAINTEXT kafka.example:65535 open binds kafka.example")]
    #[case("PLAINTEXT://a:65536", "\"PLAINTEXT://a:65536\": \"65536\" is no port, which is a number from 0 to 65535")]
    #[case("PLAINTEXT://a", "\"PLAINTEXT://a\" names no port")]
    #[case("a:9092", "\"a:9092\" is not NAME://host:port")]
    #[case("PLAINTEXT://::1:9092", "\"PLAINTEXT://::1:9092\": write an IPv6 address in brackets")]
    #[case("X://a:1", "\"X://a:1\": listener.security.protocol.map does not say what X speaks")]
    fn a_listener_is_read_as_written(#[case] text: &str, #[case] meaning: &str) {
        let protocols = protocol_map(&Settings::default()).expect("the default map is well formed");
        let shown = match parse(text, &protocols) {
            Ok(listener) => {
                let reach = match (listener.is_loopback(), listener.is_wildcard()) {
                    (true, _) => "loopback",
                    (_, true) => "wildcard",
                    _ => "open",
                };
                format!("{} {listener} {reach} binds {}", listener.name, listener.bind_hosts().join(","))
            }
            Err(reason) => reason,
        };
        assert_eq!(shown, meaning);
    }

    #[rstest]
    #[case("", "PLAINTEXT: client, inter-broker, controller")]
    #[case("listeners=PLAINTEXT://:1,CONTROLLER://:2", "PLAINTEXT: client, inter-broker")]
    #[case(
        "listeners=A://:1,B://:2,C://:3;listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT,C:PLAINTEXT;\
         inter.broker.listener.name=B;controller.listener.names=C",
        "A: client; B: client, inter-broker"
    )]
    #[case(
        "listeners=A://:1,B://:2;listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT",
        "A: client, inter-broker, controller; B: client"
    )]
    fn a_listener_serves_whom_it_is_named_for(#[case] assigned: &str, #[case] expected: &str) {
        let flags = assigned.split(';').filter_map(|pair| pair.split_once('='));
        let flags = flags.map(|(key, value)| ("--set".to_owned(), key.to_owned(), value.to_owned()));
        let inputs = super::super::Inputs { flags: flags.collect(), ..super::super::Inputs::default() };
        let settings = super::super::load(&inputs).expect("settings that hold").settings;
        let names =
            [(Roles::CLIENT, "client"), (Roles::INTER_BROKER, "inter-broker"), (Roles::CONTROLLER, "controller")];
        let listeners = settings.listeners();
        let shown = listeners.iter().map(|listener| {
            let roles = settings.roles_of(listener);
            let roles = names.iter().filter(|(role, _)| roles.meet(*role)).map(|(_, name)| *name);
            format!("{}: {}", listener.name, roles.collect::<Vec<_>>().join(", "))
        });
        assert_eq!(shown.collect::<Vec<_>>().join("; "), expected);
        let controllers = settings.controller_listeners();
        assert!(controllers.iter().all(|listener| settings.roles_of(listener) == Roles::CONTROLLER));
    }

    #[rstest]
    #[case("", "none")]
    #[case("localhost:9404", "HTTP localhost:9404 loopback")]
    #[case(":0", "HTTP :0 open")]
    #[case("[::1]:1", "HTTP [::1]:1 loopback")]
    #[case("9404", "\"9404\" names no port")]
    #[case("http://a:1", "\"http://a:1\" is not host:port")]
    fn the_address_for_http_is_a_host_and_a_port(#[case] text: &str, #[case] meaning: &str) {
        let flags = vec![("--set".to_owned(), "http.listener".to_owned(), text.to_owned())];
        let inputs = super::super::Inputs { flags, ..super::super::Inputs::default() };
        let shown = match super::super::load(&inputs) {
            Ok(loaded) => loaded.settings.http_listener().map_or("none".to_owned(), |listener| {
                let reach = if listener.is_loopback() { "loopback" } else { "open" };
                format!("{} {listener} {reach}", listener.name)
            }),
            Err(error) => error.to_string(),
        };
        assert!(shown.ends_with(meaning), "{shown}");
    }

    #[test]
    fn by_default_only_this_machine_can_connect() {
        let settings = Settings::default();
        assert!(settings.listeners().iter().all(Listener::is_loopback));
        assert!(!settings.is_open_without_authentication());
    }
}
