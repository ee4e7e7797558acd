//! A small Kafka client for the commands: it finds brokers, leaders and coordinators, and speaks a version that both sides know.
//!
//! It serves people: a request that a broker cannot take is told in words, with the name of what it was about. Requests name topics,
//! not their ids, so that brokers of every age from 0.11 on understand them. Whom it has once reached it goes on without: any broker
//! that it has heard of is as good a beginning as the ones it was given.
//! Invariant: no wait is longer than the timeout that the user has given.

mod cluster;
mod partitioner;
pub(super) mod records;

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::Failure;
use crate::io::clock;
use crate::model::ErrorCode;
use crate::peer::{Address, Link, LinkError, LinkOptions};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::{ApiVersionsRequest, FindCoordinatorRequest, RequestMessage, StrBytes};

pub(super) use cluster::{Cluster, Partition, Topic, TopicPartitions};
pub(super) use partitioner::Partitioner;

/// Whom a broker's log shows.
pub(super) const CLIENT_ID: &str = "ottla-cli";
/// Bytes of one answer or request.
const FRAME_BYTES_MAX: usize = 128 << 20;
/// How long brokers may take to know of a topic that was made.
const NEW_TOPIC: Duration = Duration::from_secs(2);
/// The pause before something is asked again that is not ready.
const RETRY: Duration = Duration::from_millis(100);

/// How brokers are reached.
#[derive(Args, Clone, Debug)]
pub(super) struct ConnectionArguments {
    /// Brokers to begin with, as host:port; several separated by commas.
    #[arg(
        short = 'b',
        long,
        global = true,
        visible_alias = "bootstrap-server",
        env = crate::config::BOOTSTRAP_SERVER_VARIABLE,
        value_name = "ADDR",
        default_value = "localhost:9092"
    )]
    broker: String,
    /// Longest time to wait for a broker, in seconds.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

/// See the head of this file.
pub(super) struct Client {
    known: Mutex<Known>,
    pub timeout: Duration,
    nodes: Mutex<BTreeMap<Address, Arc<Node>>>,
}

/// Whom one may ask.
struct Known {
    /// Brokers to begin with and those that they have told of; who was lost goes to the end.
    candidates: VecDeque<Address>,
    /// Whether one of them has ever answered: then what was lost may come back.
    has_answered: bool,
}

/// Nobody was there, for these reasons.
#[derive(Debug, thiserror::Error)]
#[error("no broker answers: {reasons}")]
struct NobodyAnswers {
    reasons: String,
    may_pass: bool,
}

/// One broker.
pub(super) struct Node {
    link: Link,
    /// What it serves, by API; asked once.
    versions: OnceCell<BTreeMap<i16, RangeInclusive<i16>>>,
}

impl Node {
    pub fn address(&self) -> &Address {
        self.link.address()
    }
}

/// An error that a broker has answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {code}{}", told(*.code, .message))]
pub(super) struct Refused {
    pub what: String,
    pub code: ErrorCode,
    /// What the broker says about it; empty when it says nothing.
    pub message: String,
}

/// What the broker says, or else what the code means where its name does not tell people enough.
fn told(code: ErrorCode, message: &str) -> String {
    let message = match code {
        _ if !message.is_empty() => message,
        ErrorCode::UnknownTopicOrPartition => "there is none of that name",
        ErrorCode::GroupIdNotFound => "there is no group of that name",
        ErrorCode::NonEmptyGroup => "it has members; stop them first",
        ErrorCode::LeaderNotAvailable => "no broker that has it in full is there",
        ErrorCode::OffsetOutOfRange => "it is gone, or not there yet",
        _ => return String::new(),
    };
    format!(": {message}")
}

/// Succeeds when the code is none. `what` names what the request was about.
pub(super) fn check(what: impl Into<String>, code: i16, message: Option<&StrBytes>) -> Result<(), Refused> {
    match ErrorCode::from(code) {
        ErrorCode::None => Ok(()),
        code => Err(Refused {
            what: what.into(),
            code,
            message: message.map(|message| message.to_string()).unwrap_or_default(),
        }),
    }
}

