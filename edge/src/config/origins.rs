//! Origins of the configuration: what a browser could send, letter by letter.

/// Why no page can ever have this origin, and what was meant. Browsers send scheme, host and port in small letters, and
/// leave out what goes without saying (RFC 6454, 6.2).
pub(super) fn never_matches(origin: &str) -> Option<String> {
    if matches!(origin, "*" | "null") {
        return None;
    }
    let meant = meant(origin);
    match meant.as_deref() {
        Some(meant) if meant == origin => None,
        Some(meant) => Some(format!("browsers send {meant:?} for it")),
        None => Some("write it as browsers send it, as in \"https://example.org\" or \"http://localhost:3000\": scheme, host in ASCII, and a port unless it is the scheme's own; \"*\" alone stands for every page".to_owned()),
    }
}

/// What a browser would send of a page at this address, if that can be told.
fn meant(written: &str) -> Option<String> {
    let (scheme, rest) = match written.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => ("https".to_owned(), written),
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.to_ascii_lowercase();
    let (host, port) = split_port(&authority);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !is_scheme || !is_host(host) {
        return None;
    }
    match (scheme.as_str(), port) {
        (_, None) | ("https", Some("443")) | ("http", Some("80")) => {
            Some(format!("{scheme}://{host}"))
        }
        (_, Some(port)) => {
            let number: u16 = port.parse().ok()?;
            Some(format!("{scheme}://{host}:{number}"))
        }
    }
}

/// A colon within brackets belongs to the address.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_host(host: &str) -> bool {
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = address {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    !host.is_empty() && host.chars().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for good in [
            "*",
            "null",
            "https://example.org",
            "http://localhost:3000",
            "https://example.org:8443",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "https://xn--bcher-kva.example",
            "chrome-extension://abcdefgh",
            "capacitor://localhost",
        ] {
            assert_eq!(never_matches(good), None, "{good}");
        }
        for (written, meant) in [
            ("https://example.org/", "https://example.org"),
            ("https://example.org/app?x#y", "https://example.org"),
            ("HTTPS://Example.org", "https://example.org"),
            ("https://example.org:443", "https://example.org"),
            ("http://example.org:80", "http://example.org"),
            ("example.org", "https://example.org"),
            ("example.org:8443", "https://example.org:8443"),
            ("https://example.org:08443", "https://example.org:8443"),
        ] {
            let said = never_matches(written).unwrap();
            assert!(said.contains(&format!("{meant:?}")), "{written}: {said}");
        }
        for hopeless in [
            "",
            "https://",
            "https://*.example.org",
            "*.example.org",
            "https://bücher.example",
            "https://example.org:port",
            "https://me@example.org",
            " https://example.org",
            "https://[7]",
        ] {
            let said = never_matches(hopeless).unwrap();
            assert!(said.contains("write it as browsers"), "{hopeless}: {said}");
        }
    }
}
