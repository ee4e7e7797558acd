//! Real clients against a running server: each is a small program in its own language that takes orders by line.
//!
//! The runner is the conductor: it knows what was sent, reads what the client read, and restarts the server in between, so
//! that a client's program holds nothing but calls of its client. The orders are in [`program`].

mod catalogue;
mod group;
mod nodes;
mod program;
mod record;
mod scenarios;
mod session;
mod stored;
mod topic;
mod wire;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::bail;

use crate::clients::catalogue::{CLIENTS, Client, Prepared};
use crate::clients::session::Session;
use crate::report::Report;
use crate::server::Against;

/// What to run.
#[derive(clap::Args)]
pub struct Arguments {
    /// Clients to run; all when none is named. The beginning of a name is enough.
    names: Vec<String>,
    /// The server to run them against.
    #[arg(long, value_enum, default_value = "ottla")]
    against: Against,
    /// Three nodes for each client instead of one: leaders are killed and every node is restarted while it works.
    #[arg(long)]
    cluster: bool,
    /// How many clients run at a time, each with a server of its own.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

/// Runs every client asked for.
pub fn run(arguments: &Arguments, report: &Report) -> anyhow::Result<()> {
    let mut prepared = Vec::new();
    for client in chosen(arguments)? {
        // One after the other: the clients of one language share a build, and compilers want all cores.
        match client.prepare() {
            Ok(commands) => prepared.push((client, commands)),
            Err(error) => report.fail(format!("{} can be prepared", client.name), &error),
        }
    }
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                while let Some((client, commands)) = prepared.get(next.fetch_add(1, Ordering::Relaxed)) {
                    run_one(client, commands, arguments, report);
                }
            });
        }
    });
    Ok(())
}

fn run_one(client: &'static Client, prepared: &Prepared, arguments: &Arguments, report: &Report) {
    let start = Instant::now();
    if arguments.cluster {
        nodes::run_one(client, prepared, arguments.against, report);
        println!("      {} took {:.1} s", client.name, start.elapsed().as_secs_f64());
        return;
    }
    match Session::start(client, prepared, arguments.against, report) {
        Ok(mut session) => scenarios::run_all(&mut session),
        Err(error) => report.fail(format!("{} has a server", client.name), &error),
    }
    println!("      {} took {:.1} s", client.name, start.elapsed().as_secs_f64());
}

fn chosen(arguments: &Arguments) -> anyhow::Result<Vec<&'static Client>> {
    let names = &arguments.names;
    for name in names {
        if !CLIENTS.iter().any(|client| client.name.starts_with(name.as_str())) {
            let known: Vec<&str> = CLIENTS.iter().map(|client| client.name).collect();
            bail!("no client is called {name}; there are {}", known.join(", "));
        }
    }
    let by_default = |client: &Client| !arguments.cluster || nodes::NAMES.contains(&client.name);
    let wanted = |client: &&Client| match names.is_empty() {
        true => by_default(client),
        false => names.iter().any(|name| client.name.starts_with(name.as_str())),
    };
    Ok(CLIENTS.iter().filter(wanted).collect())
}
