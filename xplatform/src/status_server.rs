//! The status server of a state node, over HTTP: whether the process lives, whether the node is ready, and what it
//! does. It changes nothing.

use std::collections::VecDeque;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use xp_protocol::Address;
use xp_protocol::plain::plain_lines;
use xp_runtime::Config;
use xp_state_node::{Observer, Status};

use crate::process::stderr;

/// How long one request may take from its connection to the last byte of its answer. Then it is hung up on.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// The longest request head, in bytes. A longer one is answered 431.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// Connections at once. One more hangs up on the oldest, so that whoever connects and says nothing keeps nobody from
/// asking whether the process lives.
const REQUESTS_MAX: usize = 64;

/// What it answers of the node, through all its incarnations. Dropped, it answers nobody any more.
pub(crate) struct StatusServer {
    addr: SocketAddr,
    scene: Arc<Scene>,
    serving: AbortHandle,
}

struct Scene {
    name: String,
    node: Mutex<Option<Observer>>,
}

/// `/status` as JSON.
#[derive(Serialize)]
struct Page {
    name: String,
    /// Lines of the log that stderr did not take.
    log_lines_lost: u64,
    #[serde(flatten)]
    status: Option<Status>,
    /// Why there is no more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    absent: Option<&'static str>,
}

impl StatusServer {
    /// Opens it where the configuration says, if it does, and says on stdout where that is. Port 0 becomes the port in
    /// the configuration, so that others are told of it.
    pub(crate) async fn of(config: &mut Config) -> Result<Option<Self>> {
        let node = &mut config.state_node;
        let Some(listen) = node.listen else {
            return Ok(None);
        };
        let status_server = Self::open(listen, &node.name).await?;
        node.listen = Some(status_server.addr);
        let line = format!(
            "state-node {} answers on http://{}",
            node.name, status_server.addr
        );
        writeln!(std::io::stdout(), "{line}").context("stdout cannot be written")?;
        Ok(Some(status_server))
    }

    /// Answers from now on, before there is a node: that it is not ready.
    async fn open(addr: SocketAddr, name: &str) -> Result<Self> {
        let listener = TcpListener::bind(addr).await;
        let listener = listener.with_context(|| {
            format!("{addr} cannot be listened on: choose another state-node.listen, such as 127.0.0.1:0")
        })?;
        let addr = listener.local_addr()?;
        let scene = Arc::new(Scene {
            name: name.to_owned(),
            node: Mutex::default(),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&scene))).abort_handle();
        Ok(Self {
            addr,
            scene,
            serving,
        })
    }

    /// The node is this one from now on.
    pub(crate) fn show(&self, node: Observer) {
        *self.scene.lock() = Some(node);
    }
}

impl Drop for StatusServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Scene {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Observer>> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self) -> Option<Observer> {
        self.lock().clone()
    }

    async fn answer(&self, (path, retry): (&str, bool)) -> Answer {
        match path {
            // Edges call it `/health`.
            "/live" | "/health" => Answer::text(200, "live\n".to_owned()),
            "/ready" => self.ready(),
            "/status" => self.status().await,
            _ => match entity_in(path) {
                Some(address) => self.entity(address, retry).await,
                None => Answer::text(
                    404,
                    "Nothing is here. Ask /live, /ready, /status or /entity/CATEGORY/ID.\n"
                        .to_owned(),
                ),
            },
        }
    }

    /// How one entity is, for `xp entity`.
    async fn entity(&self, address: Address, retry: bool) -> Answer {
        let Some(node) = self.node() else {
            return Answer::text(503, format!("{STARTING}\n"));
        };
        match node.entity(address.clone(), retry).await {
            Ok(Some(description)) => Answer::json(&description),
            Ok(None) => Answer::text(404, format!("There is no entity {address}.\n")),
            Err(reason) => Answer::text(503, format!("{reason}\n")),
        }
    }

    fn ready(&self) -> Answer {
        let problems = match self.node() {
            Some(node) => node.problems(),
            None => vec![STARTING.to_owned()],
        };
        if problems.is_empty() {
            return Answer::text(200, "ready\n".to_owned());
        }
        let lines: String = problems.iter().map(|line| format!("- {line}\n")).collect();
        Answer::text(503, format!("not ready:\n{lines}"))
    }

    async fn status(&self) -> Answer {
        let (status, absent) = match self.node() {
            Some(node) => match node.status().await {
                Some(status) => (Some(status), None),
                None => (None, Some("the node has ended, or joins again")),
            },
            None => (None, Some(STARTING)),
        };
        let name = self.name.clone();
        let page = Page {
            name,
            log_lines_lost: stderr::lost(),
            status,
            absent,
        };
        Answer::json(&page)
    }
}

