//! How a question stands: where it was asked, who has approved, what is due next. Folded from the log.

use channel::{Address, DeliveryKey, Person, Timestamp};

use crate::{
    directory::Directory,
    event::{AskedAgain, AskedAt, Because, Deferral, Deferring, Question},
    id::{QuestionId, Seq, ThreadId},
};

/// How a question stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Inquiry {
    id: QuestionId,
    /// When it was asked.
    pub(crate) since: Timestamp,
    /// Its cards, in the order they were sent.
    pub(crate) cards: Vec<Posted>,
    /// Who is asked when their quiet hours are over.
    pub(crate) held: Vec<AskedAt>,
    /// Members and groups who may answer beside its first audience.
    pub(crate) audience: Vec<String>,
    /// The approvals so far: places of `voted`.
    pub(crate) votes: Vec<Seq>,
    /// How many reminders there were.
    pub(crate) reminders: usize,
    /// How many rungs of its ladder it has climbed.
    pub(crate) rungs: usize,
    /// Who put it off and was not asked again since.
    pub(crate) snoozed: Vec<Snoozed>,
    /// Who has taken the conversation over that it hands over.
    pub(crate) taken: Option<Taken>,
    /// The event that settled it.
    pub(crate) settled: Option<Seq>,
}

/// Somebody has taken a conversation over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Taken {
    /// With which event.
    pub(crate) seq: Seq,
    /// Where they talk.
    pub(crate) at: Address,
    /// When anybody last said anything.
    pub(crate) last: Timestamp,
    /// Whether they have said anything.
    pub(crate) spoke: bool,
    /// Whether the people of the thread wait for a word of theirs.
    pub(crate) owes: bool,
}

/// A card of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Posted {
    /// The event that it follows from.
    pub(crate) seq: Seq,
    /// Its number among the cards of that event.
    pub(crate) n: usize,
    /// Where it goes.
    pub(crate) asked: AskedAt,
    /// Whether it will never get there.
    pub(crate) lost: bool,
}

/// Somebody put a question off.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snoozed {
    by: Person,
    member: Option<String>,
    at: Address,
    until: Timestamp,
}

/// What is to be done about a question that nobody has settled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Due {
    /// Its time is over.
    Lapse,
    /// It is asked again.
    Again(AskedAgain),
    /// Nothing before then.
    At(Timestamp),
}

impl Posted {
    /// The name of the message.
    pub(crate) fn key(&self, thread: &ThreadId) -> DeliveryKey {
        thread.delivery(self.seq, self.n)
    }
}

impl Inquiry {
    /// A question that was just asked.
    pub(crate) fn new(seq: Seq, question: &Question, since: Timestamp) -> Self {
        let mut inquiry = Self {
            id: QuestionId(seq),
            since,
            cards: Vec::new(),
            held: question.held.clone(),
            audience: Vec::new(),
            votes: Vec::new(),
            reminders: 0,
            rungs: 0,
            snoozed: Vec::new(),
            taken: None,
            settled: None,
        };
        inquiry.post(seq, &question.asked);
        inquiry
    }

    fn post(&mut self, seq: Seq, asked: &[AskedAt]) {
        let cards = asked.iter().enumerate();
        self.cards.extend(cards.map(|(n, asked)| Posted { seq, n, asked: asked.clone(), lost: false }));
    }

    /// It is asked again.
    pub(crate) fn again(&mut self, seq: Seq, again: &AskedAgain) {
        self.post(seq, &again.asked);
        self.audience.extend(again.audience.iter().cloned());
        self.held.extend(again.held.iter().cloned());
        match &again.because {
            Because::Reminder(n) => self.reminders = self.reminders.max(n.saturating_add(1)),
            Because::Rung(n) => self.rungs = self.rungs.max(n.saturating_add(1)),
            Because::Awake(member) => self.held.retain(|held| held.member.as_ref() != Some(member)),
            Because::Snoozed(who) => self.snoozed.retain(|snoozed| snoozed.who() != who),
            Because::Delegated(_) => {}
        }
    }

    /// Somebody did something about it.
    pub(crate) fn deferred(&mut self, seq: Seq, deferral: &Deferral, now: Timestamp) {
        let Deferral { by, member, at, .. } = deferral.clone();
        match deferral.deferring {
            Deferring::Snoozed(until) => {
                let snoozed = Snoozed { by, member, at, until };
                self.snoozed.retain(|other| other.who() != snoozed.who());
                self.snoozed.push(snoozed);
            }
            Deferring::TookOver => {
                self.taken = Some(Taken { seq, at, last: now, spoke: false, owes: true });
            }
            Deferring::AskedBack(_) | Deferring::Delegated(_) => {}
        }
    }

