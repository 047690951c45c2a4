//! Instructions for brokers that run: a whole configuration of the platform, and the commands that it is for, to be pasted
//! into a shell as they stand.

use std::path::Path;

/// For brokers at these addresses, which keep their logs in `storage`.
pub(crate) fn page(brokers: &[String], storage: &Path) -> String {
    let (copies, in_sync) = if brokers.len() < 3 { (1, 1) } else { (3, 2) };
    // Snapshots belong to the log of just these brokers: who deletes it deletes them with it.
    let data = storage.join("xp").display().to_string();
    format!(
        "\
cat > kafka.toml <<'END'
# The platform on a local Kafka, for development.
data = {data:?}

[kafka]
brokers = {brokers:?}
replication = {copies}
min-insync = {in_sync}

[lanes.main]
partitions = 8
outbound-partitions = 2
END
xp topics create --config kafka.toml

# then, each in a terminal of its own:
xp state-node --config kafka.toml
xp edge --config kafka.toml

# or all in one process:
xp dev --config kafka.toml
"
    )
}
