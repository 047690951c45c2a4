//! A typed decision becomes bytes.

use bytes::{BufMut, Bytes, BytesMut};
use xp_protocol::{Address, ConnectionId, TimeMs};

use super::guard::catch;
use crate::entity::{
    AskDraft, Decision, Entity, Given, Roster, Showing, TellDraft, TicketAnswer, TimerSetting, To,
    answer_json,
};
use crate::host::{Audience, Decided, Fault, Outcome, Reply, Show, Tell};
use crate::word::{Codec, DefaultWord, Unreadable, Word};

pub(super) fn decision<E: Entity>(
    decision: Decision<E>,
    roster: &Roster<E::Claims>,
) -> Result<Decided, Fault> {
    if decision.ends {
        leaves_nothing(&decision)?;
    }
    if let Some(misuse) = decision.misuse {
        return Err(Fault::Misuse(misuse));
    }
    let event_count = u32::try_from(decision.events.len()).map_err(|_| {
        Fault::Misuse("one decision records more than four billion events".to_owned())
    })?;
    Ok(Decided {
        events: if event_count == 0 {
            Bytes::new()
        } else {
            sequence::<E, _>("event", &decision.events)?
        },
        event_count,
        reply: given::<E>(decision.given)?,
        answers: decision
            .answers
            .into_iter()
            .map(|(ticket, answer)| Ok((ticket.0, outcome::<E>(&answer)?)))
            .collect::<Result<_, Fault>>()?,
        shows: decision
            .shows
            .into_iter()
            .filter_map(|showing| show::<E>(showing, roster).transpose())
            .collect::<Result<_, _>>()?,
        tells: decision
            .tells
            .into_iter()
            .map(tell)
            .collect::<Result<_, _>>()?,
        timers: decision
            .timers
            .into_iter()
            .map(timer)
            .collect::<Result<_, _>>()?,
        terminate: decision
            .terminate
            .iter()
            .flat_map(|to| connections(to, roster))
            .collect(),
        ends: decision.ends,
    })
}

/// Of an entity that ends nothing is left that could hear a timer or an answer, or give one later.
fn leaves_nothing<E: Entity>(decision: &Decision<E>) -> Result<(), Fault> {
    let asks = decision.tells.iter().any(|told| told.asked.is_some());
    let sets = decision.timers.iter().any(|(_, set)| set.is_some());
    let forbidden = [
        (asks, "asks another entity; `tell` it instead"),
        (sets, "sets a timer, which would find nobody"),
        (
            matches!(decision.given, Some(Given::Later)),
            "puts its answer off; answer now",
        ),
    ];
    match forbidden.iter().find(|(is_done, _)| *is_done) {
        None => Ok(()),
        Some((_, what)) => Err(Fault::Misuse(format!(
            "a decision that ends its entity {what}"
        ))),
    }
}

/// The domain's no, which records nothing.
pub(super) fn refused<E: Entity>(no: &E::Rejection) -> Result<Decided, Fault> {
    Ok(Decided {
        events: Bytes::new(),
        event_count: 0,
        reply: Reply::Now(Outcome::Rejection(rejection::<E>(no)?)),
        answers: Vec::new(),
        shows: Vec::new(),
        tells: Vec::new(),
        timers: Vec::new(),
        terminate: Vec::new(),
        ends: false,
    })
}

pub(super) fn reply<E: Entity>(word: &E::Reply) -> Result<Bytes, Fault> {
    write("reply", word, E::CODEC)
}

pub(super) fn rejection<E: Entity>(word: &E::Rejection) -> Result<Bytes, Fault> {
    write("rejection", word, E::CODEC)
}

pub(super) fn sequence<E: Entity, W: Word>(
    what: &'static str,
    words: &[W],
) -> Result<Bytes, Fault> {
    let encoded = words
        .iter()
        .map(|word| write(what, word, E::CODEC))
        .collect::<Result<Vec<_>, _>>()?;
    let slices: Vec<&[u8]> = encoded.iter().map(AsRef::as_ref).collect();
    Ok(E::CODEC.join(&slices).into())
}

fn write<W: Word>(what: &'static str, word: &W, codec: Codec) -> Result<Bytes, Fault> {
    catch("serialize", || word.write(codec))?
        .map(Bytes::from)
        .map_err(|error| Fault::Misuse(format!("{what} that cannot be written: {error}")))
}

