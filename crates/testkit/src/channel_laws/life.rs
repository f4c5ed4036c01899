//! How a channel lives: it says how it is, comes back by itself, and ends when it is told to.

use std::{error::Error as _, time::Duration};

use channel::{Address, Content, Error, HealthState, Place, Signal};
use tokio::time::Instant;

use super::{Bench, Rig, card, says};

/// Up when it listens, down with a reason while the platform is away, and up again by itself; what was said after that
/// comes in.
pub async fn it_says_how_it_is(rig: Box<dyn Rig>) {
    let mut bench = Bench::new(rig).await;
    let can = bench.channel.capabilities();
    if bench.rig.away(true).await {
        let down = bench.is(|state| matches!(state, HealthState::Down { .. })).await;
        let HealthState::Down { why } = down else { unreachable!("it is down") };
        assert!(why.len() > 10, "`{why}` says nothing");
        bench.rig.away(false).await;
        bench.is(|state| *state == HealthState::Up).await;
    }
    bench.hears("Are you there?").await;
    // On a busy machine one of several connections may be given up just then, and made again.
    bench.is(|state| *state == HealthState::Up).await;
    assert_eq!(bench.channel.capabilities(), can, "what it can do is constant");
    bench.stop().await;
}

/// Whatever it does, it ends within five seconds.
pub async fn a_stop_ends_listening(rig: Box<dyn Rig>) {
    let mut bench = Bench::new(rig).await;
    let quick = |took: Duration, doing: &str| {
        assert!(took < Duration::from_secs(5), "it took {took:?} to stop {doing}");
    };
    quick(bench.stop().await, "waiting");

    bench.listen().await;
    bench.inbox.away(true);
    let gesture = bench.rig.says("nobody takes this").await;
    bench.is_held_up(&gesture).await;
    quick(bench.stop().await, "while the gateway takes nothing");
    bench.inbox.away(false);

    bench.listen().await;
    if bench.rig.away(true).await {
        bench.is(|state| matches!(state, HealthState::Down { .. })).await;
        quick(bench.stop().await, "while the platform is away");
    }
}

/// Typing is shown at once or not at all, at any place, whatever the platform does.
pub async fn a_sign_of_life_never_holds_up(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    let (_, inbound) = bench.hears("hello").await;
    let nowhere = Address { channel: bench.rig.name(), place: Place::new("nowhere") };
    for away in [false, true] {
        if away && !bench.rig.away(true).await {
            return;
        }
        for at in [&inbound.at, &nowhere] {
            for signal in [
                Signal::Working,
                Signal::Writing { text: "so far".to_owned() },
                Signal::Waiting,
                Signal::Done,
            ] {
                let began = Instant::now();
                bench.channel.signal(at, inbound.message.as_ref(), signal).await;
                assert!(began.elapsed() < Duration::from_secs(2), "it took {:?}", began.elapsed());
            }
        }
    }
}

/// No error, however it is printed, and no reason for being down shows what the channel was trusted with.
pub async fn no_secret_shows(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    let mut words = Vec::new();
    let mut note = |error: &Error| {
        words.push(format!("{error} {error:?}"));
        let mut source = error.source();
        while let Some(cause) = source {
            words.push(format!("{cause} {cause:?}"));
            source = cause.source();
        }
    };
    let place = bench.channel.place(&bench.rig.contact()).expect("the person is a contact");
    let contents = || [says("words"), Content::Card(card("k3fj2m9qx7ab4c5d-1.3.aaaaaaaaaaaaaaaa"))];
    for secret in bench.rig.secrets() {
        for contact in [secret.clone(), format!("{secret}@{secret}"), String::new()] {
            if let Err(error) = bench.channel.place(&contact) {
                // Who writes a secret where a name belongs sees it again; everybody else does not.
                note(&Error::new(error.kind, error.to_string().replace(&contact, "")));
            }
        }
    }
    for content in contents() {
        if let Err(error) = bench.attempts(&bench.outgoing(&Place::new("nowhere"), content), 1, None).await {
            note(&error);
        }
    }
    let mut reasons = Vec::new();
    if bench.rig.away(true).await {
        for content in contents() {
            let error = bench.attempts(&bench.outgoing(&place, content), 1, None).await;
            note(&error.expect_err("the platform is away"));
        }
        let down = bench.is(|state| matches!(state, HealthState::Down { .. })).await;
        reasons.push(format!("{down:?}"));
    }
    words.extend(reasons);
    assert!(!words.is_empty());
    for secret in bench.rig.secrets() {
        for said in &words {
            assert!(!said.contains(&secret), "the secret shows in: {}", said.replace(&secret, "***"));
        }
    }
}
