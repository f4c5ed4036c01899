//! The laws of a store. One line makes a test of each for an implementation:
//!
//! ```text
//! testkit::store_laws!(embedded, open);
//!
//! async fn open(clock: Arc<dyn Clock>) -> testkit::store_laws::Opened { … }
//! ```
//!
//! Each law opens a store of its own, empty, on a [`ManualClock`].

pub mod grave;
pub mod hold;
pub mod lease;
pub mod log;
pub mod migrate;
pub mod outbox;
pub mod property;
pub mod rebuild;
pub mod retire;
pub mod wake;

use std::{any::Any, sync::Arc, time::Duration};

use agent::{Event, Home, Record, ThreadId, Version};
use channel::{Address, ChannelName, Content, DeliveryKey, InboundKey, MessageRef, Outgoing, Place, Text};
use store::{Again, Batch, Claim, Clock, Lease, SendState, Sent, SentQuery, Settle, Store, Wanted, Work};

use crate::ManualClock;

/// How long leases last in the laws.
pub const TTL: Duration = Duration::from_secs(30);
/// Longer than [`TTL`].
pub const AFTER_TTL: Duration = Duration::from_secs(31);

/// Makes a module of tests, one a law, for a store.
///
/// `$open` is an `async fn(Arc<dyn Clock>) -> Opened` that makes an empty store.
#[macro_export]
macro_rules! store_laws {
    ($name:ident, $open:expr) => {
        mod $name {
            use super::*;

            $crate::store_laws!(@laws $open, log:
                a_log_reads_back_as_it_was_written,
                an_unknown_thread_is_empty,
                a_batch_without_events_makes_a_thread,
                a_conflict_writes_nothing,
                without_expectation_it_appends,
                a_seen_key_writes_nothing,
                every_key_of_several_counts,
                a_key_named_twice_in_a_batch_is_one_key,
                a_key_is_remembered_for_a_month,
                refusals_come_in_order,
                a_newer_format_stops_the_reader,
                what_would_not_read_back_is_refused,
                what_is_too_large_is_refused,
                one_appender_wins_each_version,
                many_threads_are_written_at_once,
                one_of_many_takes_a_key,
                the_latest_thread_has_the_highest_generation,
                the_last_written_thread_is_listed_first,
                a_value_is_kept_until_it_is_replaced,
                of_many_who_keep_a_value_once_one_does,
                what_is_kept_beside_threads_can_be_listed,
            );
            $crate::store_laws!(@laws $open, lease:
                a_turn_has_one_worker,
                many_workers_share_turns_without_overlap,
                each_taking_raises_the_epoch,
                a_held_lease_commits,
                a_stale_epoch_commits_nothing,
                a_released_lease_commits_nothing,
                an_expired_lease_counts_until_it_is_taken_over,
                a_lease_that_was_taken_over_is_lost,
                a_lease_that_never_was_is_no_fence,
                a_lease_on_another_thing_is_no_fence,
                renewing_keeps_others_away,
                an_expired_lease_that_nobody_took_is_renewed,
            );
            $crate::store_laws!(@laws $open, grave:
                an_attempt_is_counted_until_one_goes_well,
                a_thread_that_gets_on_is_counted_anew,
                a_stuck_thread_is_due_at_its_time_and_counted,
                a_buried_thread_is_due_no_more_and_listed,
                a_wake_digs_up,
                a_wake_during_the_last_attempt_digs_up_at_once,
                a_message_is_never_buried,
                a_lost_lease_buries_nothing,
            );
            $crate::store_laws!(@laws $open, retire:
                a_retired_thread_is_gone_with_its_messages,
                what_is_not_at_rest_is_not_retired,
                a_thread_at_another_version_is_not_retired,
                a_retired_thread_never_comes_again,
                the_names_of_a_retired_thread_s_inbounds_stay,
                one_of_many_retires_a_thread,
                the_thread_written_longest_ago_is_the_oldest,
                what_was_retired_can_be_listed,
            );
            $crate::store_laws!(@laws $open, wake:
                only_a_wake_makes_due,
                a_refused_batch_wakes_nobody,
                what_came_unseen_during_a_lease_makes_due,
                a_bare_wake_during_a_lease_is_not_lost,
                a_wake_that_a_later_worker_saw_is_over,
                a_sleeper_is_due_at_its_time,
                a_sleeper_without_a_time_waits_for_a_wake,
                a_wake_ends_a_sleep,
                a_retry_is_due_at_its_time,
                a_waiting_claim_hears_a_commit,
                a_waiting_claim_hears_a_release,
                a_waiting_claim_sees_work_fall_due,
                a_waiting_claim_gives_up,
                a_dropped_claim_leaves_nothing_leased,
                the_longest_due_comes_first,
                a_claim_takes_no_more_than_it_asked_for,
            );
            $crate::store_laws!(@laws $open, outbox:
                messages_to_one_place_keep_their_order,
                a_leased_message_holds_back_its_place,
                a_waiting_retry_holds_back_its_place,
                places_do_not_wait_for_each_other,
                channels_do_not_share_messages,
                a_message_is_posted_once,
                an_attempt_is_counted_before_it_begins,
                a_dropped_claim_is_no_attempt,
                settling_and_its_record_are_one,
                a_refused_batch_settles_nothing,
                a_lost_lease_settles_nothing,
                a_message_is_settled_once,
                a_dead_message_lets_the_next_through,
                a_message_never_settles_as_waiting,
                a_message_can_settle_and_be_followed_in_one_batch,
                a_message_never_sleeps_for_ever,
                sent_messages_stay,
                a_waiting_claim_hears_a_message,
                a_waiting_claim_hears_the_way_become_free,
            );
            $crate::store_laws!(@laws $open, hold:
                a_right_has_one_holder,
                whoever_has_a_right_keeps_it_by_asking,
                a_right_whose_time_is_over_is_anybody_s,
                a_right_that_is_given_back_is_free_at_once,
                rights_do_not_mix,
                of_many_who_ask_one_gets_the_right,
                a_right_under_too_long_a_name_is_refused,
            );
            $crate::store_laws!(@laws $open, migrate:
                everything_arrives_in_another_store_and_comes_back,
                what_was_retired_is_not_begun_anew_elsewhere,
                a_store_that_is_not_empty_is_not_moved_into,
            );
            $crate::store_laws!(@laws $open, rebuild:
                a_reset_leaves_the_logs_asleep,
                what_is_restored_is_what_it_was,
                every_log_is_listed,
            );
            $crate::store_laws!(@laws $open, property:
                any_history_agrees_with_the_reference,
            );
        }
    };
    (@laws $open:expr, $module:ident: $($law:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                $crate::init();
                $crate::store_laws::$module::$law(&$open).await;
            }
        )*
    };
}

