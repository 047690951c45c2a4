//! A websocket client that knows nothing of the platform but its frames.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use xp_protocol::CloseCode;

use super::PATIENCE;

pub struct Dial {
    host: SocketAddr,
    path: String,
    query: Vec<String>,
    headers: Vec<(&'static str, String)>,
}

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub struct Client {
    pub socket: Socket,
    pub response: Response,
}

impl Dial {
    pub fn to(host: SocketAddr) -> Self {
        Self {
            host,
            path: "/v1/board/1".to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub fn path(self, path: &str) -> Self {
        let path = path.to_owned();
        Self { path, ..self }
    }

    pub fn query(mut self, pair: &str) -> Self {
        self.query.push(pair.to_owned());
        self
    }

    pub fn connection(self, number: u128) -> Self {
        self.query(&format!("connection={}", super::id(number)))
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn request(&self) -> Request {
        let query = self.query.join("&");
        let url = format!("ws://{}{}?{query}", self.host, self.path);
        let mut request = url.into_client_request().unwrap();
        for (name, value) in &self.headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        request
    }

    pub async fn open(&self) -> Client {
        let connecting = tokio_tungstenite::connect_async(self.request());
        let (socket, response) = connecting.await.unwrap();
        Client { socket, response }
    }

    /// The code with which the socket is closed before anything else is heard.
    pub async fn refused(&self) -> CloseCode {
        let mut client = self.open().await;
        client.closed().await
    }
}

impl Client {
    pub async fn send(&mut self, frame: &str) {
        self.socket.send(Message::text(frame)).await.unwrap();
    }

    pub async fn next(&mut self) -> Option<Result<Message, tungstenite::Error>> {
        let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
        next.expect("a message, or the end of the socket")
    }

    /// The next frame, as text.
    pub async fn frame(&mut self) -> String {
        loop {
            match self.next().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    return String::from_utf8(message.into_data().to_vec()).unwrap();
                }
                other => panic!("a frame, not {other:?}"),
            }
        }
    }

    /// The next frame, which must be of this verb.
    pub async fn expect(&mut self, verb: &str) -> String {
        let frame = self.frame().await;
        assert_eq!(frame.split(' ').next(), Some(verb), "{frame}");
        frame
    }

    /// The close frame's reason, whatever frames come before it.
    pub async fn reason(&mut self) -> String {
        loop {
            match self.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.reason.to_string(),
                Some(Ok(_)) => {}
                other => panic!("a close frame, not {other:?}"),
            }
        }
    }

    /// The close code of the socket's end, whatever frames come before it.
    pub async fn closed(&mut self) -> CloseCode {
        loop {
            match self.next().await {
                Some(Ok(Message::Close(Some(frame)))) => {
                    let code = CloseCode::from_number(frame.code.into());
                    let code = code.unwrap_or_else(|| panic!("a code of ours, not {frame}"));
                    assert!(frame.reason.starts_with(code.name()), "{frame}");
                    return code;
                }
                Some(Ok(_)) => {}
                other => panic!("a close frame, not {other:?}"),
            }
        }
    }
}
