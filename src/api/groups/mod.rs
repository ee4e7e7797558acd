//! APIs about consumer groups and the offsets they commit.
//!
//! Each file translates between the wire and the words of `coordinator::group`, whose machines decide.

mod delete_groups;
mod describe_groups;
mod find_coordinator;
mod heartbeat;
mod join_group;
mod leave_group;
mod list_groups;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod sync_group;

use std::net::IpAddr;

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::Reply;
use super::row::{Row, row};
use crate::coordinator::group::Reply as GroupReply;
use crate::model::ErrorCode;
use crate::protocol::message::StrBytes;

/// The APIs of this family.
pub const ROWS: &[Row] = &[
    row::<delete_groups::DeleteGroups>(),
    row::<describe_groups::DescribeGroups>(),
    row::<find_coordinator::FindCoordinator>(),
    row::<heartbeat::Heartbeat>(),
    row::<join_group::JoinGroup>(),
    row::<leave_group::LeaveGroup>(),
    row::<list_groups::ListGroups>(),
    row::<offset_commit::OffsetCommit>(),
    row::<offset_delete::OffsetDelete>(),
    row::<offset_fetch::OffsetFetch>(),
    row::<sync_group::SyncGroup>(),
];

/// What a coordinator replies to a call, or why it was not called.
type Called = Result<oneshot::Receiver<GroupReply>, ErrorCode>;

/// Answers at once when the coordinator has replied, and later otherwise.
fn answer<R>(called: Called, translate: impl FnOnce(Result<GroupReply, ErrorCode>) -> R + Send + 'static) -> Reply<R> {
    let mut receiver = match called {
        Ok(receiver) => receiver,
        Err(error) => return Reply::Now(translate(Err(error))),
    };
    match receiver.try_recv() {
        Ok(reply) => Reply::Now(translate(Ok(reply))),
        Err(TryRecvError::Closed) => Reply::Now(translate(Err(ErrorCode::UnknownServerError))),
        Err(TryRecvError::Empty) => Reply::later(async move { translate(received(receiver).await) }),
    }
}

/// A coordinator that breaks while one waits for it drops its end.
async fn received(receiver: oneshot::Receiver<GroupReply>) -> Result<GroupReply, ErrorCode> {
    receiver.await.map_err(|_| ErrorCode::UnknownServerError)
}

fn wire(text: String) -> StrBytes {
    StrBytes::from_string(text)
}

fn text(wire: &StrBytes) -> String {
    wire.as_str().to_owned()
}

fn optional_text(wire: Option<&StrBytes>) -> Option<String> {
    wire.map(text)
}

/// An address as Java's `InetAddress.toString` prints it, which is how DescribeGroups shows clients.
fn java_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("/{address}"),
        IpAddr::V6(address) => {
            let groups: Vec<String> = address.segments().iter().map(|group| format!("{group:x}")).collect();
            format!("/{}", groups.join(":"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_in_java() {
        for (address, printed) in
            [("127.0.0.1", "/127.0.0.1"), ("::1", "/0:0:0:0:0:0:0:1"), ("::ffff:10.0.0.7", "/10.0.0.7")]
        {
            assert_eq!(java_address(address.parse().expect("an address")), printed);
        }
    }
}
