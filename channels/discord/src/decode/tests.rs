use std::fmt::Write as _;

use channel::InboundKey;

use super::*;

fn us() -> Us {
    Us {
        user: "900".into(),
        application: "901".into(),
        name: "switchboard".into(),
        roles: vec!["902".into()],
    }
}

/// Reads a fixture by the kind that its name begins with.
fn read(name: &str, payload: &Value) -> Decoded {
    let (channel, settings, us) = (ChannelName::new("discord"), Settings::default(), us());
    // 20 is a channel, 21 a thread in it; 22 is not known.
    let room = |id: &str| match id {
        "20" => Some(Room { guild: "10".into(), parent: None }),
        "21" => Some(Room { guild: "10".into(), parent: Some("20".into()) }),
        _ => None,
    };
    let reader = Reader { channel: &channel, settings: &settings, us: &us, room: &room };
    let spot = Spot::Person("7".into());
    match name.split('_').next() {
        Some("message") => message(reader, payload),
        Some("updated") => updated(reader, payload),
        Some("deleted") => deleted(reader, payload, Some(("7", &spot))),
        _ => interaction(reader, payload, Some("Ben: what is this?")),
    }
}

fn told(decoded: &Decoded) -> String {
    let mut told = String::new();
    match decoded {
        Decoded::Gesture(gesture) => {
            let Inbound { keys, from, at, message, in_reply_to, ticket, addressed, facts, body, .. } =
                &gesture.inbound;
            let keys: Vec<&str> = keys.iter().map(InboundKey::as_str).collect();
            let shown = |name: &str, value: String| format!("{name}: {value}\n");
            told += &shown("keys", keys.join("\n      "));
            told += &shown("from", format!("{} {}", from.id, from.name));
            told += &shown("at", at.place.to_string());
            told += &shown("message", format!("{:?}", message.as_ref().map(ToString::to_string)));
            told += &shown("in_reply_to", format!("{:?}", in_reply_to.as_ref().map(ToString::to_string)));
            told += &shown("ticket", format!("{:?}", ticket.as_ref().map(ToString::to_string)));
            told += &shown("addressed", format!("{addressed:?}"));
            told += &shown("facts", format!("{facts:?}"));
            told += &shown("root", format!("{:?}", gesture.root));
            told += &shown("files", format!("{:#?}", gesture.files));
            told += &shown("reply", format!("{:?}", gesture.reply));
            writeln!(told, "body: {body:#?}").unwrap();
        }
        other @ (Decoded::Form(_) | Decoded::Unknown { .. } | Decoded::Nothing(_)) => {
            writeln!(told, "{other:#?}").unwrap();
        }
    }
    told
}

fn fixtures() -> Vec<(String, Value)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/payloads");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    assert!(paths.len() > 25, "the payloads are not where they should be");
    let read = |path: &std::path::PathBuf| {
        let payload = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        (path.file_stem().unwrap().to_string_lossy().into_owned(), payload)
    };
    paths.iter().map(read).collect()
}

/// Shapes as Discord's documentation shows them, and some that it does not.
#[test]
fn every_payload_is_read_as_its_snapshot_says() {
    insta::with_settings!({ snapshot_path => "../../tests/payloads", prepend_module_to_snapshot => false }, {
        for (name, payload) in fixtures() {
            insta::assert_snapshot!(name.clone(), told(&read(&name, &payload)));
        }
    });
}

/// Fields that are cut out, or of another kind, cost the payload at most.
#[test]
fn no_broken_payload_breaks_the_reader() {
    for (name, payload) in fixtures() {
        for broken in testkit::payloads::broken(&payload) {
            let _ = told(&read(&name, &broken));
        }
    }
}

#[test]
fn an_id_is_taken_apart_whatever_stands_in_it() {
    assert_eq!(parts("press:o:1:k-1.2.x"), Some(("press", "o:1", "k-1.2.x")));
    assert_eq!(parts("answer::k"), Some(("answer", "", "k")));
    for strange in ["", "press", "press:", "::"] {
        assert!(parts(strange).is_none_or(|(kind, _, _)| kind.is_empty()), "{strange}");
    }
}
