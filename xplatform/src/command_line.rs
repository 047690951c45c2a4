//! The command line of `xp`: its subcommands and flags, as clap reads them. Nothing is carried out here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use xp_protocol::{Address, LanePartition, Offset, PartitionId};
use xp_settings::{Size, Span};

/// Real-time stateful entities: run them, talk to them, look into their log.
///
/// Without a subcommand it is `dev`: the whole platform in one process.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) task: Option<Task>,
    #[command(flatten)]
    pub(crate) dev: Dev,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, or drained after Ctrl-C or SIGTERM; 1 it cannot start or go on, and the message says why;
2 the command line makes no sense; 3 another process of the same name took its place: do not start it again.";

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Run everything in one process, on the embedded log or on Kafka (the default)
    #[command(after_help = EXIT_CODES)]
    Dev(Dev),
    /// Run one edge, which takes clients, on a log that processes share (Kafka)
    #[command(after_help = EXIT_CODES)]
    Edge(EdgeOnly),
    /// Run one state node, which holds entities, on a log that processes share (Kafka)
    #[command(after_help = EXIT_CODES)]
    StateNode(StateNodeOnly),
    /// Print a development token, signed with the secret in the data directory
    Token(Token),
    /// Talk to one entity: type JSON, see events; in a pipe, one JSON line is one command
    Connect(Connect),
    /// Look into the log, be it embedded or Kafka
    #[command(subcommand)]
    Log(Log),
    /// Make, check or describe the topics that the lanes need on Kafka
    #[command(subcommand)]
    Topics(Topics),
    /// Show who is in the cluster and who owns what (Kafka); empty a node; move a partition
    #[command(subcommand)]
    Cluster(Cluster),
    /// Say where one entity lives: its partition, who owns that, by placement and in fact, and who mirrors it
    Where(Where),
    /// End all sockets of one subject, at every edge (Kafka); its clients come back if their tokens are still good
    Disconnect(Disconnect),
    /// Show how one entity is, and what waits for it; try again to read one that is in quarantine
    #[command(subcommand)]
    Entity(Entity),
    /// Check, show or describe the configuration
    #[command(subcommand)]
    Config(Config),
}

