//! Advice to a person at a terminal whose connection is refused or lost.

use xp_client::{End, Lost};
use xp_protocol::CloseCode;

/// Why the client is over, and what to do.
pub(super) fn over(end: &End) -> String {
    match end {
        End::Code(number, _) => format!("{end}{}", to_do(*number)),
        _ => end.to_string(),
    }
}

/// Why nobody waits any longer, after what went wrong last.
pub(super) fn given_up(last: Option<&Lost>) -> String {
    let why = match last {
        Some(Lost::Code(number, said)) => {
            format!("; it was {}", over(&End::Code(*number, said.clone())))
        }
        Some(Lost::Transport(_)) | None => "; is the platform running there?".to_owned(),
    };
    format!("the entity has not accepted this connection in time{why}")
}

fn to_do(number: u16) -> String {
    let Some(code) = CloseCode::from_number(number) else {
        return String::new();
    };
    match code {
        CloseCode::BadToken => {
            ": take a token that the platform accepts, or none, and --data with the directory that `xp dev` uses"
                .to_owned()
        }
        CloseCode::TokenExpired => {
            ": take a fresh token, or none, and --data with the directory that `xp dev` uses"
                .to_owned()
        }
        CloseCode::UnknownAddress => {
            ": nothing of this category is hosted there; `xp dev` prints what is".to_owned()
        }
        other => format!(": docs/codes/{}.md says what that means", other.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_close_says_what_to_do() {
        let said = over(&End::Code(CloseCode::UnknownAddress.number(), "".into()));
        assert_eq!(
            said,
            "closed with 4006 unknown-address: nothing of this category is hosted there; `xp dev` prints what is"
        );
        let said = over(&End::Code(CloseCode::Replaced.number(), "".into()));
        assert!(
            said.ends_with("docs/codes/replaced.md says what that means"),
            "{said}"
        );
    }

    #[test]
    fn who_gives_up_says_what_went_wrong_last() {
        let said = given_up(Some(&Lost::Code(
            CloseCode::TokenExpired.number(),
            "the token ended".into(),
        )));
        assert!(
            said.contains("in time; it was closed with 4404 token-expired (the token ended): take a fresh token"),
            "{said}"
        );
        let said = given_up(Some(&Lost::Transport("refused".into())));
        assert!(said.ends_with("is the platform running there?"), "{said}");
    }
}
