use super::*;

fn network(addr: &str) -> String {
    Network::of(addr.parse().unwrap()).to_string()
}

#[test]
fn an_ipv6_network_of_64_bits_counts_as_one_and_an_ipv4_address_however_it_is_written() {
    assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::7"));
    assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    assert_eq!(network("::ffff:192.0.2.7"), network("192.0.2.7"));
    assert_ne!(network("192.0.2.7"), network("192.0.2.8"));
}

#[test]
fn a_range_holds_its_addresses_and_no_others() {
    for (range, inside, outside) in [
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
        ("10.0.0.0/8", "::ffff:10.0.0.1", "::1"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
        ("::/0", "::1", "127.0.0.1"),
        ("0.0.0.0/0", "203.0.113.1", "::1"),
    ] {
        let range: Range = range.parse().unwrap();
        assert!(range.contains(inside.parse().unwrap()), "{range} {inside}");
        assert!(
            !range.contains(outside.parse().unwrap()),
            "{range} {outside}"
        );
    }
}

#[test]
fn what_is_no_range_is_named() {
    for text in [
        "",
        "10.0.0.0/33",
        "::/129",
        "10.0.0/8",
        "home",
        "10.0.0.0/-1",
    ] {
        let error = text.parse::<Range>().unwrap_err().to_string();
        assert!(error.contains("10.0.0.0/8"), "{error}");
    }
}