/// The entity that a path asks for, whose id is percent-encoded.
fn entity_in(path: &str) -> Option<Address> {
    decoded(path.strip_prefix("/entity/")?)?.parse().ok()
}

/// A path segment without its percent-encoding; `None` when that is wrong.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(behind.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &behind[2..];
    }
    String::from_utf8(bytes).ok()
}

const STARTING: &str = "the node has not joined the cluster yet";

struct Answer {
    status: u16,
    kind: &'static str,
    body: String,
}

impl Answer {
    fn text(status: u16, body: String) -> Self {
        Self {
            status,
            kind: "text/plain; charset=utf-8",
            body: plain_lines(&body).into_owned(),
        }
    }

    fn json(what: &impl Serialize) -> Self {
        let body = serde_json::to_string_pretty(what).expect("names and numbers have a JSON form");
        Self {
            status: 200,
            kind: "application/json",
            // Whoever asks by curl sees ids and subjects in a terminal; as JSON it means the same.
            body: plain_lines(&body).into_owned() + "\n",
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            431 => "Request Header Fields Too Large",
            _ => "Service Unavailable",
        };
        format!(
            "HTTP/1.1 {} {reason}\r\ncontent-type: {}\r\ncontent-length: {}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{}",
            self.status,
            self.kind,
            self.body.len(),
            self.body
        )
        .into_bytes()
    }
}

async fn serve(listener: TcpListener, scene: Arc<Scene>) {
    // Dropped with this task, and all of them with it.
    let mut requests = JoinSet::new();
    let mut order = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of files, most likely: whoever closes one makes room.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        while requests.try_join_next().is_some() {}
        order.retain(|request: &AbortHandle| !request.is_finished());
        if order.len() >= REQUESTS_MAX
            && let Some(oldest) = order.pop_front()
        {
            oldest.abort();
        }
        let scene = Arc::clone(&scene);
        order.push_back(requests.spawn(async move {
            // Who left, or was too slow, misses nothing that could not be asked again.
            drop(timeout(ANSWERED_WITHIN, converse(stream, &scene)).await);
        }));
    }
}

async fn converse(mut stream: TcpStream, scene: &Scene) -> std::io::Result<()> {
    let answer = match read_head(&mut stream).await? {
        Ok(head) => match asked(&head) {
            Ok(path) => scene.answer(path).await,
            Err(answer) => answer,
        },
        Err(answer) => answer,
    };
    stream.write_all(&answer.bytes()).await?;
    stream.shutdown().await
}

async fn read_head(stream: &mut TcpStream) -> std::io::Result<Result<String, Answer>> {
    let mut head = Vec::with_capacity(2 * HEAD_BYTES_MAX);
    while !is_whole(&head) {
        if head.len() > HEAD_BYTES_MAX {
            let body = format!("a request head has at most {HEAD_BYTES_MAX} bytes\n");
            return Ok(Err(Answer::text(431, body)));
        }
        if stream.read_buf(&mut head).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Ok(String::from_utf8_lossy(&head).into_owned()))
}

/// Some probes end their lines as no standard says.
fn is_whole(head: &[u8]) -> bool {
    let ends = |end: &[u8]| head.windows(end.len()).any(|bytes| bytes == end);
    ends(b"\r\n\r\n") || ends(b"\n\n")
}

