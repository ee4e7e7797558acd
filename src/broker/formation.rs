//! From settings to the quorum that this node forms, joins or is alone in.

use std::time::Duration;

use crate::config::{HostPort, Settings};
use crate::io::net;
use crate::model::BrokerId;
use crate::peer::Address;
use crate::quorum::{Formation, FormedBy, Timing};

/// Who may form this node's quorum. `own` is where its controllers' listener is for others.
pub(super) fn of(settings: &Settings, own: &Address) -> Formation {
    let voters = settings.voters();
    if !voters.is_empty() {
        let voters = voters.iter().map(|voter| (BrokerId(voter.id), address(&voter.address)));
        return Formation::Voters(voters.collect());
    }
    let servers: Vec<Address> = settings.bootstrap_servers().iter().map(address).collect();
    let may_form = settings.is_controller() && servers.first().is_some_and(|server| is_own(server, own));
    if servers.is_empty() || (may_form && servers.len() == 1) {
        return Formation::Standalone;
    }
    let auto_join = settings.is_controller() && settings.get_bool("controller.quorum.auto.join.enable");
    Formation::Join { addresses: servers, may_form, auto_join }
}

/// Who has to be there when it is formed.
pub(super) fn formed_by(settings: &Settings) -> FormedBy {
    match settings.get_str("controller.quorum.formation") {
        "majority" => FormedBy::Majority,
        _ => FormedBy::All,
    }
}

/// How patient the quorum is by the settings.
pub(super) fn timing(settings: &Settings) -> Timing {
    let millis = |name| Duration::from_millis(settings.get_u64(name));
    Timing {
        request_timeout: millis("controller.quorum.request.timeout.ms"),
        fetch_timeout: millis("controller.quorum.fetch.timeout.ms"),
        election_timeout: millis("controller.quorum.election.timeout.ms"),
        ..Timing::default()
    }
}

fn address(written: &HostPort) -> Address {
    Address { host: written.host.clone(), port: written.port }
}

/// Whether an address of the list is this node's own: the same words, or another name of this machine with the same port.
fn is_own(server: &Address, own: &Address) -> bool {
    if server.port != own.port {
        return false;
    }
    if server.host.eq_ignore_ascii_case(&own.host) {
        return true;
    }
    // A host that nobody knows is not this one.
    let addresses = net::resolve(&server.host, server.port).unwrap_or_default();
    addresses.iter().any(|address| net::is_here(address.ip()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::config::{Inputs, load};

    #[rstest]
    #[case("", "Standalone")]
    #[case("controller.quorum.voters=1@a:9093", "Voters 1@a:9093")]
    #[case("controller.quorum.voters=1@a:9093,2@b:9093", "Voters 1@a:9093 2@b:9093")]
    #[case("controller.quorum.bootstrap.servers=own:9093", "Standalone")]
    #[case("controller.quorum.bootstrap.servers=127.0.0.1:9093", "Standalone")]
    #[case("controller.quorum.bootstrap.servers=127.0.0.1:9094", "Join 127.0.0.1:9094")]
    #[case("controller.quorum.bootstrap.servers=OWN:9093,127.0.0.1:1", "Join OWN:9093 127.0.0.1:1 may form")]
    #[case("controller.quorum.bootstrap.servers=127.0.0.1:1,own:9093", "Join 127.0.0.1:1 own:9093")]
    #[case(
        "controller.quorum.bootstrap.servers=127.0.0.1:1;controller.quorum.auto.join.enable=true",
        "Join 127.0.0.1:1 joins by itself"
    )]
    #[case("process.roles=broker;controller.quorum.bootstrap.servers=own:9093", "Join own:9093")]
    fn the_settings_say_who_forms_a_quorum(#[case] assigned: &str, #[case] expected: &str) {
        let pairs = assigned.split(';').filter_map(|pair| pair.split_once('='));
        let flags = pairs.map(|(key, value)| ("--set".to_owned(), key.to_owned(), value.to_owned())).collect();
        let settings = load(&Inputs { flags, ..Inputs::default() }).expect("settings that hold").settings;
        let list = |addresses: &[String]| addresses.join(" ");
        let shown = match of(&settings, &"own:9093".parse().expect("an address")) {
            Formation::Standalone => "Standalone".to_owned(),
            Formation::Voters(voters) => {
                let voters: Vec<String> = voters.iter().map(|(id, address)| format!("{id}@{address}")).collect();
                format!("Voters {}", list(&voters))
            }
            Formation::Join { addresses, may_form, auto_join } => {
                let addresses: Vec<String> = addresses.iter().map(Address::to_string).collect();
                let form = if may_form { " may form" } else { "" };
                let join = if auto_join { " joins by itself" } else { "" };
                format!("Join {}{form}{join}", list(&addresses))
            }
        };
        assert_eq!(shown, expected);
    }
}
