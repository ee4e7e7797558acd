//! Bytes that are no request: both servers answer alike or close the connection.

use anyhow::Result;

use super::player::Player;

pub fn play(player: &mut Player<'_>) -> Result<()> {
    lengths(player)?;
    headers(player)?;
    short_bodies(player)
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len()).expect("a small frame");
    [&length.to_be_bytes(), body].concat()
}

fn lengths(player: &mut Player<'_>) -> Result<()> {
    player.send_raw("a length of 0", &0i32.to_be_bytes())?;
    player.send_raw("a negative length", &(-1i32).to_be_bytes())?;
    player.send_raw("a length of 2 GB", &i32::MAX.to_be_bytes())?;
    player.send_raw("a frame of one byte", &framed(&[0]))?;
    player.send_raw("a frame of seven bytes", &framed(&[0, 18, 0, 0, 0, 0, 0]))
}

fn headers(player: &mut Player<'_>) -> Result<()> {
    let header = |key: i16, version: i16| {
        let mut header = Vec::new();
        header.extend_from_slice(&key.to_be_bytes());
        header.extend_from_slice(&version.to_be_bytes());
        header.extend_from_slice(&7i32.to_be_bytes());
        header.extend_from_slice(&[0, 1, b'c']);
        header
    };
    player.send_raw("an unknown key", &framed(&header(999, 0)))?;
    player.send_raw("a negative key", &framed(&header(-1, 0)))?;
    player.send_raw("ApiVersions of a negative version", &framed(&header(18, -1)))?;
    player.send_raw("Metadata of version 99", &framed(&header(3, 99)))?;
    player.send_raw("Fetch of version 3", &framed(&header(1, 3)))?;
    let mut name = header(18, 0);
    name[8..10].copy_from_slice(&100i16.to_be_bytes());
    player.send_raw("a client id beyond the frame", &framed(&name))?;
    let mut trailing = header(18, 0);
    trailing.extend_from_slice(&[1, 2, 3]);
    player.send_frame("bytes behind the request", "ApiVersions", 0, &framed(&trailing))?;
    for version in [0, 1, 2] {
        // Offered, because old clients look for them, and refused.
        player.send_raw(&format!("Produce of version {version}"), &framed(&header(0, version)))?;
    }
    Ok(())
}

/// A body of four bytes 0xff in every version that is offered: a count or length of −1 or of four billion.
fn short_bodies(player: &mut Player<'_>) -> Result<()> {
    for api in ottla::api::offered(ottla::config::Roles::CLIENT) {
        for version in api.versions.clone() {
            player.send_body("a body of four bytes", api.key.name(), version, &[0xff; 4])?;
        }
    }
    Ok(())
}
