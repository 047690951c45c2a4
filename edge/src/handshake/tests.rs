use http::Request as Builder;

use super::*;

const ID: &str = "00000000-0000-0000-0000-000000000001";

fn request(uri: &str, headers: &[(&str, &str)]) -> Request {
    let mut builder = Builder::get(uri);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap()
}

fn read(uri: &str) -> Result<Handshake, Closing> {
    Handshake::read(&request(uri, &[]))
}

fn bearer(headers: &[(&str, &str)]) -> Option<String> {
    let uri = format!("/v1/board/1?connection={ID}");
    Handshake::read(&request(&uri, headers)).unwrap().token
}

#[test]
fn the_url_names_the_entity_and_the_session() {
    let handshake = read(&format!(
        "/v1/board/7%20%C3%BC?connection={ID}&attempt=3&since=9"
    ))
    .unwrap();
    assert_eq!(handshake.address.as_str(), "board/7 ü");
    assert_eq!(handshake.connection.to_string(), ID);
    assert_eq!(handshake.attempt, Some(DialAttempt(3)));
    assert_eq!(handshake.since, Some(Revision(9)));
}

#[test]
fn attempt_and_since_may_be_left_out() {
    let handshake = read(&format!("/v1/board/1?connection={ID}")).unwrap();
    assert_eq!((handshake.attempt, handshake.since), (None, None));
}

#[test]
fn what_the_url_lacks_is_named() {
    for (uri, code, reason) in [
        ("/", CloseCode::UnknownAddress, "/v1/{category}/{id}"),
        (
            "/v2/board/1",
            CloseCode::UnknownAddress,
            "/v1/{category}/{id}",
        ),
        (
            "/v1/board",
            CloseCode::UnknownAddress,
            "/v1/{category}/{id}",
        ),
        ("/v1/Board/1", CloseCode::UnknownAddress, "a category is"),
        ("/v1/board/", CloseCode::UnknownAddress, "an id is"),
        ("/v1/board/a%2Fb", CloseCode::UnknownAddress, "an id is"),
        ("/v1/board/%FF", CloseCode::UnknownAddress, "not UTF-8"),
        (
            "/v1/board/1",
            CloseCode::ProtocolError,
            "?connection={uuid}",
        ),
        (
            "/v1/board/1?connection=7",
            CloseCode::ProtocolError,
            "a UUID",
        ),
    ] {
        let refused = read(uri).unwrap_err();
        assert_eq!(refused.code, code, "{uri}");
        assert!(refused.detail.contains(reason), "{uri}: {}", refused.detail);
    }
    let refused = read(&format!("/v1/board/1?connection={ID}&attempt=x")).unwrap_err();
    assert_eq!(refused.detail, "attempt takes a number");
}

#[test]
fn a_token_comes_in_the_header_or_in_the_list_of_subprotocols() {
    let token = Some("a.b.c".to_owned());
    assert_eq!(bearer(&[("authorization", "Bearer a.b.c")]), token);
    assert_eq!(bearer(&[("authorization", "bearer  a.b.c")]), token);
    assert_eq!(
        bearer(&[("sec-websocket-protocol", "xp.v1, xp.bearer.a.b.c")]),
        token
    );
    let two = [
        ("sec-websocket-protocol", "xp.v1"),
        ("sec-websocket-protocol", "xp.bearer.a.b.c"),
    ];
    assert_eq!(bearer(&two), token);
    assert_eq!(bearer(&[("authorization", "Basic a.b.c")]), None);
    assert_eq!(bearer(&[]), None);
}

#[test]
fn a_token_in_the_url_is_not_looked_at() {
    let handshake = read(&format!("/v1/board/1?connection={ID}&token=a.b.c")).unwrap();
    assert_eq!(handshake.token, None);
}
