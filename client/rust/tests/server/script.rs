//! A server that does exactly what a test says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for `future`, within a deadline.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("it happens within the deadline")
}

pub(crate) trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

pub(crate) struct Server {
    listener: Option<TcpListener>,
    at: SocketAddr,
    tls: Option<TlsAcceptor>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            at: listener.local_addr().unwrap(),
            listener: Some(listener),
            tls: None,
        }
    }

    /// A server with a certificate of its own, and a client's configuration that trusts it.
    pub(crate) async fn start_with_tls() -> (Self, Arc<ClientConfig>) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = Some(TlsAcceptor::from(Arc::new(server)));
        let plain = Self::start().await;
        (Self { tls, ..plain }, Arc::new(client))
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{}", self.at)
    }

    /// Nobody listens any more.
    pub(crate) async fn stop(&mut self) {
        self.listener = None;
    }

    /// Listens where it listened before.
    pub(crate) async fn restart(&mut self) {
        self.listener = Some(TcpListener::bind(self.at).await.unwrap());
    }

    pub(crate) async fn accept(&mut self) -> Socket {
        let listener = self.listener.as_ref().expect("the server was not stopped");
        let (tcp, _) = within(listener.accept()).await.unwrap();
        let pipe: Box<dyn Pipe> = match &self.tls {
            Some(tls) => Box::new(within(tls.accept(tcp)).await.unwrap()),
            None => Box::new(tcp),
        };
        let (mut uri, mut authorization) = (String::new(), String::new());
        #[expect(
            clippy::result_large_err,
            reason = "the websocket crate gives this callback its type"
        )]
        let handshake = |request: &Request, mut response: Response| {
            uri = request.uri().to_string();
            let header = |name| request.headers()[name].to_str().unwrap().to_owned();
            authorization = header("authorization");
            assert_eq!(header("sec-websocket-protocol"), "xp.v1");
            let protocol = HeaderValue::from_static("xp.v1");
            response
                .headers_mut()
                .insert("sec-websocket-protocol", protocol);
            Ok(response)
        };
        let stream = within(accept_hdr_async(pipe, handshake)).await.unwrap();
        Socket {
            stream,
            uri,
            authorization,
        }
    }
}

pub(crate) struct Socket {
    stream: WebSocketStream<Box<dyn Pipe>>,
    pub(crate) uri: String,
    pub(crate) authorization: String,
}

impl Socket {
    pub(crate) async fn says(&mut self, frame: &str) {
        let message = Message::text(frame);
        within(self.stream.send(message)).await.unwrap();
    }

    pub(crate) async fn says_binary(&mut self, frame: &'static [u8]) {
        let message = Message::binary(frame);
        within(self.stream.send(message)).await.unwrap();
    }

    pub(crate) async fn hears(&mut self, frame: &str) {
        assert_eq!(self.hears_something().await, frame);
    }

    pub(crate) async fn hears_something(&mut self) -> String {
        match within(self.stream.next()).await {
            Some(Ok(Message::Text(text))) => text.to_string(),
            other => panic!("expected a text frame and heard {other:?}"),
        }
    }

    pub(crate) async fn hears_binary(&mut self, frame: &[u8]) {
        match within(self.stream.next()).await {
            Some(Ok(Message::Binary(heard))) => assert_eq!(heard, frame),
            other => panic!("expected a binary frame and heard {other:?}"),
        }
    }

    /// The code of the client's close frame.
    pub(crate) async fn hears_close(&mut self) -> Option<u16> {
        loop {
            match within(self.stream.next()).await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                _ => return None,
            }
        }
    }

    pub(crate) async fn closes(self, code: u16) {
        self.closes_with(code, "").await;
    }

    pub(crate) async fn closes_with(mut self, code: u16, reason: &str) {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        within(self.stream.close(Some(frame))).await.unwrap();
        while let Some(Ok(_)) = within(self.stream.next()).await {}
    }

    /// The network breaks, without a close frame.
    pub(crate) fn breaks(self) {
        drop(self);
    }
}