/// A store, and what it needs for as long as it is open (a folder that goes when it is dropped).
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// What it needs.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl Opened {
    /// A store, and what it needs.
    pub fn new(store: impl Store + 'static, keep: impl Any + Send + Sync) -> Self {
        Self { store: Arc::new(store), keep: Box::new(keep) }
    }
}

/// Opens an empty store.
pub trait Open: Sync {
    /// Opens it.
    fn open(&self, clock: Arc<dyn Clock>) -> impl Future<Output = Opened> + Send;
}

impl<F, R> Open for F
where
    F: Fn(Arc<dyn Clock>) -> R + Sync,
    R: Future<Output = Opened> + Send,
{
    fn open(&self, clock: Arc<dyn Clock>) -> impl Future<Output = Opened> + Send {
        self(clock)
    }
}

/// A store under test and its clock.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: ManualClock,
    _keep: Box<dyn Any + Send + Sync>,
}

impl World {
    pub(crate) async fn new(open: &impl Open) -> Self {
        let clock = ManualClock::default();
        let Opened { store, keep } = open.open(Arc::new(clock.clone())).await;
        Self { store, clock, _keep: keep }
    }

    pub(crate) async fn commit(&self, batch: Batch) -> Version {
        self.store.commit(batch).await.unwrap()
    }

    /// Commits one event, and wakes.
    pub(crate) async fn wake(&self, thread: &ThreadId, what: &str) -> Version {
        self.commit(Batch { records: vec![self.record(what)], wake: true, ..Batch::new(thread.clone()) })
            .await
    }

    /// Commits messages.
    pub(crate) async fn post(&self, thread: &ThreadId, outgoing: &[&Outgoing]) {
        let outgoing = outgoing.iter().map(|o| (*o).clone()).collect();
        self.commit(Batch { outgoing, ..Batch::new(thread.clone()) }).await;
    }

    pub(crate) fn record(&self, what: &str) -> Record {
        Record::new(self.clock.now(), Event::Paused { by: what.to_owned() })
    }

    /// What the events of a thread say.
    pub(crate) async fn story(&self, thread: &ThreadId) -> Vec<String> {
        let records = self.store.load(thread, Version(0)).await.unwrap();
        records.iter().map(words).collect()
    }

    /// Takes turns that are due now.
    pub(crate) async fn turns(&self, max: usize) -> Vec<(ThreadId, Lease)> {
        let work = self.store.claim(turns(max, Duration::ZERO)).await.unwrap();
        work.into_iter().map(turn).collect()
    }

    /// Takes the one turn that is due now.
    pub(crate) async fn turn(&self) -> Lease {
        let mut turns = self.turns(10).await;
        assert_eq!(turns.len(), 1, "turns that are due: {turns:?}");
        turns.remove(0).1
    }

    /// Takes messages of the channel `mail` that are due now.
    pub(crate) async fn sends(&self, max: usize) -> Vec<Taken> {
        let work = self.store.claim(sends("mail", max, Duration::ZERO)).await.unwrap();
        work.into_iter().map(send).collect()
    }

    /// Takes the one message that is due now.
    pub(crate) async fn send(&self) -> Taken {
        let mut sends = self.sends(10).await;
        assert_eq!(sends.len(), 1, "messages that are due: {:?}", texts(&sends));
        sends.remove(0)
    }

    pub(crate) async fn settle(&self, send: &Taken, name: &str) {
        self.commit(settling(send, SendState::Sent, Some(name))).await;
    }

