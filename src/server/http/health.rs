//! Whether the server lives, and whether it is ready: two questions, since a process that waits for its cluster must not be
//! restarted, and gets no clients.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::server::core::Core;
use crate::server::shared::Shared;

/// A core that has not looked at its mail for so long hangs.
const CORE_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether every core takes up work. Errors: one does not, which no waiting will mend.
pub async fn live(cores: &[Arc<Core>]) -> Result<(), String> {
    let asked: Vec<_> = cores.iter().map(|core| ask(core)).collect();
    let all = async {
        for answer in asked {
            // A core that has ended stops with the server.
            let _ = answer.await;
        }
    };
    match tokio::time::timeout(CORE_TIMEOUT, all).await {
        Ok(()) => Ok(()),
        Err(_) => Err(format!("a thread of requests has done nothing for {} s", CORE_TIMEOUT.as_secs())),
    }
}

fn ask(core: &Core) -> oneshot::Receiver<()> {
    let (answer, answered) = oneshot::channel();
    core.run_task(Box::pin(async move {
        // Who asked may have gone.
        let _ = answer.send(());
    }));
    answered
}

/// Whether clients are served here. Errors: not yet, or no more.
pub fn ready(shared: &Shared) -> Result<(), String> {
    if shared.is_stopping() {
        return Err("stopping".to_owned());
    }
    match shared.broker.awaited() {
        Some(awaited) => Err(format!("starting: waits for {awaited}")),
        None => Ok(()),
    }
}