fn outcome<E: Entity>(answer: &TicketAnswer<E>) -> Result<Outcome, Fault> {
    Ok(match answer {
        Ok(word) => Outcome::Reply(reply::<E>(word)?),
        Err(word) => Outcome::Rejection(rejection::<E>(word)?),
    })
}

fn given<E: Entity>(given: Option<Given<E>>) -> Result<Reply, Fault> {
    Ok(match given {
        None => Reply::Now(Outcome::Reply(reply::<E>(&E::Reply::unsaid())?)),
        Some(Given::Reply(word)) => Reply::Now(Outcome::Reply(reply::<E>(&word)?)),
        Some(Given::Rejection(word)) => Reply::Now(Outcome::Rejection(rejection::<E>(&word)?)),
        Some(Given::Later) => Reply::Later,
    })
}

/// Who a subject is, is settled now: `None` when nobody would see it.
fn show<E: Entity>(
    showing: Showing<E::Output>,
    roster: &Roster<E::Claims>,
) -> Result<Option<Show>, Fault> {
    let to = match &showing.to {
        To::Everybody => Audience::Everybody,
        To::Except(connection) => Audience::Except(*connection),
        only @ (To::Connection(_) | To::Subject(_)) => Audience::Only(connections(only, roster)),
    };
    if to == Audience::Only(Vec::new()) {
        return Ok(None);
    }
    let output = write("output", &showing.output, E::CODEC)?;
    Ok(Some(Show {
        to,
        output,
        volatile: showing.volatile,
    }))
}

fn connections<C>(to: &To, roster: &Roster<C>) -> Vec<ConnectionId> {
    let everybody = roster.everybody();
    let chosen = everybody.filter(|(connection, subject)| match to {
        To::Connection(only) => connection == only,
        To::Subject(only) => subject == only,
        To::Everybody => true,
        To::Except(other) => connection != other,
    });
    chosen.map(|(connection, _)| connection).collect()
}

fn timer<S: Word>(
    (name, set): (String, TimerSetting<S>),
) -> Result<(String, Option<(TimeMs, Bytes)>), Fault> {
    let set = set
        .map(|(due, signal)| Ok((due, write("signal", &signal, Codec::Json)?)))
        .transpose()?;
    Ok((name, set))
}

fn tell<S: Word>(told: TellDraft<S>) -> Result<Tell, Fault> {
    let continuation = told
        .asked
        .map(|asked| continuation(&asked, &told.to))
        .transpose()?;
    Ok(Tell {
        to: told.to,
        signal: told.signal,
        continuation,
    })
}

/// The signal's JSON without the marker, after the position where the answer goes and how it is written:
/// one byte for the codec, four for the position, little-endian.
fn continuation<S: Word>(asked: &AskDraft<S>, to: &Address) -> Result<Bytes, Fault> {
    let json = write("signal", &asked.signal, Codec::Json)?;
    let marker = format!("{:?}", asked.marker);
    let text = std::str::from_utf8(&json).expect("JSON is UTF-8");
    let (before, after) = text.split_once(&marker).filter(|(_, after)| !after.contains(&marker)).ok_or_else(|| {
        Fault::Misuse(format!(
            "the closure of an `ask` to {to} must put its answer into the signal that it returns, once"
        ))
    })?;
    let at = u32::try_from(before.len())
        .map_err(|_| Fault::Misuse(format!("the signal for {to}'s answer is over 4 GiB")))?;
    let mut bytes = BytesMut::with_capacity(5 + before.len() + after.len());
    bytes.put_u8(u8::from(asked.codec.is_text()));
    bytes.put_u32_le(at);
    bytes.extend_from_slice(before.as_bytes());
    bytes.extend_from_slice(after.as_bytes());
    Ok(bytes.freeze())
}

/// The signal's JSON with the answer in its place.
pub(super) fn resume(continuation: &[u8], outcome: &Outcome) -> Result<Vec<u8>, Unreadable> {
    let damaged = || Unreadable::new("what `ask` left behind is damaged");
    let (&is_text, rest) = continuation.split_first().ok_or_else(damaged)?;
    let (at, json) = rest.split_first_chunk().ok_or_else(damaged)?;
    let at = u32::from_le_bytes(*at) as usize;
    let (before, after) = json.split_at_checked(at).ok_or_else(damaged)?;
    let codec = if is_text == 1 {
        Codec::Json
    } else {
        Codec::Binary
    };
    Ok([before, &answer_json(outcome, codec)?, after].concat())
}
