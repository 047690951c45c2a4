//! `cargo xtask up` and `down`: a whole installation of the example domains on this machine. A Kafka, three state nodes
//! and two edges, each a process of its own; what they are told, where they log and who they are is under `target/up`.
//! Several stand side by side on other ports, each with a directory of its own; they share one Kafka.

mod faults;
mod ready;
mod local_kafka;
mod settings;
mod options;
mod binary;
mod background;

use crate::cargo;
use anyhow::{Context, Result, bail};
use background::Background;
use faults::{kill, pause, resume, roll};
use local_kafka::{Found, LocalKafka};
use options::{Base, Options};
use settings::{ROLES, Role};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use xp_background::Stopped;

/// What may be asked of an installation.
const TASKS: [&str; 6] = ["up", "kill", "pause", "resume", "roll", "down"];

/// On a machine that has much else to do.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// More than an edge takes by itself to send its clients away, or a state node to hand over.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// Where everything of the installation is.
struct Installation {
    root: PathBuf,
    base: Base,
    dir: PathBuf,
    kafka: LocalKafka,
    /// Released when the command ends: two at once would start everything twice.
    _lock: File,
}

/// What this command started, to be stopped if something fails.
#[derive(Default)]
struct Started {
    kafka: bool,
    roles: Vec<Role>,
}

/// Does what these words say; false when it does not know them.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<bool> {
    if !words.first().is_some_and(|word| TASKS.contains(word)) {
        return Ok(false);
    }
    let (Options { base, binary }, words) = Options::among(words)?;
    if binary.is_some() && words != ["up"] {
        bail!("--binary is for `up`; what is there goes on with the binary that it has");
    }
    match words[..] {
        ["up"] => up(root, base, binary.as_deref()),
        ["kill", name] => kill(root, base, name),
        ["pause", name] => pause(root, base, name, None),
        ["pause", name, seconds] => pause(root, base, name, Some(seconds)),
        ["resume", name] => resume(root, base, name),
        ["roll"] => roll(root, base),
        ["down"] => down(root, base),
        _ => return Ok(false),
    }
    .map(|()| true)
}

/// Starts what does not run. When something fails, what this command started is stopped again.
fn up(root: &Path, base: Base, binary: Option<&Path>) -> Result<()> {
    let installation = Installation::open(root, base)?;
    if let Some(binary) = binary {
        installation.take(&binary::judged(binary)?)?;
    }
    if installation.runs()? {
        println!("everything runs already");
        return installation.say();
    }
    installation.ports_are_free()?;
    let mut started = Started::default();
    let result = installation.start(&mut started);
    if result.is_err() {
        eprintln!("that failed; stopping what was started");
        installation.take_back(&started)?;
    }
    result?;
    installation.say()
}

/// Stops everything, in the order in which nobody misses anybody.
fn down(root: &Path, base: Base) -> Result<()> {
    let installation = Installation::open(root, base)?;
    installation.stop(&ROLES)?;
    let _ = fs::remove_file(installation.choice());
    if let Some(other) = installation.neighbour()? {
        let down = other.task("down");
        println!("Kafka is left as it is: another installation runs on it, until `{down}`");
    } else if !installation.kafka.stop_if_ours()? {
        println!("Kafka is left as it is: `cargo xtask up` did not start it");
    }
    Ok(())
}

