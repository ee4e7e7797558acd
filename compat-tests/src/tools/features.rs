//! `kafka-features` and `kafka-cluster` on three nodes, through brokers and through controllers, with a broker that is away.

use anyhow::{Context, Result};

use super::player::Order::{Kept, Sorted};
use super::player::Player;

const WAYS: [(&str, &str); 2] = [
    ("through brokers", "--bootstrap-server BOOTSTRAP"),
    ("through controllers", "--bootstrap-controller CONTROLLERS"),
];

pub fn play(player: &mut Player) -> Result<()> {
    for (way, option) in WAYS {
        features(player, way, option)?;
        let id = format!("kafka-cluster cluster-id {option}");
        player.tool(&format!("kafka-cluster cluster-id {way}"), Kept, &id)?;
    }
    player.stop_node(2).context("stopping node 3")?;
    for (way, option) in WAYS {
        for more in ["", " --include-fenced-brokers"] {
            let list = format!("kafka-cluster list-endpoints {option}{more}");
            player.tool(&format!("kafka-cluster list-endpoints{more} {way}, one is away"), Sorted, &list)?;
        }
    }
    // One that is there is given up as one that is not; it registers again.
    let steps = [("a stranger, through brokers", WAYS[0].1, 9), ("through controllers", WAYS[1].1, 3)];
    for (step, option, id) in steps {
        let unregister = format!("kafka-cluster unregister {option} --id {id}");
        player.tool(&format!("kafka-cluster unregister, {step}"), Kept, &unregister)?;
    }
    let list = format!("kafka-cluster list-endpoints {} --include-fenced-brokers", WAYS[0].1);
    player.tool("kafka-cluster list-endpoints after kafka-cluster unregister", Sorted, &list)?;
    let again = format!("kafka-cluster unregister {} --id 3", WAYS[0].1);
    player.tool("kafka-cluster unregister, again", Kept, &again)?;
    player.start_node(2).context("starting node 3")?;
    player.tool("kafka-cluster list-endpoints, who was given up is back", Sorted, &list)
}

fn features(player: &mut Player, way: &str, option: &str) -> Result<()> {
    let tool = format!("kafka-features {option}");
    for (step, arguments) in [
        ("describe", "describe"),
        ("upgrade to what it is", "upgrade --feature metadata.version=30"),
        ("upgrade, too far", "upgrade --feature metadata.version=99"),
        ("upgrade, unknown feature", "upgrade --feature no.such.version=1"),
        ("upgrade, not a number", "upgrade --feature metadata.version=new"),
        ("upgrade to no release", "upgrade --release-version 9.9"),
        ("upgrade to nothing", "upgrade"),
        ("downgrade", "downgrade --feature metadata.version=29"),
        ("downgrade, dry run", "downgrade --dry-run --feature metadata.version=29"),
        ("downgrade --unsafe", "downgrade --unsafe --feature metadata.version=29"),
        ("disable, unknown feature", "disable --feature no.such.version"),
        ("disable metadata.version", "disable --feature metadata.version"),
        ("version-mapping", "version-mapping"),
        ("version-mapping of a release", "version-mapping --release-version 4.0"),
        ("version-mapping of no release", "version-mapping --release-version 9.9"),
        ("feature-dependencies", "feature-dependencies --feature metadata.version=30"),
        (
            "feature-dependencies of several",
            "feature-dependencies --feature group.version=1 --feature transaction.version=2",
        ),
        ("feature-dependencies, unknown", "feature-dependencies --feature no.such.version=1"),
    ] {
        player.tool(&format!("kafka-features {step} {way}"), Kept, &format!("{tool} {arguments}"))?;
    }
    Ok(())
}