/// Where the configuration comes from: the built-in values of `xp dev`, then the file, then the environment
/// (`XP__EDGE__LISTEN=…`), then the flags. Later ones win.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct Sources {
    /// The configuration file; without it `xp.toml`, when there is one here
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The data directory: the log, the snapshots, the development secret [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Dev {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:7400]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen)]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct EdgeOnly {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// Its stable name; a second process of that name replaces the first [default: edge-1]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:7400]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen)]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct StateNodeOnly {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// Its stable name; a second process of that name replaces the first [default: state-1]
    #[arg(long)]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// Whose token it is
    #[arg(long, default_value = "ana")]
    pub(crate) sub: String,
    /// A further claim; the value is JSON, or text when it is none. May be repeated
    #[arg(long = "claim", value_name = "KEY=VALUE", value_parser = claim)]
    pub(crate) claims: Vec<(String, serde_json::Value)>,
    /// For how long it holds, as in `30s` or `24h`
    #[arg(long, default_value = "24h", value_parser = span)]
    pub(crate) ttl: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Connect {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// Which entity, as in `board/kitchen`
    pub(crate) entity: Address,
    /// Where the platform is: ws:// or wss:// [default: where the configuration says that `xp dev` listens]
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// The token; without it one is signed with the development secret
    #[arg(long, env = "XP_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Who to be, when the token is signed with the development secret
    #[arg(long = "as", value_name = "SUBJECT", default_value = "ana")]
    pub(crate) subject: String,
    /// A further claim of that token; the value is JSON, or text when it is none. May be repeated
    #[arg(long = "claim", value_name = "KEY=VALUE", value_parser = claim)]
    pub(crate) claims: Vec<(String, serde_json::Value)>,
    /// In a pipe: give up when the entity has not accepted us after this time
    #[arg(long, default_value = "10s", value_parser = span)]
    pub(crate) patience: Duration,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Topics {
    /// Make those that are missing, with the right settings; the others are left alone
    Create(Sources),
    /// Say how they differ from what the configuration asks for, and what mends it
    Check(Sources),
    /// Say how they are
    Describe(Sources),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    /// Lanes, members, and what a person should look at; exit code 1 when users wait
    Status(Shape),
    /// Who is there: state nodes and edges, and what they carry
    Members(Shape),
    /// Who should own each partition and who does in fact, who mirrors it, and whether that one could take over at once
    Partitions {
        #[command(flatten)]
        shape: Shape,
        /// Only those of this lane
        #[arg(long)]
        lane: Option<String>,
    },
    /// Have a state node own nothing as long as others can, and wait until it is so
    Drain {
        /// Its stable name
        node: String,
        /// Let it own its share again
        #[arg(long)]
        undo: bool,
        #[command(flatten)]
        sources: Sources,
        /// For how long to wait; the wish stands afterwards
        #[arg(long, default_value = "30s", value_parser = span)]
        wait: Duration,
    },
    /// Have a partition owned by this state node as long as it can be, and wait until it is so
    Move {
        /// Which one, as in `main/3`
        #[arg(value_name = "LANE/PARTITION", value_parser = lane_partition)]
        partition: LanePartition,
        /// The stable name of the state node
        #[arg(
            value_name = "NODE",
            required_unless_present = "auto",
            conflicts_with = "auto"
        )]
        to: Option<String>,
        /// Leave it to placement again
        #[arg(long)]
        auto: bool,
        #[command(flatten)]
        sources: Sources,
        /// For how long to wait; the wish stands afterwards
        #[arg(long, default_value = "30s", value_parser = span)]
        wait: Duration,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Shape {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// JSON instead of tables
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Where {
    /// Which one, as in `board/kitchen`
    pub(crate) address: Address,
    #[command(flatten)]
    pub(crate) shape: Shape,
}

#[derive(Debug, Args)]
pub(crate) struct Disconnect {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// Whose: the `sub` of the tokens
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) subject: String,
    /// Whose subject it is, where there are several issuers: their `iss`
    #[arg(long)]
    pub(crate) issuer: Option<String>,
    /// For how long to wait for the answers of the edges
    #[arg(long, default_value = "10s", value_parser = span)]
    pub(crate) wait: Duration,
}

impl Cluster {
    pub(crate) fn sources(&self) -> &Sources {
        match self {
            Self::Status(shape) | Self::Members(shape) | Self::Partitions { shape, .. } => {
                &shape.sources
            }
            Self::Drain { sources, .. } | Self::Move { sources, .. } => sources,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Entity {
    /// Its revision, sessions and timers; whether it is in quarantine, why and since when; and what is parked for it
    Show(Of),
    /// Try now to read it, and show it; exit code 1 when it stays in quarantine. Each start of a build tries by itself
    Retry(Of),
}

#[derive(Debug, Args)]
pub(crate) struct Of {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// Which one, as in `board/kitchen`
    pub(crate) address: Address,
    /// Where the state node that holds it answers over HTTP [default: `state-node.listen` of the configuration]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen)]
    pub(crate) at: Option<SocketAddr>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Print records, decoded; records that the rules make void are marked
    Show(Show),
    /// Replay the log with this binary before it is deployed, and name every entity that it cannot read; writes nothing
    #[command(after_help = VERIFY_EXIT_CODES)]
    Verify(Verify),
}

const VERIFY_EXIT_CODES: &str = "\
Exit codes: 0 this binary reads all of it; 1 it cannot read what is named; 2 it cannot be said: the command line or the
configuration makes no sense, there is no such log, or its first records were deleted.";

#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// The lane whose `events` are replayed; without it those of all lanes
    #[arg(long)]
    pub(crate) lane: Option<String>,
    /// One partition; without it all of them, one after the other
    #[arg(long, value_parser = partition)]
    pub(crate) partition: Option<PartitionId>,
    /// How many bytes of entities to have at once, as snapshots would hold them; in memory each takes a few times that. When
    /// a partition has more, its log is read again for the rest
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = size)]
    pub(crate) memory: Size,
    /// How many unreadable entities of each partition to name; the others are counted
    #[arg(long, value_name = "NUMBER", default_value = "100")]
    pub(crate) named: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// The lane whose `events` are shown; without it and --topic those of all lanes
    #[arg(long)]
    pub(crate) lane: Option<String>,
    /// One topic by its whole name, as in `main.inbound`
    #[arg(long, conflicts_with = "lane")]
    pub(crate) topic: Option<String>,
    /// One partition; without it all of them, one after the other
    #[arg(long, value_parser = partition)]
    pub(crate) partition: Option<PartitionId>,
    /// The first offset to print
    #[arg(long, value_parser = offset, default_value = "0")]
    pub(crate) from: Offset,
    /// Only records about this entity
    #[arg(long)]
    pub(crate) address: Option<Address>,
    /// Go on with what is appended, until interrupted
    #[arg(long)]
    pub(crate) follow: bool,
    /// One JSON object per record; `frames`, and the value of an `outbound` record, are lists: a payload for each delivery
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Say whether the configuration can be used, and if not which key of which file is wrong; and warn of plain text and
    /// secrets that others could reach or guess
    Check(Sources),
    /// Print every value in force and where it came from; secrets are masked
    Show(Sources),
    /// Print the page that describes every key
    Reference,
}

fn claim(text: &str) -> Result<(String, serde_json::Value), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("write it as key=value, as in role=seller")?;
    if key.is_empty() {
        return Err("the key before '=' is empty".to_owned());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((key.to_owned(), value))
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "write it as ADDRESS:PORT, as in 127.0.0.1:7400".to_owned())
}

fn span(text: &str) -> Result<Duration, String> {
    text.parse::<Span>()
        .map(|span| span.0)
        .map_err(|error| error.to_string())
}

fn size(text: &str) -> Result<Size, String> {
    text.parse::<Size>().map_err(|error| error.to_string())
}

fn partition(text: &str) -> Result<PartitionId, String> {
    text.parse()
        .map(PartitionId)
        .map_err(|_| "a partition is a number counted from 0".to_owned())
}

fn lane_partition(text: &str) -> Result<LanePartition, String> {
    let written = text.rsplit_once('/').filter(|(lane, _)| !lane.is_empty());
    let written = written.ok_or("write it as LANE/PARTITION, as in main/3")?;
    Ok(LanePartition {
        lane: written.0.into(),
        partition: partition(written.1)?,
    })
}

fn offset(text: &str) -> Result<Offset, String> {
    text.parse()
        .map(Offset)
        .map_err(|_| "an offset is a number counted from 0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> CommandLine {
        CommandLine::try_parse_from(words).unwrap()
    }

    #[test]
    fn the_definition_holds_together() {
        use clap::CommandFactory;
        CommandLine::command().debug_assert();
    }

    #[test]
    fn without_a_subcommand_the_flags_are_those_of_dev() {
        let line = parsed(&["xp", "--listen", "127.0.0.1:0", "--data", "elsewhere"]);
        assert!(line.task.is_none());
        assert_eq!(line.dev.listen.unwrap().port(), 0);
        assert_eq!(line.dev.sources.data, Some("elsewhere".into()));
    }

    #[test]
    fn claims_are_json_or_else_text() {
        let line = parsed(&[
            "xp",
            "token",
            "--claim",
            "role=seller",
            "--claim",
            "limit=5",
            "--claim",
            "a=[1]",
        ]);
        let Some(Task::Token(token)) = line.task else {
            panic!("not a token: {line:?}")
        };
        let values: Vec<_> = token
            .claims
            .iter()
            .map(|(_, value)| value.to_string())
            .collect();
        assert_eq!(values, ["\"seller\"", "5", "[1]"]);
        assert_eq!(token.ttl, Duration::from_secs(86_400));
    }

    #[test]
    fn a_partition_is_moved_to_a_node_or_left_to_placement_and_not_both() {
        let words = ["xp", "cluster", "move", "eu.main/3"];
        let with = |more: &[&str]| CommandLine::try_parse_from([&words, more].concat());
        let Some(Task::Cluster(Cluster::Move { partition, to, .. })) = with(&["a"]).unwrap().task
        else {
            panic!("not a move");
        };
        assert_eq!(
            (partition.to_string(), to.as_deref()),
            ("eu.main/3".to_owned(), Some("a"))
        );
        assert!(with(&["--auto"]).is_ok());
        assert!(with(&[]).is_err() && with(&["a", "--auto"]).is_err());
        let error = CommandLine::try_parse_from(["xp", "cluster", "move", "main", "a"]);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("as in main/3"), "{error}");
    }

    #[test]
    fn a_claim_without_a_value_says_how_to_write_it() {
        let error = CommandLine::try_parse_from(["xp", "token", "--claim", "role"]).unwrap_err();
        assert!(error.to_string().contains("as in role=seller"), "{error}");
    }
}