    pub(crate) async fn sleep(&self, lease: &Lease, seen: Version) {
        self.store.release(lease, Again::Sleep { seen, until: None }).await.unwrap();
    }

    pub(crate) async fn by_key(&self, outgoing: &Outgoing) -> Option<Sent> {
        let mut sent = self.store.sent(SentQuery::Key(outgoing.key.clone())).await.unwrap();
        assert!(sent.len() <= 1, "{} messages of one key", sent.len());
        sent.pop()
    }

    /// All that a batch could have changed on a thread and in the outbox, to see that a refused one changed nothing.
    pub(crate) async fn picture(&self, thread: &ThreadId) -> impl PartialEq + std::fmt::Debug + use<> {
        let story = self.story(thread).await;
        let threads = self.store.threads(0, 100).await.unwrap();
        let waiting = self.store.sent(SentQuery::Waiting).await.unwrap();
        (story, threads, waiting)
    }
}

/// A claimed message.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) lease: Lease,
    pub(crate) thread: ThreadId,
    pub(crate) outgoing: Outgoing,
    pub(crate) attempt: u32,
    pub(crate) since: channel::Timestamp,
}

impl Taken {
    pub(crate) fn text(&self) -> &str {
        text(&self.outgoing)
    }
}

pub(crate) fn address(place: &str) -> Address {
    Address { channel: ChannelName::new("mail"), place: Place::new(place) }
}

/// The first thread at a place.
pub(crate) fn thread(place: &str) -> ThreadId {
    ThreadId::new(&Home::of(&address(place)), 1)
}

pub(crate) fn key(text: &str) -> InboundKey {
    InboundKey::new(format!("mail:{text}"))
}

/// A message of the channel `mail`; its text is its key's last part.
pub(crate) fn message(thread: &ThreadId, place: &str, text: &str) -> Outgoing {
    Outgoing {
        key: DeliveryKey::new(format!("{thread}.0.{text}")),
        to: address(place),
        at: ManualClock::default().now(),
        only: None,
        in_reply_to: None,
        amends: None,
        content: Content::Text(Text { markdown: text.to_owned(), note: None }),
        files: Vec::new(),
    }
}

pub(crate) fn text(outgoing: &Outgoing) -> &str {
    match &outgoing.content {
        Content::Text(text) => &text.markdown,
        Content::Card(card) => &card.text,
    }
}

pub(crate) fn texts(sends: &[Taken]) -> Vec<&str> {
    sends.iter().map(Taken::text).collect()
}

/// What a record made by [`World::record`] says.
pub(crate) fn words(record: &Record) -> String {
    serde_json::to_value(&record.event).unwrap()["by"].as_str().unwrap_or_default().to_owned()
}

pub(crate) fn settling(send: &Taken, state: SendState, name: Option<&str>) -> Batch {
    let settle = Settle { lease: send.lease.clone(), state, message: name.map(MessageRef::new) };
    Batch { settle: Some(settle), ..Batch::new(send.thread.clone()) }
}

pub(crate) fn turns(max: usize, wait: Duration) -> Claim {
    Claim { worker: "worker".to_owned(), wanted: Wanted::Turns, max, ttl: TTL, wait }
}

pub(crate) fn sends(channel: &str, max: usize, wait: Duration) -> Claim {
    Claim {
        worker: "worker".to_owned(),
        wanted: Wanted::Sends(ChannelName::new(channel)),
        max,
        ttl: TTL,
        wait,
    }
}

pub(crate) fn turn(work: Work) -> (ThreadId, Lease) {
    match work {
        Work::Turn { lease, thread, .. } => (thread, lease),
        Work::Send { lease, .. } => panic!("a message, where a turn was asked for: {lease:?}"),
    }
}

pub(crate) fn send(work: Work) -> Taken {
    match work {
        Work::Send { lease, thread, outgoing, attempt, since } => {
            Taken { lease, thread, outgoing: *outgoing, attempt, since }
        }
        Work::Turn { lease, .. } => panic!("a turn, where a message was asked for: {lease:?}"),
    }
}

#[cfg(test)]
mod tests {
    /// A law that nobody runs is none.
    #[test]
    fn every_law_stands_in_the_macro() {
        let modules = [
            ("hold", include_str!("store_laws/hold.rs")),
            ("grave", include_str!("store_laws/grave.rs")),
            ("lease", include_str!("store_laws/lease.rs")),
            ("log", include_str!("store_laws/log.rs")),
            ("migrate", include_str!("store_laws/migrate.rs")),
            ("outbox", include_str!("store_laws/outbox.rs")),
            ("property", include_str!("store_laws/property.rs")),
            ("retire", include_str!("store_laws/retire.rs")),
            ("wake", include_str!("store_laws/wake.rs")),
        ];
        for (module, source) in modules {
            for law in source.split("\npub async fn ").skip(1).filter_map(|rest| rest.split('(').next()) {
                let listed = format!("                {law},\n");
                assert!(include_str!("store_laws.rs").contains(&listed), "{module}::{law} is never run");
            }
        }
    }
}