impl Installation {
    fn open(root: &Path, base: Base) -> Result<Self> {
        let target = cargo::target(root);
        let [dir, shared] = [base, Base::default()].map(|base| target.join(base.name()));
        for dir in [&dir, &shared] {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        // One for all installations: who ends Kafka must know that nobody begins to use it.
        let lock = File::create(shared.join("lock")).context("cannot make a lock file")?;
        lock.try_lock()
            .context("another `cargo xtask up` or `down` is at work")?;
        Ok(Self {
            root: root.to_owned(),
            base,
            kafka: LocalKafka::of(root, &shared),
            dir,
            _lock: lock,
        })
    }

    fn process(&self, role: Role) -> Background {
        Background::named(&role.name(), &self.dir)
    }

    fn config(&self) -> PathBuf {
        self.dir.join("up.toml")
    }

    /// Holds the path of somebody's own binary, from an `up` with it to `down`.
    fn choice(&self) -> PathBuf {
        self.dir.join("binary")
    }

    fn take(&self, binary: &Path) -> Result<()> {
        let binary = binary.to_str().context("the path of --binary is no text")?;
        fs::write(self.choice(), binary).context("cannot write down which binary it is")
    }

    fn own_binary(&self) -> Option<PathBuf> {
        fs::read_to_string(self.choice()).ok().map(PathBuf::from)
    }

    fn binary(&self) -> PathBuf {
        let examples = || cargo::target(&self.root).join("release").join("xp");
        self.own_binary().unwrap_or_else(examples)
    }

    /// Another installation of which something runs.
    fn neighbour(&self) -> Result<Option<Base>> {
        let target = cargo::target(&self.root);
        let runs = |base: &Base| {
            let dir = target.join(base.name());
            let running = |role: Role| Background::named(&role.name(), &dir).running();
            ROLES.into_iter().any(|role| running(role).is_some())
        };
        let mut bases = Vec::new();
        for entry in fs::read_dir(&target)? {
            bases.extend(entry?.file_name().to_str().and_then(Base::named));
        }
        let mut others = bases.into_iter().filter(|base| *base != self.base);
        Ok(others.find(runs))
    }

    /// Those of what is to be started.
    fn ports_are_free(&self) -> Result<()> {
        let down = |role: &Role| self.process(*role).running().is_none();
        settings::ports_are_free(self.base, ROLES.into_iter().filter(down))
    }

    fn runs(&self) -> Result<bool> {
        let runs = |role: &Role| self.process(*role).running().is_some();
        Ok(ROLES.iter().all(runs) && self.kafka.find()?.is_some())
    }

    fn start(&self, started: &mut Started) -> Result<()> {
        self.build()?;
        started.kafka = self.kafka.start()?;
        let kafka = self.kafka.find()?;
        let kafka = kafka.context("Kafka ended after its start; its log says why")?;
        // Snapshots belong to the log of just this Kafka: who deletes it deletes them with it.
        let data = self.data(&kafka);
        let file = settings::file(&kafka.brokers, self.base, &data);
        fs::write(self.config(), file)?;
        self.create_topics()?;
        ROLES
            .iter()
            .try_for_each(|role| self.start_role(*role, started))
    }

    fn data(&self, kafka: &Found) -> PathBuf {
        let own = match self.base == Base::default() {
            true => "platform".to_owned(),
            false => self.base.name(),
        };
        kafka.storage.join(own)
    }

    fn build(&self) -> Result<()> {
        if self.own_binary().is_some() {
            return Ok(());
        }
        println!("building the example domains …");
        // Beside it the package has nodes for tests.
        let build = [
            "build",
            "--release",
            "--package",
            "xp-domains",
            "--bin",
            "xp",
        ];
        let status = cargo::command(&self.root, &build).status();
        if !status.context("cannot start cargo")?.success() {
            bail!("the example domains cannot be built; see above");
        }
        Ok(())
    }

    fn create_topics(&self) -> Result<()> {
        let output = self.xp(&["topics", "create"]).output();
        let output = output.context("cannot start xp")?;
        if !output.status.success() {
            bail!(
                "`xp topics create` does not work:\n{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    fn start_role(&self, role: Role, started: &mut Started) -> Result<()> {
        let process = self.process(role);
        if process.running().is_none() {
            println!("starting {} …", process.name());
            let mut command = self.xp(&[role.subcommand()]);
            let kafka = self.kafka.find()?;
            let kafka = kafka.context("Kafka does not run; `cargo xtask up` starts it")?;
            started.roles.push(role);
            process.start(command.envs(role.environment(self.base, &self.data(&kafka))))?;
        }
        let ready = process.wait_for_line(&role.ready(), READY_WITHIN);
        ready.map(drop)
    }

    /// The binary with the configuration; what this shell has in its environment for other processes is not for it.
    fn xp(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.binary());
        command.args(words).arg("--config").arg(self.config());
        let environment = std::env::vars_os().map(|(key, _)| key);
        let ours = environment.filter(|key| key.to_string_lossy().starts_with("XP__"));
        ours.for_each(|key| {
            command.env_remove(key);
        });
        command
    }

    fn take_back(&self, started: &Started) -> Result<()> {
        self.stop(&started.roles)?;
        if started.kafka && self.neighbour()?.is_none() {
            self.kafka.stop_if_ours()?;
        }
        Ok(())
    }

    /// Edges first: their clients hear that they should come back before nobody answers them.
    fn stop(&self, roles: &[Role]) -> Result<()> {
        let mut problems = Vec::new();
        for role in roles.iter().rev() {
            let process = self.process(*role);
            match process.stop(ENDED_WITHIN) {
                Ok(stopped) => println!("{}: {}", process.name(), said(stopped)),
                Err(error) => problems.push(format!("{error:#}")),
            }
        }
        if !problems.is_empty() {
            bail!("{}", problems.join("; "));
        }
        Ok(())
    }

    fn url(&self, role: Role) -> Result<String> {
        let process = self.process(role);
        let line = process.line_with(&role.listening()).unwrap_or_default();
        let url = line.split_whitespace().find(|word| word.contains("://"));
        let url = url.with_context(|| {
            format!("{} does not say where it listens", process.log().display())
        })?;
        Ok(url.to_owned())
    }

    /// Host and port of a process.
    fn http(&self, role: Role) -> Result<String> {
        let url = self.url(role)?;
        let (_, at) = url.split_once("://").unwrap_or(("", &url));
        Ok(at.trim_end_matches('/').to_owned())
    }

    fn say(&self) -> Result<()> {
        let (xp, config) = (self.binary(), self.config());
        let (xp, config) = (xp.display(), config.display());
        let entity = match self.own_binary() {
            Some(_) => "CATEGORY/kitchen",
            None => "board/kitchen",
        };
        println!("\nTwo people on one entity, each on an edge of its own:\n");
        for (role, who) in [(Role::Edge(1), "ana"), (Role::Edge(2), "bob")] {
            let url = self.url(role)?;
            println!("    {xp} connect {entity} --as {who} --config {config} --url {url}");
        }
        println!(
            "\na token for any websocket client:\n\n    {}",
            self.token()?
        );
        println!("\nwho owns what:\n\n    {xp} cluster status --config {config}");
        println!("\nsee what it takes to notice:\n");
        let task = |words| self.base.task(words);
        let (kill, up) = (task("kill state-2"), task("up"));
        println!("    {kill}     (`{up}` brings it back)");
        println!("    {}", task("pause state-1 5"));
        println!("    {}", task("roll"));
        println!("\nlogs and configuration: {}", self.dir.display());
        println!("stop everything: {}", task("down"));
        Ok(())
    }

    fn token(&self) -> Result<String> {
        let output = self.xp(&["token"]).output().context("cannot start xp")?;
        if !output.status.success() {
            bail!(
                "`xp token` does not work: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

fn said(stopped: Stopped) -> String {
    match stopped {
        Stopped::DidNotRun => "did not run".to_owned(),
        Stopped::InOrder => "drained and stopped".to_owned(),
        Stopped::Killed => format!(
            "did not end within {ENDED_WITHIN:?} and was killed; its log says how far it came"
        ),
    }
}
