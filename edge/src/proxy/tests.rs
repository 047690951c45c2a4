use super::*;

fn proxies(told_by: ToldBy) -> Proxies {
    let trusted = ["10.0.0.0/8", "fd00::/8"].map(|range| range.parse().unwrap());
    Proxies {
        trusted: trusted.to_vec(),
        told_by,
    }
}

/// Who the client is that a peer speaks for, with these headers.
fn client(told_by: ToldBy, peer: &str, headers: &[(&str, &str)]) -> String {
    let mut request = http::Request::get("/ready");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let peer = SocketAddr::new(peer.parse().unwrap(), 1);
    let request = request.body(()).unwrap();
    proxies(told_by).client(&request, peer).ip().to_string()
}

#[test]
fn the_client_is_the_last_one_that_no_trusted_proxy_vouches_for() {
    for (chain, says) in [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, 10.0.0.2", "203.0.113.7"),
        // Anybody may send a header of his own; the proxy appends to it.
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("203.0.113.7, unknown", "10.0.0.1"),
        ("", "10.0.0.1"),
    ] {
        let headers = [("x-forwarded-for", chain)];
        assert_eq!(
            client(ToldBy::XForwardedFor, "10.0.0.1", &headers),
            says,
            "{chain}"
        );
    }
    let twice = [
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-for", "203.0.113.7"),
    ];
    assert_eq!(
        client(ToldBy::XForwardedFor, "10.0.0.1", &twice),
        "203.0.113.7"
    );
}

#[test]
fn the_standard_header_is_read_with_its_quotes_and_parameters() {
    for (header, says) in [
        ("for=203.0.113.7;proto=https", "203.0.113.7"),
        ("proto=https; For=\"[2001:db8::7]:4711\"", "2001:db8::7"),
        (
            "for=198.51.100.1, for=203.0.113.7, for=10.0.0.9",
            "203.0.113.7",
        ),
        ("for=_hidden", "10.0.0.1"),
        ("proto=https", "10.0.0.1"),
    ] {
        let headers = [("forwarded", header)];
        assert_eq!(
            client(ToldBy::Forwarded, "10.0.0.1", &headers),
            says,
            "{header}"
        );
    }
}

#[test]
fn nobody_else_and_no_other_header_is_believed() {
    let headers = [
        ("x-forwarded-for", "203.0.113.7"),
        ("forwarded", "for=203.0.113.7"),
    ];
    assert_eq!(
        client(ToldBy::XForwardedFor, "192.0.2.1", &headers),
        "192.0.2.1"
    );
    assert_eq!(
        client(ToldBy::Forwarded, "192.0.2.1", &headers),
        "192.0.2.1"
    );
    assert_eq!(client(ToldBy::ProxyV2, "10.0.0.1", &headers), "10.0.0.1");
    let other = [("x-forwarded-for", "203.0.113.7")];
    assert_eq!(client(ToldBy::Forwarded, "10.0.0.1", &other), "10.0.0.1");
}

fn v2(kind: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let size = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[kind, family], &size, rest].concat()
}

async fn reads(bytes: &[u8]) -> Result<Option<String>, io::ErrorKind> {
    let read = read_v2(&mut &*bytes).await;
    read.map(|client| client.map(|client| client.to_string()))
        .map_err(|error| error.kind())
}

#[tokio::test]
async fn the_proxy_protocol_names_the_client_before_anything_else() {
    let four = [203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x67, 0, 80];
    let said = Ok(Some("203.0.113.7:4711".to_owned()));
    assert_eq!(reads(&v2(PROXIED, TCP4, &four)).await, said);
    // Remarks may follow.
    let remarked = [&four[..], &[3, 0, 1, 7]].concat();
    assert_eq!(reads(&v2(PROXIED, TCP4, &remarked)).await, said);
    let six: Vec<u8> = [
        [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
        [0; 16],
    ]
    .concat()
    .into_iter()
    .chain([0x12, 0x67, 0, 80])
    .collect();
    let said = Ok(Some("[2001:db8::7]:4711".to_owned()));
    assert_eq!(reads(&v2(PROXIED, TCP6, &six)).await, said);
    assert_eq!(reads(&v2(LOCAL, 0, &[])).await, Ok(None));
}

#[tokio::test]
async fn what_does_not_begin_so_is_refused() {
    let invalid = Err(io::ErrorKind::InvalidData);
    assert_eq!(reads(b"GET /v1/board/1 HTTP/1.1\r\n").await, invalid);
    assert_eq!(reads(&v2(PROXIED, TCP4, &[203, 0])).await, invalid);
    assert_eq!(reads(&v2(0x11, TCP4, &[0; 12])).await, invalid);
    let long = v2(PROXIED, TCP4, &vec![0; REMARKS_BYTES_MAX + 1]);
    assert_eq!(reads(&long).await, invalid);
    let cut = Err(io::ErrorKind::UnexpectedEof);
    assert_eq!(reads(&v2(PROXIED, TCP4, &[0; 12])[..20]).await, cut);
}
