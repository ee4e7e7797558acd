//! Settings of the broker itself that change while it runs, resolved once for each change of the image.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::{Dynamic, Settings};
use crate::metadata::{ConfigResource, Image};
use crate::model::BrokerId;

/// See the head of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSettings {
    pub connections: ConnectionLimits,
    /// `num.replica.fetchers`.
    pub replica_fetchers: usize,
}

/// How many connections there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// `max.connections`.
    pub total: usize,
    /// `max.connections.per.ip`.
    pub per_ip: usize,
    /// `max.connections.per.ip.overrides`, of addresses: names are not looked up.
    pub overrides: BTreeMap<IpAddr, usize>,
    /// `max.connection.creation.rate`, in new connections a second.
    pub creation_rate: usize,
}

impl LiveSettings {
    pub(super) fn resolve(settings: &Settings, image: &Image, broker_id: BrokerId) -> LiveSettings {
        let dynamic = Dynamic {
            broker: image.configs(&ConfigResource::Broker(broker_id)),
            cluster: image.configs(&ConfigResource::BrokerDefault),
        };
        let size = |name: &str| usize::try_from(settings.live_i64(name, dynamic)).unwrap_or(0);
        let overrides = settings.live_text("max.connections.per.ip.overrides", dynamic).unwrap_or_default();
        LiveSettings {
            connections: ConnectionLimits {
                total: size("max.connections"),
                per_ip: size("max.connections.per.ip"),
                overrides: overrides.split(',').filter_map(address_and_limit).collect(),
                creation_rate: size("max.connection.creation.rate"),
            },
            replica_fetchers: size("num.replica.fetchers"),
        }
    }
}

/// `127.0.0.1:5` or `[::1]:5`.
fn address_and_limit(text: &str) -> Option<(IpAddr, usize)> {
    let (address, limit) = text.trim().rsplit_once(':')?;
    let address = address.trim().trim_start_matches('[').trim_end_matches(']');
    Some((address.parse().ok()?, limit.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{Delta, Record};

    fn set(image: &mut Image, resource: ConfigResource, name: &str, value: &str) {
        let record = Record::ConfigChanged { resource, name: name.to_owned(), value: Some(value.to_owned()) };
        image.apply(&record, &mut Delta::default());
    }

    #[test]
    fn what_is_set_on_the_broker_wins_over_all_brokers_over_the_process() {
        let mut image = Image::default();
        set(&mut image, ConfigResource::BrokerDefault, "max.connections", "7");
        set(&mut image, ConfigResource::BrokerDefault, "num.replica.fetchers", "3");
        set(&mut image, ConfigResource::Broker(BrokerId(1)), "max.connections", "5");
        set(&mut image, ConfigResource::Broker(BrokerId(2)), "max.connections", "6");
        set(
            &mut image,
            ConfigResource::BrokerDefault,
            "max.connections.per.ip.overrides",
            "10.0.0.1:2, [::1]:3,host:4",
        );
        let live = LiveSettings::resolve(&Settings::default(), &image, BrokerId(1));
        assert_eq!((live.connections.total, live.replica_fetchers), (5, 3));
        let overrides: Vec<String> =
            live.connections.overrides.iter().map(|(address, limit)| format!("{address}={limit}")).collect();
        assert_eq!(overrides, ["10.0.0.1=2", "::1=3"]);
    }
}
