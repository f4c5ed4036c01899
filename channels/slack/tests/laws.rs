//! What Slack's channel promises, seen from outside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use channel::{Channel, ChannelName, ErrorKind, Kind, Setup};
use channel_slack::{Settings, Slack};
use secrecy::SecretString;

fn open() -> Slack {
    let secret = |name: &str| match name {
        "SLACK_BOT_TOKEN" => Some(SecretString::from("xoxb-x")),
        "SLACK_APP_TOKEN" => Some(SecretString::from("xapp-x")),
        _ => None,
    };
    let setup = Setup { name: ChannelName::new("slack"), folder: Path::new("x"), secret: &secret };
    testkit::init();
    Slack::open(Settings::default(), &setup).unwrap()
}

#[test]
fn a_contact_is_named_by_ids() {
    let slack = open();
    assert_eq!(slack.place("T1/U1").unwrap().as_str(), "T1/@U1");
    let error = slack.place("@ana").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.to_string().contains("T024BE7LD/U012AB3CD"), "{error}");
}