    /// Until when it waits: a conversation that somebody has taken over, for as long after its last word as it waited for them.
    pub(crate) fn until(&self, question: &Question) -> Timestamp {
        let span = question.deadline.duration_since(self.since);
        let extended =
            self.taken.as_ref().map(|taken| taken.last.saturating_add(span).unwrap_or(Timestamp::MAX));
        extended.map_or(question.deadline, |extended| extended.max(question.deadline))
    }

    /// A message will never reach its place.
    pub(crate) fn lost(&mut self, seq: Seq, n: usize) {
        for card in self.cards.iter_mut().filter(|card| card.seq == seq && card.n == n) {
            card.lost = true;
        }
    }

    /// Whether it was asked at this place.
    pub(crate) fn is_asked_at(&self, at: &Address) -> bool {
        self.cards.iter().any(|card| card.asked.at == *at)
    }

    /// What is to be done about it at `now`; `voters` have approved already.
    pub(crate) fn due(
        &self,
        question: &Question,
        directory: &Directory,
        voters: &[&Person],
        now: Timestamp,
    ) -> Due {
        let mut next = self.until(question);
        if next <= now {
            return Due::Lapse;
        }
        if self.taken.is_some() {
            return Due::At(next);
        }
        let again = |because, (asked, held), audience| {
            Due::Again(AskedAgain { question: self.id, because, asked, held, audience })
        };
        if let Some(rung) = question.terms.ladder.get(self.rungs) {
            let at = after(self.since, rung.after);
            let reaches_nobody = self.held.is_empty() && self.cards.iter().all(|card| card.lost);
            if at <= now || reaches_nobody {
                let (places, _) = directory.desk(&rung.desk, &[]);
                let places = directory.with_delegates(places, now);
                let new = places.into_iter().filter(|place| !self.is_asked_at(&place.at)).collect();
                let split = awake(directory, new, question.deadline, now);
                return again(Because::Rung(self.rungs), split, rung.approvers.clone());
            }
            next = next.min(at);
        }
        for held in &self.held {
            let Some(member) = &held.member else { continue };
            match directory.quiet_until(member, now) {
                Some(end) => next = next.min(end),
                None => {
                    return again(
                        Because::Awake(member.clone()),
                        (vec![held.clone()], Vec::new()),
                        Vec::new(),
                    );
                }
            }
        }
        for snoozed in &self.snoozed {
            if snoozed.until <= now {
                let place = AskedAt { at: snoozed.at.clone(), member: snoozed.member.clone() };
                let because = Because::Snoozed(snoozed.who().to_owned());
                return again(because, (vec![place], Vec::new()), Vec::new());
            }
            next = next.min(snoozed.until);
        }
        if let Some(wait) = question.terms.remind.get(self.reminders) {
            let at = after(self.since, *wait);
            if at <= now {
                let split = awake(directory, self.silent(directory, voters), question.deadline, now);
                // Whoever sleeps is not woken by a reminder, and has the card.
                return again(Because::Reminder(self.reminders), (split.0, Vec::new()), Vec::new());
            }
            next = next.min(at);
        }
        Due::At(next)
    }

    /// The places where it was asked and from which nothing came.
    fn silent(&self, directory: &Directory, voters: &[&Person]) -> Vec<AskedAt> {
        let mut places: Vec<AskedAt> = Vec::new();
        for card in self.cards.iter().filter(|card| !card.lost) {
            let asked = &card.asked;
            let voted = asked
                .member
                .as_deref()
                .is_some_and(|member| voters.iter().any(|voter| directory.member(voter) == Some(member)));
            let put_off = self.snoozed.iter().any(|snoozed| snoozed.at == asked.at);
            if !voted && !put_off && !places.iter().any(|place| place.at == asked.at) {
                places.push(asked.clone());
            }
        }
        places
    }
}

impl Snoozed {
    /// Who, by the name of the member or else by the id.
    fn who(&self) -> &str {
        self.member.as_deref().unwrap_or(&self.by.id)
    }
}

/// Those of the places that are asked now, and those whose members have quiet hours and are asked when these are over. Where
/// that would be too late, they are asked now.
pub(crate) fn awake(
    directory: &Directory,
    places: Vec<AskedAt>,
    deadline: Timestamp,
    now: Timestamp,
) -> (Vec<AskedAt>, Vec<AskedAt>) {
    places.into_iter().partition(|place| {
        let quiet = place.member.as_deref().and_then(|member| directory.quiet_until(member, now));
        quiet.is_none_or(|end| end >= deadline)
    })
}

fn after(since: Timestamp, wait: channel::Span) -> Timestamp {
    let wait = jiff::SignedDuration::try_from(wait.0).unwrap_or(jiff::SignedDuration::MAX);
    since.saturating_add(wait).unwrap_or(Timestamp::MAX)
}