/// Whether asking again may help: a broker said so, or the connection was lost.
pub(super) fn may_pass(error: &anyhow::Error) -> bool {
    if let Some(refused) = error.downcast_ref::<Refused>() {
        return refused.code.is_retriable();
    }
    if let Some(nobody) = error.downcast_ref::<NobodyAnswers>() {
        return nobody.may_pass;
    }
    let lost = |error: &LinkError| {
        matches!(error, LinkError::Refused(_) | LinkError::Unreachable { .. } | LinkError::Lost { .. })
    };
    error.downcast_ref::<LinkError>().is_some_and(lost)
}

impl Client {
    pub fn new(arguments: &ConnectionArguments) -> Result<Arc<Client>, Failure> {
        let address = |text: &str| {
            text.trim().parse().map_err(|error| Failure::Usage(format!("--broker {}: {error}", arguments.broker)))
        };
        let candidates = arguments.broker.split(',').map(address).collect::<Result<_, _>>()?;
        Ok(Arc::new(Client {
            known: Mutex::new(Known { candidates, has_answered: false }),
            timeout: Duration::from_secs(arguments.timeout),
            nodes: Mutex::default(),
        }))
    }

    /// The broker at an address. Nothing is sent yet.
    pub fn node(&self, address: &Address) -> Arc<Node> {
        let mut nodes = self.nodes.lock();
        let new = || {
            let options = LinkOptions {
                in_flight_bytes_max: FRAME_BYTES_MAX,
                answer_bytes_max: FRAME_BYTES_MAX,
                ..LinkOptions::new(address.clone(), CLIENT_ID)
            };
            Arc::new(Node { link: Link::new(options), versions: OnceCell::new() })
        };
        Arc::clone(nodes.entry(address.clone()).or_insert_with(new))
    }

    /// The first of the known brokers that answers.
    pub async fn any(&self) -> anyhow::Result<Arc<Node>> {
        let candidates = self.known.lock().candidates.clone();
        let mut reasons = Vec::new();
        for address in &candidates {
            let node = self.node(address);
            match self.versions(&node).await {
                Ok(_) => {
                    self.known.lock().has_answered = true;
                    return Ok(node);
                }
                Err(error) => reasons.push(format!("{error:#}")),
            }
        }
        Err(NobodyAnswers { reasons: reasons.join("; "), may_pass: self.known.lock().has_answered }.into())
    }

    /// Remembers a broker that another one has told of.
    fn remember(&self, address: &Address) {
        let mut known = self.known.lock();
        if !known.candidates.contains(address) {
            known.candidates.push_back(address.clone());
        }
    }

    /// Whoever was lost is asked last from now on.
    fn set_back(&self, address: &Address) {
        let mut known = self.known.lock();
        if let Some(at) = known.candidates.iter().position(|candidate| candidate == address) {
            known.candidates.remove(at);
            known.candidates.push_back(address.clone());
        }
    }

    /// Sends a request in the newest version that the broker serves, up to `newest`.
    pub async fn call<R: RequestMessage>(&self, node: &Node, request: &R, newest: i16) -> anyhow::Result<R::Response> {
        let version = self.version::<R>(node, newest).await?;
        let answer = node.link.call(request, version, self.timeout).await;
        if answer.is_err() {
            self.set_back(node.address());
        }
        Ok(answer?)
    }

    /// The newest version that both sides know, up to `newest`.
    pub async fn version<R: RequestMessage>(&self, node: &Node, newest: i16) -> anyhow::Result<i16> {
        let versions = self.versions(node).await?;
        let served = versions.get(&R::KEY.key());
        let served = served.with_context(|| format!("{} does not serve {}", node.address(), R::KEY))?;
        let version = newest.min(*R::VERSIONS.end()).min(*served.end());
        if version < *served.start() || version < *R::VERSIONS.start() {
            let (first, last) = (served.start(), served.end());
            bail!("{} serves {} {first} to {last}, which this client does not know", node.address(), R::KEY);
        }
        Ok(version)
    }

