//! The network between nodes: this machine's loopback, or a namespace for each node on a bridge, where any link can be cut.
//!
//! A cut gives the sender a neighbour's address that nobody has: what it sends to that peer vanishes without an error, as on a
//! broken cable, and only in that direction: what a rule of a packet filter would do, which not every machine has. Connections stay
//! open and starve. The runner and its clients sit on the bridge.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::port::Port;
use crate::process::{self, Process};

/// An address that no interface has.
const NOBODY: &str = "02:00:00:00:00:99";
const CLIENT_PORT: u16 = 9092;
const CONTROLLER_PORT: u16 = 9093;
/// What `timeout` ends with when it had to end its command.
const TIMED_OUT: i32 = 124;

/// Where nodes live. Nodes are counted from 0 here.
pub enum Network {
    Loopback,
    /// The process that keeps each node's namespace alive.
    Namespaces(Vec<Process>),
}

impl Network {
    /// One namespace a node. Only inside of a [`super::sandbox`].
    pub fn namespaces(count: usize) -> Result<Network> {
        ip("link set lo up")?;
        ip("link add name bridge type bridge")?;
        ip("addr add 10.77.0.254/24 dev bridge")?;
        ip("link set bridge up")?;
        let mut holders = Vec::new();
        for node in 0..count {
            let mut command = Command::new("unshare");
            let pipe =
                command.args(["--net", "--", "sh", "-c", "echo ready; exec sleep infinity"]).stdout(Stdio::piped());
            let mut holder = Process::spawn("a namespace", pipe)?;
            let (_, stdout, _) = holder.take_pipes();
            // Its first byte comes from inside of the new namespace.
            std::io::Read::read_exact(&mut stdout.context("it was asked for")?, &mut [0])?;
            ip(&format!("link add name node{node} type veth peer name eth0 netns {}", holder.id()))?;
            ip(&format!("link set node{node} master bridge up"))?;
            for command in ["link set lo up", &format!("addr add {}/24 dev eth0", host(node)), "link set eth0 up"] {
                ip_in(&holder, command)?;
            }
            holders.push(holder);
        }
        Ok(Network::Namespaces(holders))
    }

    /// Addresses for clients and brokers, and for controllers; and what keeps them free while a node is down.
    pub fn addresses(&self, node: usize) -> Result<(String, String, Vec<Port>)> {
        Ok(match self {
            Network::Loopback => {
                let (client, controller) = (Port::reserve()?, Port::reserve()?);
                (client.address().to_string(), controller.address().to_string(), vec![client, controller])
            }
            Network::Namespaces(_) => {
                (format!("{}:{CLIENT_PORT}", host(node)), format!("{}:{CONTROLLER_PORT}", host(node)), Vec::new())
            }
        })
    }

    /// The same command, run where this node lives.
    pub fn command(&self, node: usize, command: &Command) -> Command {
        match self {
            Network::Loopback => copy(command),
            Network::Namespaces(holders) => inside(&holders[node], command),
        }
    }

    /// From now on nothing that `from` sends reaches `to`.
    pub fn cut(&self, from: usize, to: usize) -> Result<()> {
        let Network::Namespaces(holders) = self else { bail!("loopback cannot be cut") };
        ip_in(&holders[from], &format!("neigh replace {} lladdr {NOBODY} nud permanent dev eth0", host(to)))
    }

    /// From now on nothing reaches this node or leaves it: clients are cut off too.
    pub fn unplug(&self, node: usize) -> Result<()> {
        ip(&format!("link set node{node} down"))
    }

    /// Whether a node's machine gets an answer from another's within this time; one that nobody listens on answers too.
    pub fn reaches(&self, from: usize, to: usize, within: Duration) -> Result<bool> {
        let Network::Namespaces(holders) = self else { bail!("loopback is never cut") };
        let mut command = Command::new("timeout");
        command.arg(format!("{}", within.as_secs_f64())).args(["bash", "-c"]);
        command.arg(format!("exec 3<>/dev/tcp/{}/{CLIENT_PORT}", host(to)));
        let output = inside(&holders[from], &command).stdin(Stdio::null()).output()?;
        Ok(output.status.code() != Some(TIMED_OUT))
    }

    /// Every cut ends.
    pub fn heal(&self) -> Result<()> {
        let Network::Namespaces(holders) = self else { return Ok(()) };
        for (node, holder) in holders.iter().enumerate() {
            ip(&format!("link set node{node} up"))?;
            ip_in(holder, "neigh flush nud permanent dev eth0")?;
        }
        Ok(())
    }
}

fn copy(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    copy
}

fn inside(holder: &Process, command: &Command) -> Command {
    let mut outer = Command::new("nsenter");
    outer.args(["-t", &holder.id().to_string(), "-n", "--"]).arg(command.get_program()).args(command.get_args());
    outer
}

fn ip_in(holder: &Process, arguments: &str) -> Result<()> {
    process::run("ip", &mut inside(holder, Command::new("ip").args(arguments.split(' ')))).map(drop)
}

fn host(node: usize) -> String {
    format!("10.77.0.{}", node + 1)
}

fn ip(arguments: &str) -> Result<()> {
    process::run("ip", Command::new("ip").args(arguments.split(' '))).map(drop)
}