/// The path that is asked for, without its query; and whether an entity is to be tried again, which is a POST.
fn asked(head: &str) -> Result<(&str, bool), Answer> {
    let line = head.lines().next().unwrap_or_default();
    let words: Vec<_> = line.split(' ').collect();
    match words[..] {
        ["GET", target, _] => Ok((target.split('?').next().unwrap_or(target), false)),
        ["POST", target, _] if target.starts_with("/entity/") => Ok((target, true)),
        [_, _, _] => Err(Answer::text(405, "only GET is answered\n".to_owned())),
        _ => Err(Answer::text(400, "this is no HTTP request\n".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(status_server: &StatusServer, request: &str) -> String {
        let mut stream = TcpStream::connect(status_server.addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn opened() -> StatusServer {
        let any = "127.0.0.1:0".parse().unwrap();
        StatusServer::open(any, "state-7").await.unwrap()
    }

    #[tokio::test]
    async fn a_process_without_a_node_lives_and_is_not_ready() {
        let status_server = opened().await;
        let live = get(&status_server, "GET /live HTTP/1.1\r\n\r\n").await;
        assert!(live.starts_with("HTTP/1.1 200 OK\r\n"), "{live}");
        let ready = get(&status_server, "GET /ready?from=probe HTTP/1.1\r\n\r\n").await;
        assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
        assert!(ready.contains("has not joined the cluster"), "{ready}");
        let status = get(&status_server, "GET /status HTTP/1.1\r\n\r\n").await;
        let (_, body) = status.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["name"], "state-7");
        assert_eq!(body["absent"], STARTING);
    }

    #[tokio::test]
    async fn what_is_no_request_for_this_place_is_answered_with_what_is() {
        let status_server = opened().await;
        for (request, says) in [
            ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
            ("POST /ready HTTP/1.1\r\n\r\n", "405 "),
            ("GET /entity/board HTTP/1.1\r\n\r\n", "404 Not Found"),
            ("POST /entity/board/a%2Fb HTTP/1.1\r\n\r\n", "404 Not Found"),
            ("POST /entity/board/a%20b HTTP/1.1\r\n\r\n", "503 "),
            ("hello\r\n\r\n", "400 Bad Request"),
        ] {
            let answer = get(&status_server, request).await;
            assert!(answer.contains(says), "{request}: {answer}");
        }
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(HEAD_BYTES_MAX));
        assert!(get(&status_server, &long).await.contains("431 "));
    }

    #[tokio::test]
    async fn whoever_connects_and_says_nothing_keeps_nobody_from_asking() {
        let status_server = opened().await;
        let mut silent = Vec::new();
        for _ in 0..4 * REQUESTS_MAX {
            silent.push(TcpStream::connect(status_server.addr).await.unwrap());
        }
        let asked = get(&status_server, "GET /live HTTP/1.1\r\n\r\n");
        let live = timeout(ANSWERED_WITHIN / 2, asked).await;
        let live = live.expect("it does not wait for the silent ones");
        assert!(live.starts_with("HTTP/1.1 200 OK\r\n"), "{live}");
    }

    #[tokio::test]
    async fn probes_of_the_old_protocol_are_answered_too() {
        let status_server = opened().await;
        for request in ["GET /live HTTP/1.0\r\n\r\n", "GET /live HTTP/1.0\n\n"] {
            let live = get(&status_server, request).await;
            assert!(live.starts_with("HTTP/1.1 200 OK\r\n"), "{live}");
        }
    }

    #[test]
    fn nothing_that_a_client_chose_moves_the_terminal_of_who_asks() {
        let subject = "ana\u{9b}2J\u{202e}";
        let shown = Answer::json(&serde_json::json!({ "subject": subject })).body;
        assert_eq!(shown, "{\n  \"subject\": \"ana\\u009b2J\\u202e\"\n}\n");
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read["subject"], subject);
        let said = Answer::text(404, format!("There is no entity {subject}.\n")).body;
        assert_eq!(said, "There is no entity ana\\u009b2J\\u202e.\n");
    }

    #[tokio::test]
    async fn an_address_that_is_taken_says_which_key_to_change() {
        let status_server = opened().await;
        let error = StatusServer::open(status_server.addr, "b")
            .await
            .err()
            .unwrap();
        assert!(
            format!("{error:#}").contains("state-node.listen"),
            "{error:#}"
        );
    }
}