    /// Whether the broker serves an API.
    pub async fn serves(&self, node: &Node, api: ApiKey) -> anyhow::Result<bool> {
        Ok(self.versions(node).await?.contains_key(&api.key()))
    }

    async fn versions<'a>(&self, node: &'a Node) -> anyhow::Result<&'a BTreeMap<i16, RangeInclusive<i16>>> {
        node.versions
            .get_or_try_init(|| async {
                // The one version that every broker knows.
                let answer = node.link.call(&ApiVersionsRequest::default(), 0, self.timeout).await?;
                check(node.address().to_string(), answer.error_code, None)?;
                let ranges = answer.api_keys.into_iter().map(|api| (api.api_key, api.min_version..=api.max_version));
                Ok(ranges.collect())
            })
            .await
    }

    /// The broker that coordinates a group. Waits while there is none.
    pub async fn coordinator(&self, group: &str) -> anyhow::Result<Arc<Node>> {
        self.patiently(|| async {
            let request = FindCoordinatorRequest::default().with_key(text(group)).with_key_type(0);
            let answer = self.call(&*self.any().await?, &request, 3).await?;
            check(format!("group {group}"), answer.error_code, answer.error_message.as_ref())?;
            Ok(self.node(&address(&answer.host, answer.port)?))
        })
        .await
    }

    /// Does something again and again until it succeeds, fails for good, or the time is over. A topic that is not there may be one
    /// that was made just now, but not for long.
    pub async fn patiently<T, F: Future<Output = anyhow::Result<T>>>(
        &self,
        mut work: impl FnMut() -> F,
    ) -> anyhow::Result<T> {
        let start: Instant = clock::instant();
        loop {
            match work().await {
                Err(error) if may_pass(&error) && clock::instant() + RETRY < start + self.patience(&error) => {
                    tokio::time::sleep(RETRY).await;
                }
                done => return done,
            }
        }
    }

    fn patience(&self, error: &anyhow::Error) -> Duration {
        match error.downcast_ref::<Refused>() {
            Some(Refused { code: ErrorCode::UnknownTopicOrPartition, .. }) => self.timeout.min(NEW_TOPIC),
            _ => self.timeout,
        }
    }
}

/// Text as messages carry it.
pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn address(host: &str, port: i32) -> anyhow::Result<Address> {
    let port = u16::try_from(port).with_context(|| format!("{host}: {port} is no port"))?;
    Ok(Address { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(broker: &str) -> Arc<Client> {
        let arguments = ConnectionArguments { broker: broker.to_owned(), timeout: 1 };
        Client::new(&arguments).unwrap_or_else(|_| panic!("{broker}"))
    }

    fn candidates(client: &Client) -> Vec<String> {
        client.known.lock().candidates.iter().map(Address::to_string).collect()
    }

    #[test]
    fn whoever_was_lost_is_asked_last() {
        let client = client("a:1, b:2");
        client.remember(&"c:3".parse().expect("an address"));
        client.remember(&"a:1".parse().expect("an address"));
        assert_eq!(candidates(&client), ["a:1", "b:2", "c:3"]);
        client.set_back(&"a:1".parse().expect("an address"));
        client.set_back(&"elsewhere:1".parse().expect("an address"));
        assert_eq!(candidates(&client), ["b:2", "c:3", "a:1"]);
    }

    #[test]
    fn what_a_broker_says_goes_before_what_its_code_means() {
        let refused =
            |code, message: &str| Refused { what: "topic t".to_owned(), code, message: message.to_owned() }.to_string();
        assert_eq!(refused(ErrorCode::InvalidPartitions, "too few"), "topic t: INVALID_PARTITIONS: too few");
        assert_eq!(refused(ErrorCode::InvalidPartitions, ""), "topic t: INVALID_PARTITIONS");
        let unknown = refused(ErrorCode::UnknownTopicOrPartition, "");
        assert_eq!(unknown, "topic t: UNKNOWN_TOPIC_OR_PARTITION: there is none of that name");
    }
}
