//! `switchboard check --connect`: every channel connects once, and says what it found.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use channel::{Channel, ChannelName};

/// How long one channel may take: a server that takes the connection and says nothing is waited for no longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// What the channels said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Connected {
    /// What was found, a line each with the channel's name.
    pub(crate) found: Vec<String>,
    /// What is wrong, with its remedy; the same.
    pub(crate) wrong: Vec<String>,
}

/// Connects all channels at the same time, and tells of them in the order of their names.
pub(crate) async fn connect(channels: &BTreeMap<ChannelName, Arc<dyn Channel>>) -> Connected {
    // In tasks of their own, so that a channel that panics is told like any other fault.
    let begin = |channel: &Arc<dyn Channel>| {
        let channel = channel.clone();
        tokio::spawn(async move { tokio::time::timeout(CONNECT_TIMEOUT, channel.check()).await })
    };
    let checks: Vec<_> = channels.iter().map(|(name, channel)| (name, begin(channel))).collect();
    let mut connected = Connected::default();
    for (name, check) in checks {
        let (found, wrong) = match check.await {
            Ok(Ok(Ok(found))) if found.is_empty() => (vec!["connected".to_owned()], Vec::new()),
            Ok(Ok(Ok(found))) => (found, Vec::new()),
            Ok(Ok(Err(errors))) => (Vec::new(), errors.iter().map(ToString::to_string).collect()),
            Ok(Err(_)) => (Vec::new(), vec![silence()]),
            Err(error) => (Vec::new(), vec![format!("a fault in the channel itself: {error}")]),
        };
        connected.found.extend(found.iter().map(|line| format!("{name}: {line}")));
        connected.wrong.extend(wrong.iter().map(|line| format!("{name}: {line}")));
    }
    connected
}

fn silence() -> String {
    let limit = CONNECT_TIMEOUT.as_secs();
    format!(
        "it did not come to an end within {limit} s (is the address right, does a firewall let it through?)"
    )
}

#[cfg(test)]
mod tests {
    use testkit::doubles::{ChannelDouble, Play};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_channel_is_told_and_none_is_waited_for_for_long() {
        let names = ["a", "b", "c", "d", "e"];
        let channels: Vec<_> = names.iter().map(|_| ChannelDouble::new()).collect();
        channels[0].checks(Play::hangs());
        channels[1].checks(Play::panics());
        let errors = ["the token is refused", "a scope is missing"];
        let errors = || errors.iter().map(|what| channel::Error::misconfigured(*what, "mend it")).collect();
        channels[2].checks(Play::gives(Ok(vec!["it is there".to_owned()])).after(CONNECT_TIMEOUT / 2));
        channels[4].checks(Play::gives(Err(errors())).after(CONNECT_TIMEOUT / 2));
        let all = names.iter().zip(channels);
        let all = all.map(|(name, channel)| (ChannelName::new(*name), channel as Arc<dyn Channel>)).collect();

        let began = Instant::now();
        let Connected { found, wrong } = connect(&all).await;
        assert!(began.elapsed() <= CONNECT_TIMEOUT, "all at the same time: {:?}", began.elapsed());
        assert_eq!(found, ["c: it is there", "d: connected"]);
        assert!(wrong[0].starts_with("a: it did not come to an end within 20 s"), "{wrong:#?}");
        assert!(wrong[1].starts_with("b: a fault in the channel itself"), "{wrong:#?}");
        let rest = ["e: the token is refused (mend it)", "e: a scope is missing (mend it)"];
        assert_eq!(wrong[2..], rest, "{wrong:#?}");
    }
}
