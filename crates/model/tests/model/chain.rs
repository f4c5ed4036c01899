//! Attempts, fall-back and the deadline, on a clock that stands still but for waiting.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use agent::{Prompt, Usage};
use async_trait::async_trait;
use model::{Chain, Completion, Error, Kind, Link, Model, Progress};
use tokio::time::{self, Instant};

use crate::setup::{RETRY, UNHEARD, prompt};

/// A model that does as it is told; told nothing more, it never answers.
struct Double {
    name: &'static str,
    acts: Mutex<VecDeque<Kind>>,
    answers: bool,
    asked: Mutex<Vec<Instant>>,
}

impl Double {
    fn failing(name: &'static str, acts: &[Kind]) -> Arc<Self> {
        Arc::new(Self {
            name,
            acts: Mutex::new(acts.to_vec().into()),
            answers: false,
            asked: Mutex::default(),
        })
    }

    fn answering_after(name: &'static str, acts: &[Kind]) -> Arc<Self> {
        Arc::new(Self {
            name,
            acts: Mutex::new(acts.to_vec().into()),
            answers: true,
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> Vec<Instant> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Model for Double {
    fn name(&self) -> &str {
        self.name
    }

    async fn complete(&self, _: &Prompt, progress: Progress<'_>) -> Result<Completion, Error> {
        progress(self.name);
        self.asked.lock().unwrap().push(Instant::now());
        let act = self.acts.lock().unwrap().pop_front();
        match act {
            Some(kind) => Err(Error::new(kind, format!("{}: no", self.name))),
            None if self.answers => Ok(Completion {
                text: self.name.into(),
                truncated: false,
                usage: Usage { input: 5, output: 2, ms: 1, calls: 1 },
                model: self.name.into(),
                note: None,
            }),
            None => std::future::pending().await,
        }
    }
}

fn chain(models: &[&Arc<Double>]) -> Chain {
    let links = models.iter().map(|model| Link { model: Arc::clone(model) as Arc<dyn Model>, attempts: 3 });
    Chain::new(links.collect(), Duration::from_secs(60), Duration::from_secs(20))
}

fn after(seconds: u64) -> Kind {
    Kind::Retry { after: Some(Duration::from_secs(seconds)) }
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_with_growing_waits() {
    let model = Double::answering_after("a", &[RETRY, RETRY]);
    let completion = chain(&[&model]).complete(&prompt(), UNHEARD).await.unwrap();
    assert_eq!(completion.usage.calls, 3);
    let asked = model.asked();
    let waits = [asked[1] - asked[0], asked[2] - asked[1]];
    assert!((250..=501).contains(&waits[0].as_millis()), "{waits:?}");
    assert!((500..=1_001).contains(&waits[1].as_millis()), "{waits:?}");
    assert!(completion.usage.ms >= 750);
}

#[tokio::test(start_paused = true)]
async fn the_next_is_asked_when_attempts_are_used_up_or_useless() {
    for (acts, tries) in [
        (vec![RETRY, RETRY, RETRY], 3),
        (vec![Kind::Unauthorized], 1),
        (vec![Kind::Refused], 1),
        (vec![Kind::TooLong], 1),
        (vec![RETRY, Kind::Refused], 2),
        // Waiting longer than allowed is left to others.
        (vec![after(21)], 1),
    ] {
        let (first, second) = (Double::failing("a", &acts), Double::answering_after("b", &[]));
        let completion = chain(&[&first, &second]).complete(&prompt(), UNHEARD).await.unwrap();
        assert_eq!(completion.text, "b");
        assert_eq!(first.asked().len(), tries, "{acts:?}");
        assert_eq!(completion.usage.calls as usize, tries + 1, "{acts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_not_asked_before_the_time_it_names() {
    let model = Double::answering_after("a", &[after(15)]);
    chain(&[&model]).complete(&prompt(), UNHEARD).await.unwrap();
    let asked = model.asked();
    assert!((15_000..=15_501).contains(&(asked[1] - asked[0]).as_millis()));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_it_all() {
    let (stuck, next) = (Double::failing("a", &[]), Double::answering_after("b", &[]));
    let started = Instant::now();
    let error = chain(&[&stuck, &next]).complete(&prompt(), UNHEARD).await.unwrap_err();
    assert_eq!((error.kind, started.elapsed()), (RETRY, Duration::from_secs(60)));
    assert!(next.asked().is_empty());
    // A wait that would end after the deadline is not begun.
    let busy = Double::failing("a", &[after(19), after(19), after(19), after(19)]);
    let links = vec![Link { model: Arc::clone(&busy) as Arc<dyn Model>, attempts: 9 }];
    let started = Instant::now();
    let error = Chain::new(links, Duration::from_secs(60), Duration::from_secs(20))
        .complete(&prompt(), UNHEARD)
        .await
        .unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    assert_eq!((error.kind, error.calls, busy.asked().len()), (after(19), 4, 4));
}

#[tokio::test(start_paused = true)]
async fn the_error_of_all_says_what_helps() {
    for (first, second, expected) in [
        (Kind::Unauthorized, after(30), after(30)),
        (after(40), after(30), after(30)),
        (Kind::Unauthorized, Kind::TooLong, Kind::TooLong),
        (Kind::Unauthorized, Kind::Refused, Kind::Unauthorized),
        (Kind::Refused, Kind::Unauthorized, Kind::Refused),
    ] {
        let (a, b) = (Double::failing("a", &[first]), Double::failing("b", &[second]));
        let error = chain(&[&a, &b]).complete(&prompt(), UNHEARD).await.unwrap_err();
        assert_eq!((error.kind, error.calls), (expected, 2));
        assert_eq!(error.what, "a: no; b: no");
    }
    let error = Chain::new(vec![], Duration::from_secs(1), Duration::ZERO)
        .complete(&prompt(), UNHEARD)
        .await
        .unwrap_err();
    assert_eq!((error.kind, error.calls), (Kind::Refused, 0));
}

#[tokio::test(start_paused = true)]
async fn a_time_beyond_reason_does_no_harm() {
    let model = Double::failing("a", &[Kind::Retry { after: Some(Duration::MAX) }]);
    let links = vec![Link { model: Arc::clone(&model) as Arc<dyn Model>, attempts: 3 }];
    let error = Chain::new(links, Duration::from_secs(60), Duration::MAX)
        .complete(&prompt(), UNHEARD)
        .await
        .unwrap_err();
    assert_eq!(error.calls, 1);
    time::advance(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_begins_anew_says_so() {
    let (first, second) = (Double::failing("a", &[RETRY, RETRY, RETRY]), Double::answering_after("b", &[]));
    let heard = Mutex::new(Vec::new());
    let progress = |output: &str| heard.lock().unwrap().push(output.to_owned());
    chain(&[&first, &second]).complete(&prompt(), &progress).await.unwrap();
    assert_eq!(heard.into_inner().unwrap(), ["a", "", "a", "", "a", "", "b"]);
}
