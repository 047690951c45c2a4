use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Event {
    Drawn { points: Vec<(i32, i32)>, by: String },
    Cleared,
}

fn words() -> [Event; 3] {
    let drawn = Event::Drawn {
        points: vec![(-1, 300), (70_000, 0)],
        by: "Ünal \"x\"".into(),
    };
    [
        drawn,
        Event::Cleared,
        Event::Drawn {
            points: vec![],
            by: String::new(),
        },
    ]
}

#[test]
fn words_survive_a_sequence_in_both_codecs() {
    for codec in [Codec::Json, Codec::Binary] {
        let encoded: Vec<Vec<u8>> = words()
            .iter()
            .map(|word| codec.write(word).unwrap())
            .collect();
        for count in 0..=encoded.len() {
            let slices: Vec<&[u8]> = encoded[..count].iter().map(AsRef::as_ref).collect();
            let sequence = codec.join(&slices);
            assert_eq!(codec.split(&sequence).unwrap(), slices, "{codec:?}");
        }
        let read: Vec<Event> = encoded
            .iter()
            .map(|bytes| codec.read(bytes).unwrap())
            .collect();
        assert_eq!(read, words(), "{codec:?}");
    }
}

#[test]
fn a_json_sequence_is_a_plain_array_with_or_without_blanks() {
    assert_eq!(Codec::Json.join(&[b"1", b"[2]"]), b"[1,[2]]");
    assert_eq!(
        Codec::Json.split(b" [ 1 , {\"a\":[2]} ] ").unwrap(),
        [b"1".as_slice(), b"{\"a\":[2]}"]
    );
}

#[test]
fn bytes_behind_the_end_are_no_part_of_a_word() {
    for codec in [Codec::Json, Codec::Binary] {
        let mut bytes = codec.write(&7u32).unwrap();
        bytes.push(b'1');
        bytes.push(b' ');
        bytes.push(b'x');
        assert!(codec.read::<u32>(&bytes).is_err(), "{codec:?}");
        let mut sequence = codec.join(&[b"1"]);
        sequence.push(b'x');
        assert!(codec.split(&sequence).is_err(), "{codec:?}");
    }
}

/// A length of 2^62 must not be allocated: that would end the process and not the message.
#[test]
fn a_length_that_no_frame_can_have_is_unreadable() {
    let huge = [253, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 2, 3];
    assert!(Codec::Binary.read::<String>(&huge).is_err());
    assert!(Codec::Binary.read::<Vec<u64>>(&huge).is_err());
    assert!(Codec::Binary.read::<Vec<u8>>(&huge).is_err());
    assert!(Codec::Binary.split(&huge).is_err());
    assert!(<String as State>::load(Codec::Binary, &huge).is_err());
    let list_of_huge = [&[1], huge.as_slice()].concat();
    assert!(Codec::Binary.split(&list_of_huge).is_err());
}

#[test]
fn damaged_words_are_unreadable_or_other_words_but_never_a_panic() {
    for seed in 0..2_000 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut bytes = vec![0; (random.next_u32() % 40) as usize];
        random.fill_bytes(&mut bytes);
        for codec in [Codec::Json, Codec::Binary] {
            if let Ok(event) = codec.read::<Event>(&bytes) {
                let again = codec.read::<Event>(&codec.write(&event).unwrap()).unwrap();
                assert_eq!(again, event, "seed {seed}");
            }
            if let Ok(words) = codec.split(&bytes) {
                assert_eq!(
                    codec.split(&codec.join(&words)).unwrap(),
                    words,
                    "seed {seed}"
                );
            }
        }
    }
}

#[test]
fn nobody_can_say_what_has_no_words() {
    let error = Codec::Json.read::<Never>(b"{}").unwrap_err().to_string();
    assert!(error.contains("no such words at all"), "{error}");
    assert!(Codec::Binary.read::<Never>(&[0]).is_err());
}

#[test]
fn floats_come_back_to_the_last_bit() {
    for seed in 0..2_000 {
        let float = f64::from_bits(ChaCha8Rng::seed_from_u64(seed).next_u64());
        if float.is_finite() {
            let json = Codec::Json.write(&float).unwrap();
            assert_eq!(
                Codec::Json.read::<f64>(&json).unwrap().to_bits(),
                float.to_bits(),
                "seed {seed}"
            );
        }
    }
}

#[test]
fn a_state_larger_than_any_word_still_loads() {
    let state = vec![7u8; BINARY_WORD_BYTES_MAX + 1];
    let mut saved = Vec::new();
    state.save(Codec::Binary, &mut saved).unwrap();
    assert!(Codec::Binary.read::<Vec<u8>>(&saved).is_err());
    assert_eq!(
        <Vec<u8> as State>::load(Codec::Binary, &saved).unwrap(),
        state
    );
}

/// As JSON it would be `null`, and come back as no number, or as none at all.
#[test]
fn a_state_with_a_float_that_is_no_number_has_no_json_form() {
    #[derive(Default, Serialize, Deserialize)]
    struct Level {
        at: Vec<Option<f32>>,
    }
    let save = |codec, at| {
        let mut into = Vec::new();
        <Level as State>::save(&Level { at }, codec, &mut into)
    };
    assert!(save(Codec::Json, vec![None, Some(1.5)]).is_ok());
    let refused = save(Codec::Json, vec![Some(f32::NAN)])
        .unwrap_err()
        .to_string();
    assert!(refused.contains("NaN"), "{refused}");
    assert!(save(Codec::Json, vec![Some(f32::INFINITY)]).is_err());
    assert!(save(Codec::Binary, vec![Some(f32::NAN)]).is_ok());
}
