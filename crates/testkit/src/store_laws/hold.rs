//! Laws of rights to do something alone: one at a time has one, keeps it by asking, and loses it by not asking.

use std::{sync::Arc, time::Duration};

use store::{Error, NAME_MAX};
use tokio::task::JoinSet;

use super::{AFTER_TTL, Open, TTL, World};

const SECOND: Duration = Duration::from_secs(1);

/// While one has a right nobody else gets it, however often they ask.
pub async fn a_right_has_one_holder(open: &impl Open) {
    let world = World::new(open).await;
    assert!(world.holds("listen", "a").await);
    for _ in 0..3 {
        assert!(!world.holds("listen", "b").await);
        assert!(!world.holds("listen", "c").await);
    }
    world.clock.advance(TTL.saturating_sub(SECOND));
    assert!(!world.holds("listen", "b").await, "its time is not over");
}

/// Each asking counts from then on, whether the time before was longer or shorter; the asking of others counts nothing.
pub async fn whoever_has_a_right_keeps_it_by_asking(open: &impl Open) {
    let world = World::new(open).await;
    assert!(world.holds("listen", "a").await);
    for _ in 0..5 {
        world.clock.advance(TTL.saturating_sub(SECOND));
        assert!(!world.holds("listen", "b").await);
        assert!(world.holds("listen", "a").await);
    }
    assert!(world.store.hold("listen", "a", SECOND).await.unwrap());
    world.clock.advance(SECOND * 2);
    assert!(world.holds("listen", "b").await, "the last asking was for a second");
}

/// A right whose time is over is anybody's: the next who asks has it, be it the one who had it, and then nobody else has.
pub async fn a_right_whose_time_is_over_is_anybody_s(open: &impl Open) {
    let world = World::new(open).await;
    assert!(world.holds("listen", "a").await);
    world.clock.advance(AFTER_TTL);
    assert!(world.holds("listen", "b").await);
    assert!(!world.holds("listen", "a").await, "it was lost");
    world.store.let_go("listen", "a").await.unwrap();
    assert!(!world.holds("listen", "c").await, "who lost it has nothing to give back");
    world.clock.advance(AFTER_TTL);
    assert!(world.holds("listen", "b").await, "nobody asked meanwhile");
    assert!(!world.holds("listen", "a").await);
}

/// What is given back can be had at once. Who does not have it gives nothing back.
pub async fn a_right_that_is_given_back_is_free_at_once(open: &impl Open) {
    let world = World::new(open).await;
    world.store.let_go("listen", "a").await.unwrap();
    assert!(world.holds("listen", "a").await);
    world.store.let_go("listen", "b").await.unwrap();
    assert!(!world.holds("listen", "b").await, "it was not theirs to give");
    world.store.let_go("listen", "a").await.unwrap();
    assert!(world.holds("listen", "b").await);
    assert!(!world.holds("listen", "a").await);
    world.store.let_go("listen", "a").await.unwrap();
    assert!(!world.holds("listen", "a").await, "it is another's now");
}

/// Each name is a right of its own, and none is a kept value.
pub async fn rights_do_not_mix(open: &impl Open) {
    let world = World::new(open).await;
    world.store.put("listen/a", b"a value").await.unwrap();
    let names = ["listen", "listen/", "listen/a", "listen/a:b", "LISTEN", "", "*", "line\nline"];
    for (n, name) in names.iter().enumerate() {
        assert!(world.holds(name, &format!("holder {n}")).await, "{name:?}");
    }
    for (n, name) in names.iter().enumerate() {
        assert!(!world.holds(name, "another").await, "{name:?}");
        assert!(world.holds(name, &format!("holder {n}")).await, "{name:?}");
    }
    assert_eq!(world.store.get("listen/a").await.unwrap().as_deref(), Some(&b"a value"[..]));
    assert_eq!(world.store.get("listen").await.unwrap(), None);
    world.store.let_go("listen/a", "holder 2").await.unwrap();
    for name in names {
        assert_eq!(world.holds(name, "another").await, name == "listen/a", "{name:?}");
    }
}

/// Of many who ask at the same time one gets the right: when it is free, when it was given back, and when its time is over.
pub async fn of_many_who_ask_one_gets_the_right(open: &impl Open) {
    let world = World::new(open).await;
    for round in 0..6 {
        let mut asking = JoinSet::new();
        for n in 0..12 {
            let store = Arc::clone(&world.store);
            asking.spawn(async move {
                let by = format!("{round}.{n}");
                store.hold("listen", &by, TTL).await.unwrap().then_some(by)
            });
        }
        let holders: Vec<String> = asking.join_all().await.into_iter().flatten().collect();
        assert_eq!(holders.len(), 1, "in round {round} it was given to {holders:?}");
        if round % 2 == 0 {
            world.store.let_go("listen", &holders[0]).await.unwrap();
        } else {
            world.clock.advance(AFTER_TTL);
        }
    }
}

/// Names have a largest size, as those of values.
pub async fn a_right_under_too_long_a_name_is_refused(open: &impl Open) {
    let world = World::new(open).await;
    let (longest, longer) = ("x".repeat(NAME_MAX), "x".repeat(NAME_MAX + 1));
    assert!(world.holds(&longest, &longest).await);
    for (name, by) in [(&longer, "a"), (&"listen".to_owned(), longer.as_str())] {
        let refusal = world.store.hold(name, by, TTL).await.unwrap_err();
        assert!(matches!(refusal, Error::Refused { .. }), "{refusal}");
        assert!(refusal.to_string().len() < 200, "the error repeats the name");
        assert!(matches!(world.store.let_go(name, by).await, Err(Error::Refused { .. })));
    }
    assert!(world.holds("listen", "a").await);
}

impl World {
    /// Asks for a right.
    async fn holds(&self, name: &str, by: &str) -> bool {
        self.store.hold(name, by, TTL).await.unwrap()
    }
}
