//! Who a quota is for and what of.

/// A user, a client id or an address; or all that have no quota of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityName {
    Default,
    Named(String),
}

impl EntityName {
    /// As requests name it: null is the default.
    pub fn of(name: Option<&str>) -> EntityName {
        name.map_or(EntityName::Default, |name| EntityName::Named(name.to_owned()))
    }

    pub fn name(&self) -> Option<&str> {
        match self {
            EntityName::Default => None,
            EntityName::Named(name) => Some(name),
        }
    }
}

/// What a quota is for: a user, a client, a client of a user, or an address.
///
/// Invariant of those that are stored: at least one part, and an address stands alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity {
    pub user: Option<EntityName>,
    pub client_id: Option<EntityName>,
    pub ip: Option<EntityName>,
}

impl Entity {
    /// The kinds of parts by Kafka's names.
    pub const TYPES: [&str; 3] = ["user", "client-id", "ip"];

    /// The part of that name; `None` for a name that there is not.
    pub fn part_mut(&mut self, entity_type: &str) -> Option<&mut Option<EntityName>> {
        match entity_type {
            "user" => Some(&mut self.user),
            "client-id" => Some(&mut self.client_id),
            "ip" => Some(&mut self.ip),
            _ => None,
        }
    }

    /// The parts that are there, with their types.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &EntityName)> {
        let parts = [("user", &self.user), ("client-id", &self.client_id), ("ip", &self.ip)];
        parts.into_iter().filter_map(|(entity_type, name)| Some((entity_type, name.as_ref()?)))
    }
}

/// What is limited. Source: `QuotaConfig`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    ProducerByteRate,
    ConsumerByteRate,
    RequestPercentage,
    ControllerMutationRate,
    ConnectionCreationRate,
}

impl Key {
    const ALL: [Key; 5] = [
        Key::ProducerByteRate,
        Key::ConsumerByteRate,
        Key::RequestPercentage,
        Key::ControllerMutationRate,
        Key::ConnectionCreationRate,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Key::ProducerByteRate => "producer_byte_rate",
            Key::ConsumerByteRate => "consumer_byte_rate",
            Key::RequestPercentage => "request_percentage",
            Key::ControllerMutationRate => "controller_mutation_rate",
            Key::ConnectionCreationRate => "connection_creation_rate",
        }
    }

    pub fn of(name: &str) -> Option<Key> {
        Key::ALL.into_iter().find(|key| key.name() == name)
    }

    /// Whether it is a whole number.
    pub fn is_whole(self) -> bool {
        !matches!(self, Key::RequestPercentage | Key::ControllerMutationRate)
    }

    /// Whether it is an address's.
    pub fn is_of_address(self) -> bool {
        self == Key::ConnectionCreationRate
    }
}

/// A quota's value, by its bits, so that records of it can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(u64);

impl Amount {
    pub fn new(value: f64) -> Amount {
        Amount(value.to_bits())
    }

    pub fn of_bits(bits: u64) -> Amount {
        Amount(bits)
    }

    pub fn bits(self) -> u64 {
        self.0
    }

    pub fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}
