//! What an inbound becomes: who may answer what, when, and how.

use agent::{
    About, Arrival, Assigned, Audience, Author, Decision, Directory, Event, Evidence, HeardFile, Home, How,
    Named, Outcome, QuestionId, Refusal, Routed, Seq, Thread, ThreadId, Tickets, Why, admit,
};
use channel::{Body, Content, Correlation, Inbound, Person, Ticket};
use serde_json::json;

use crate::support::{
    NATIVE, Story, TICKET, act, agent, ask, at, by_gateway, claimed, directory, home, inbound, no_args,
    place, press, proven, text, user, with_ticket,
};

/// How an inbound names a question: the shell has checked the ticket, if it carries one for this question.
fn named(thread: &Thread, question: QuestionId, inbound: &Inbound) -> About {
    let ticket = inbound.ticket.as_ref().and_then(Tickets::read);
    let genuine = ticket.is_some_and(|(home, of)| home == *thread.id() && of == question);
    About { question, named: if genuine { Named::ByTicket } else { Named::ByReply } }
}

/// Says what an inbound becomes.
pub(crate) fn admitted(
    story: &Story,
    inbound: &Inbound,
    about: Option<QuestionId>,
    correlation: Correlation,
) -> Vec<Event> {
    let about = about.map(|question| named(&story.thread, question, inbound));
    let arrival = Arrival {
        inbound,
        files: Vec::new(),
        rivals: Vec::new(),
        about,
        correlation,
        agent: Some(&story.agent),
        assigned: None,
    };
    admit(&story.directory, &story.thread, arrival, story.now)
}

fn tickets() -> Tickets {
    Tickets::new([3; 32])
}

/// A thread with an open approval at the desk of Ana and Ben.
fn at_desk() -> (Story, QuestionId) {
    let mut story = Story::new(&[]);
    let (id, _) = story.asks_approval("deploy", json!({ "version": "v1" }));
    (story, id)
}

/// A thread with an open approval at home, asked by Ana herself.
fn at_home() -> (Story, QuestionId) {
    let mut story = Story::begin(agent(&[]), proven("web", "ana"), "please");
    let (id, _) = story.asks_approval("deploy", json!({ "version": "v1" }));
    assert_eq!(story.question(id).asked[0].at, home());
    (story, id)
}

fn ana_mail() -> Person {
    proven("mail", "ana@corp.example")
}

fn desk_place() -> channel::Address {
    place("mail", "to:ana@corp.example")
}

fn ticket_of(story: &Story, id: QuestionId) -> Ticket {
    tickets().mint(story.thread.id(), id, &desk_place())
}

/// What it became, in a word.
fn word(events: &[Event]) -> String {
    match events {
        [] => "nothing".into(),
        [Event::Answered(answer)] => match &answer.decision {
            Decision::Approve => "approve".into(),
            Decision::ApproveSome { places, comment } => {
                format!("approve {places:?}, not the others: {comment:?}")
            }
            Decision::ApproveAlike { until } => format!("approve until {until}"),
            Decision::ApproveEdited { args, .. } => format!("approve {args}"),
            Decision::Reject { comment } => format!("reject {}", comment.clone().unwrap_or_default()),
            Decision::Option(n) => format!("option {n}"),
            Decision::Options(places) => format!("options {places:?}"),
            Decision::Form(values) => format!("form {values}"),
            Decision::Text(text) => format!("text {text}"),
            Decision::HandBack { note } => format!("back {}", note.clone().unwrap_or_default()),
            Decision::Done => "done".into(),
        },
        [Event::Refused(refusal)] => format!("refused {:?}", refusal.why),
        [Event::Heard(heard)] => format!("heard {}", heard.text),
        [Event::Undelivered { .. }] => "undelivered".into(),
        _ => format!("{events:?}"),
    }
}

#[test]
fn who_may_approve_and_how() {
    let names = |name: &str| proven("mail", name);
    let (story, id) = at_desk();
    for (from, body, becomes) in [
        // The right person.
        (ana_mail(), text("approve"), "approve"),
        (ana_mail(), text("Approved!\n\nBest,\nAna"), "approve"),
        (names("ben@corp.example"), text("approve"), "approve"),
        (proven("web", "ana"), press("approve", None), "approve"),
        (ana_mail(), text("reject: wrong order"), "reject wrong order"),
        (ana_mail(), press("reject", Some("no")), "reject no"),
        // The wrong person, whatever they say: they learn nothing about the question.
        (names("cleo@corp.example"), text("approve"), "refused NotPermitted"),
        (names("cleo@corp.example"), text("hm?"), "refused NotPermitted"),
        (names("eve@example.com"), text("approve"), "refused NotPermitted"),
        (names("eve@example.com"), press("approve", None), "refused NotPermitted"),
        // The requester is nobody special: this is not their question.
        (user(), press("approve", None), "refused NotPermitted"),
        // Only the immutable id on that very channel counts.
        (proven("web", "ana@corp.example"), text("approve"), "refused NotPermitted"),
        (proven("mail", "ANA@corp.example"), text("approve"), "refused NotPermitted"),
        (Person { name: "Ana".into(), ..names("eve@example.com") }, text("approve"), "refused NotPermitted"),
        // A claimed identity.
        (claimed("mail", "ana@corp.example"), text("approve"), "refused Unverified"),
        (claimed("mail", "ana@corp.example"), press("approve", None), "refused Unverified"),
        (claimed("mail", "eve@example.com"), text("approve"), "refused Unverified"),
        // What is no clear decision.
        (ana_mail(), text("ok but only staging"), "refused Unclear"),
        (ana_mail(), text(""), "refused Unclear"),
        (ana_mail(), press("option-1", None), "refused Unclear"),
        (ana_mail(), press("", None), "refused Unclear"),
    ] {
        let message = with_ticket(inbound(from.clone(), desk_place(), body.clone()), ticket_of(&story, id));
        let events = admitted(&story, &message, Some(id), TICKET);
        assert_eq!(word(&events), becomes, "{} with {body:?}", from.id);
    }
}

#[test]
fn an_answer_says_who_gave_it_and_how() {
    let (story, id) = at_desk();
    let message = with_ticket(inbound(ana_mail(), desk_place(), text(" approve ")), ticket_of(&story, id));
    let events = admitted(&story, &message, Some(id), TICKET);
    let [Event::Answered(answer)] = &events[..] else { panic!("{events:#?}") };
    assert_eq!((answer.question, answer.how, answer.words.as_str()), (id, How::Wrote, " approve "));
    assert_eq!((&answer.by, answer.member.as_deref()), (&ana_mail(), Some("ana")));
    assert_eq!(answer.at, desk_place());
    let events =
        admitted(&story, &inbound(proven("web", "ana"), home(), press("approve", None)), Some(id), NATIVE);
    let [Event::Answered(answer)] = &events[..] else { panic!("{events:#?}") };
    assert_eq!((answer.how, answer.words.as_str()), (How::Pressed, "approve"));
}

#[test]
fn an_approval_counts_once_and_in_time() {
    let (mut story, id) = at_desk();
    let approve = with_ticket(inbound(ana_mail(), desk_place(), text("approve")), ticket_of(&story, id));
    let answer = admitted(&story, &approve, Some(id), TICKET);
    assert_eq!(word(&answer), "approve");
    story.write(answer[0].clone());
    // Twice, by the same person or another.
    assert_eq!(word(&admitted(&story, &approve, Some(id), TICKET)), "refused Settled");
    let other = Inbound { from: proven("mail", "ben@corp.example"), ..approve.clone() };
    assert_eq!(word(&admitted(&story, &other, Some(id), TICKET)), "refused Settled");
    // Who may not answer is not even told that it is over.
    let eve = Inbound { from: proven("mail", "eve@example.com"), ..approve };
    assert_eq!(word(&admitted(&story, &eve, Some(id), TICKET)), "refused NotPermitted");

    // Late: the deadline has passed, whether the log says so already or not.
    let (mut story, id) = at_desk();
    let approve = with_ticket(inbound(ana_mail(), desk_place(), text("approve")), ticket_of(&story, id));
    let deadline = story.question(id).deadline;
    story.now = deadline;
    assert_eq!(word(&admitted(&story, &approve, Some(id), TICKET)), "refused Expired");
    story.record();
    assert_eq!(word(&admitted(&story, &approve, Some(id), TICKET)), "refused Expired");

    // Cancelled.
    let (mut story, id) = at_desk();
    let approve = with_ticket(inbound(ana_mail(), desk_place(), text("approve")), ticket_of(&story, id));
    story.write(Event::Cancelled { by: "ana".into() });
    assert_eq!(word(&admitted(&story, &approve, Some(id), TICKET)), "refused Settled");
}

#[test]
fn where_replies_are_easily_imitated_an_approval_needs_its_ticket() {
    let (story, id) = at_desk();
    let bare = inbound(ana_mail(), desk_place(), text("approve"));
    let genuine = ticket_of(&story, id);
    let other_question = tickets().mint(story.thread.id(), QuestionId(Seq(0)), &desk_place());
    let other_thread = tickets().mint(&ThreadId::new(&Home::of(&desk_place()), 1), id, &desk_place());
    for (ticket, correlation, becomes) in [
        (Some(genuine.clone()), TICKET, "approve"),
        (None, TICKET, "refused NoTicket"),
        (Some(other_question), TICKET, "refused NoTicket"),
        (Some(other_thread), TICKET, "refused NoTicket"),
        (None, NATIVE, "approve"),
    ] {
        let message = Inbound { ticket: ticket.clone(), ..bare.clone() };
        // It names the question otherwise: as a reply to the card, or by standing where only that one is open.
        assert_eq!(word(&admitted(&story, &message, Some(id), correlation)), becomes, "{ticket:?}");
        // A genuine ticket always names it; the shell looked.
        let named = (ticket.as_ref() == Some(&genuine)).then_some(id);
        assert_eq!(word(&admitted(&story, &message, named, correlation)), becomes, "{ticket:?}");
    }
    // What is no decision is simply said, on both.
    let chat = inbound(ana_mail(), desk_place(), text("what is this about?"));
    assert_eq!(word(&admitted(&story, &chat, None, TICKET)), "heard what is this about?");
    assert_eq!(word(&admitted(&story, &chat, None, NATIVE)), "heard what is this about?");
    // A plain question needs no ticket.
    let mut story = Story::new(&[]);
    story.wants(ask("which?", None, &[]));
    let blue = inbound(user(), home(), text("blue"));
    assert_eq!(word(&admitted(&story, &blue, None, TICKET)), "text blue");
}

#[test]
fn a_text_without_a_name_answers_the_only_question_asked_there() {
    let (story, id) = at_home();
    let ana = |words: &str| inbound(proven("web", "ana"), home(), text(words));
    assert_eq!(word(&admitted(&story, &ana("yes"), None, NATIVE)), "approve");
    assert_eq!(word(&admitted(&story, &ana("no"), None, NATIVE)), "reject ");
    assert_eq!(
        word(&admitted(&story, &ana("yes, and also tell me"), None, NATIVE)),
        "heard yes, and also tell me"
    );
    // Somebody else in the same place cannot; nor can it be done from another place.
    let other = inbound(user(), home(), text("yes"));
    assert_eq!(word(&admitted(&story, &other, None, NATIVE)), "refused NotPermitted");
    let other = inbound(claimed("web", "ana"), home(), text("yes"));
    assert_eq!(word(&admitted(&story, &other, None, NATIVE)), "refused Unverified");
    let elsewhere = inbound(proven("web", "ana"), place("web", "page-2"), text("yes"));
    assert_eq!(word(&admitted(&story, &elsewhere, None, NATIVE)), "heard yes");
    assert!(story.thread.settled_by(id).is_none());

    // Two open questions in one place: words alone mean neither, and whoever says them is asked which.
    let (mut story, first) = at_home();
    let mut second = story.question(first).clone();
    second.text = "another".into();
    story.write(Event::Asked(second));
    assert_eq!(word(&admitted(&story, &ana("yes"), None, NATIVE)), "refused Which");
    assert_eq!(word(&admitted(&story, &ana("maybe"), None, NATIVE)), "heard maybe");
    assert_eq!(word(&admitted(&story, &ana("yes"), Some(first), NATIVE)), "approve");
}

#[test]
fn a_press_needs_to_name_its_question() {
    let (story, id) = at_desk();
    let press = inbound(proven("web", "ana"), home(), press("approve", None));
    assert_eq!(word(&admitted(&story, &press, None, NATIVE)), "nothing");
    assert_eq!(word(&admitted(&story, &press, Some(QuestionId(Seq(0))), NATIVE)), "nothing");
    assert_eq!(word(&admitted(&story, &press, Some(QuestionId(Seq(u64::MAX))), NATIVE)), "nothing");
    assert_eq!(word(&admitted(&story, &press, Some(id), NATIVE)), "approve");
    // On a channel of tickets the press itself carries one, or it is none.
    assert_eq!(word(&admitted(&story, &press, Some(id), TICKET)), "refused NoTicket");
}

#[test]
fn a_plain_question_is_for_the_person_who_is_asked() {
    let mut story = Story::new(&[]);
    story.wants(ask("which?", None, &["red", "blue"]));
    let id = story.open();
    let say = |from: Person, body: Body, about: Option<QuestionId>| {
        word(&admitted(&story, &inbound(from, home(), body), about, NATIVE))
    };
    assert_eq!(say(user(), text("Blue."), None), "option 1");
    assert_eq!(say(user(), text("1"), None), "option 0");
    assert_eq!(say(user(), text("green"), None), "text green");
    assert_eq!(say(user(), press("option-2", None), Some(id)), "option 1");
    assert_eq!(say(user(), press("option-3", None), Some(id)), "refused Unclear");
    // A member is not the requester. What they say is heard, unless they claim to answer.
    assert_eq!(say(proven("web", "ana"), text("blue"), None), "heard blue");
    assert_eq!(say(proven("web", "ana"), text("blue"), Some(id)), "refused NotPermitted");
    assert_eq!(say(claimed("web", "ulla"), text("blue"), None), "heard blue");
    assert_eq!(say(claimed("web", "ulla"), text("blue"), Some(id)), "refused Unverified");
    // An old question under which the conversation goes on.
    story.answered(id, Decision::Text("blue".into()));
    let more = inbound(user(), home(), text("or green"));
    assert_eq!(word(&admitted(&story, &more, Some(id), NATIVE)), "heard or green");
}

#[test]
fn files_that_come_with_an_answer_are_seen() {
    let files = vec![HeardFile {
        file: channel::File { name: "a.log".into(), kind: "text/plain".into(), size: 1, hash: "h".into() },
        text: Some("x".into()),
        dropped: None,
    }];
    let admitted = |story: &Story, message: &Inbound, about: Option<QuestionId>| {
        let about = about.map(|question| named(&story.thread, question, message));
        let arrival = Arrival {
            inbound: message,
            files: files.clone(),
            rivals: Vec::new(),
            about,
            correlation: NATIVE,
            agent: None,
            assigned: None,
        };
        admit(&story.directory, &story.thread, arrival, story.now)
    };
    let mut story = Story::new(&[]);
    story.wants(ask("Please send the log.", None, &[]));
    for (words, about) in [("here", None), ("here", Some(story.open())), ("", None), ("", Some(story.open()))]
    {
        let events = admitted(&story, &inbound(user(), home(), text(words)), about);
        let [Event::Heard(heard), Event::Answered(answer)] = &events[..] else { panic!("{events:#?}") };
        assert_eq!(answer.decision, Decision::Text(words.into()));
        assert_eq!((&heard.files, heard.text.as_str(), &heard.from), (&files, "", &user()));
        assert!(heard.message.is_some());
    }
    // From a desk: what is said at home later replies to no message that nobody there has seen.
    let mut story = Story::new(&[]);
    story.wants(ask("Please send the log.", Some("finance"), &[]));
    let cleo =
        inbound(proven("mail", "cleo@corp.example"), place("mail", "to:cleo@corp.example"), text("here"));
    let events = admitted(&story, &cleo, Some(story.open()));
    let [Event::Heard(heard), Event::Answered(_)] = &events[..] else { panic!("{events:#?}") };
    assert_eq!(heard.message, None);
    let before = story.thread.reply_to();
    for event in events {
        story.write(event);
    }
    assert_eq!(story.thread.reply_to(), before);
    // The pictures of a signature below an approval are nothing to the agent.
    let (story, id) = at_home();
    let events = admitted(&story, &inbound(proven("web", "ana"), home(), text("approve")), Some(id));
    assert_eq!(word(&events), "approve");
}

#[test]
fn who_wrote_without_proof_may_answer_their_own_plain_question() {
    // The route lets the unverified talk to the agent: then the same claimed person may say which one.
    let mut story = Story::begin(agent(&[]), claimed("mail", "ulla@example.com"), "please");
    story.wants(ask("which?", None, &[]));
    let answers = |from: Person| word(&admitted(&story, &inbound(from, home(), text("blue")), None, TICKET));
    assert_eq!(answers(claimed("mail", "ulla@example.com")), "text blue");
    assert_eq!(answers(proven("mail", "ulla@example.com")), "text blue");
    assert_eq!(answers(claimed("mail", "eve@example.com")), "heard blue");
    assert_eq!(answers(claimed("web", "ulla@example.com")), "heard blue");
}

#[test]
fn what_became_of_a_call_is_guarded_like_an_approval() {
    let mut story = Story::new(&[]);
    let call = agent::CallId(story.thought(act("poke", no_args())));
    story.started(call, "poke", &no_args());
    story.acted(call, Outcome::Unknown { why: "cut".into() });
    story.record();
    let id = story.open();
    let bare = |from: Person, words: &str| inbound(from, desk_place(), text(words));
    let said = |from: Person, words: &str| with_ticket(bare(from, words), ticket_of(&story, id));
    let becomes = |message: &Inbound| word(&admitted(&story, message, Some(id), TICKET));
    assert_eq!(becomes(&said(ana_mail(), "It happened.")), "option 0");
    assert_eq!(becomes(&said(ana_mail(), "2")), "option 1");
    assert_eq!(becomes(&said(ana_mail(), "yes")), "refused Unclear");
    assert_eq!(becomes(&said(claimed("mail", "ana@corp.example"), "2")), "refused Unverified");
    assert_eq!(becomes(&said(proven("mail", "eve@example.com"), "2")), "refused NotPermitted");
    assert_eq!(becomes(&said(user(), "2")), "refused NotPermitted");
    assert_eq!(becomes(&bare(ana_mail(), "2")), "refused NoTicket");
}

#[test]
fn what_is_said_begins_a_request_once() {
    let story = Story::with(agent(&[]));
    let routed = Routed { home: home(), agent: Some(story.agent.reference()), why: "routes[0]".into() };
    let message = inbound(user(), home(), text("please"));
    let files: Vec<HeardFile> = vec![HeardFile {
        file: channel::File { name: "a".into(), kind: "text/plain".into(), size: 1, hash: "h".into() },
        text: Some("x".into()),
        dropped: None,
    }];
    let arrival = |assigned: Option<Assigned>| Arrival {
        inbound: &message,
        files: files.clone(),
        rivals: Vec::new(),
        about: None,
        correlation: NATIVE,
        agent: None,
        assigned,
    };
    let assigned = Assigned { routed: routed.clone(), notice: None };
    let events = admit(&story.directory, &story.thread, arrival(Some(assigned.clone())), story.now);
    let [Event::Routed(first), Event::Heard(heard)] = &events[..] else { panic!("{events:#?}") };
    assert_eq!((first, &heard.files, &heard.from), (&routed, &files, &user()));
    let thread = fold(&story, &events);
    assert_eq!(thread.home(), Some(&home()));
    // While it is worked on, nothing is routed again.
    let events = admit(&story.directory, &thread, arrival(Some(assigned)), story.now);
    assert!(matches!(events[..], [Event::Heard(_)]), "{events:#?}");
}

#[test]
fn who_is_taken_by_nobody_is_told_so() {
    let story = Story::with(agent(&[]));
    let routed = Routed { home: home(), agent: None, why: "no route fits".into() };
    let assigned = Some(Assigned { routed, notice: Some("No agent takes this.".into()) });
    let message = inbound(user(), home(), text("please"));
    let arrival = Arrival {
        inbound: &message,
        files: Vec::new(),
        rivals: Vec::new(),
        about: None,
        correlation: NATIVE,
        agent: None,
        assigned,
    };
    let events = admit(&story.directory, &story.thread, arrival, story.now);
    let [Event::Routed(_), Event::Heard(_), Event::Said(reply), Event::Finished] = &events[..] else {
        panic!("{events:#?}")
    };
    assert!(by_gateway(reply));
    assert_eq!((reply.text.as_str(), &reply.to), ("No agent takes this.", &home()));
    assert_eq!(reply.in_reply_to, message.message);
    assert!(fold(&story, &events).is_idle());
}

#[test]
fn an_original_is_kept_only_where_it_differs() {
    let story = Story::new(&[]);
    for (original, kept) in
        [(None, None), (Some("hello"), None), (Some("hello\n> old"), Some("hello\n> old"))]
    {
        let body =
            Body::Text { text: "hello".into(), original: original.map(str::to_owned), files: Vec::new() };
        let events = admitted(&story, &inbound(user(), home(), body), None, NATIVE);
        let [Event::Heard(heard)] = &events[..] else { panic!("{events:#?}") };
        assert_eq!(heard.original.as_deref(), kept);
    }
    let bounced = inbound(user(), home(), Body::Undelivered { why: "no such mailbox".into() });
    assert_eq!(word(&admitted(&story, &bounced, None, NATIVE)), "undelivered");
}

fn fold(story: &Story, events: &[Event]) -> Thread {
    let records = events.iter().map(|event| agent::Record::new(story.now, event.clone()));
    Thread::fold(story.thread.id().clone(), records)
}

#[test]
fn each_refusal_is_explained_to_its_sender_alone() {
    for (why, words) in [
        (Why::NotPermitted, "You may not answer this"),
        (Why::Unverified, "nothing proves that it is from you"),
        (Why::NoTicket, "did not carry the code"),
        (Why::Settled, "Approved by ana"),
        (Why::Expired, "expired"),
        (Why::Unclear, "`approve`"),
    ] {
        let (mut story, id) = at_desk();
        if why == Why::Settled {
            story.answered(id, Decision::Approve);
        }
        let eve = proven("mail", "eve@example.com");
        let seq = story.write(Event::Refused(Refusal {
            question: id,
            by: eve.clone(),
            at: desk_place(),
            message: None,
            words: "approve".into(),
            how: How::Wrote,
            why,
            what: None,
            evidence: Evidence::default(),
        }));
        let tickets = tickets();
        let press =
            agent::Press { tickets: &tickets, capabilities: &|_| None, secrets: &|_| Some(Vec::new()) };
        let sent = agent::outgoing(&story.thread, seq, &press);
        let [message] = &sent[..] else { panic!("{sent:#?}") };
        let Content::Text(text) = &message.content else { panic!("{sent:#?}") };
        assert!(text.markdown.contains(words), "{}", text.markdown);
        assert_eq!((&message.to, &message.only), (&desk_place(), &Some(eve)));
    }
}

#[test]
fn a_ticket_proves_one_question_of_one_thread_at_one_place() {
    let (story, id) = at_desk();
    let (thread, tickets) = (&story.thread, tickets());
    let genuine = ticket_of(&story, id);
    assert_eq!(tickets.check(&genuine, thread), Some(id));
    assert_eq!(Tickets::read(&genuine), Some((thread.id().clone(), id)));
    assert!(genuine.as_str().len() <= 48, "{genuine}");
    let longest = tickets.mint(&ThreadId::new(&Home::of(&home()), 9999), QuestionId(Seq(99_999)), &home());
    assert!(longest.as_str().len() <= 48, "{longest}");
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    assert!(longest.as_str().chars().all(fits), "{longest}");

    let text = genuine.as_str();
    let (name, code) = text.rsplit_once('.').unwrap();
    let other_thread = ThreadId::new(&Home::of(&desk_place()), 1);
    let next_generation = ThreadId::new(&Home::of(&home()), 2);
    let flipped = {
        let last = if code.ends_with('a') { 'b' } else { 'a' };
        format!("{name}.{}{last}", &code[..code.len() - 1])
    };
    for forged in [
        // A forged code, cut, lengthened, missing.
        flipped,
        format!("{name}.{}", &code[1..]),
        format!("{name}.{}", "a".repeat(code.len())),
        format!("{text}a"),
        format!("{name}."),
        name.to_owned(),
        format!("{text}.x"),
        String::new(),
        "..".to_owned(),
        // Other letters: a channel whose platform folds case folds it back before.
        text.to_ascii_uppercase(),
        format!(" {text}"),
        // Another spelling of the same question.
        text.replace(&format!(".{}.", id.0), &format!(".0{}.", id.0)),
        text.replace(&format!(".{}.", id.0), &format!(".+{}.", id.0)),
        // Another thread, the next conversation at this place, another question, another address, another key.
        tickets.mint(&other_thread, id, &desk_place()).as_str().to_owned(),
        tickets.mint(&next_generation, id, &desk_place()).as_str().to_owned(),
        tickets.mint(thread.id(), QuestionId(Seq(1)), &desk_place()).as_str().to_owned(),
        tickets.mint(thread.id(), QuestionId(Seq(u64::MAX)), &desk_place()).as_str().to_owned(),
        tickets.mint(thread.id(), id, &home()).as_str().to_owned(),
        tickets.mint(thread.id(), id, &place("web", "to:ana@corp.example")).as_str().to_owned(),
        Tickets::new([4; 32]).mint(thread.id(), id, &desk_place()).as_str().to_owned(),
        // The parts of two tickets put together.
        format!("{other_thread}.{}.{code}", id.0),
    ] {
        assert_eq!(tickets.check(&Ticket::new(forged.clone()), thread), None, "{forged} was taken");
    }
    // The code does not tell the key, nor does the debug form.
    assert_eq!(format!("{tickets:?}"), "Tickets(..)");
}

#[test]
fn a_ticket_is_made_of_parts_that_cannot_run_together() {
    let tickets = tickets();
    let id = ThreadId::new(&Home::of(&home()), 1);
    let a = tickets.mint(&id, QuestionId(Seq(1)), &place("web", "x"));
    let b = tickets.mint(&id, QuestionId(Seq(1)), &place("we", "bx"));
    assert_ne!(a, b);
}

#[test]
fn who_may_answer_at_the_edges() {
    let directory = directory();
    let members = |names: &[&str]| Audience {
        requester: false,
        members: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    let own = Audience { requester: true, members: Vec::new() };
    let ana = ana_mail();
    let (ulla, fake_ulla) = (user(), claimed("web", "ulla"));
    for (audience, requester, person, may) in [
        // An empty roster permits nobody, and a roster of ghosts is empty.
        (members(&[]), None, &ana, false),
        (members(&["nobody"]), None, &ana, false),
        (members(&["ghosts"]), None, &ana, false),
        (Audience::default(), Some(ulla.clone()), &ulla, false),
        // A group is its members; a member may be named alone; names do not cross.
        (members(&["operators"]), None, &ana, true),
        (members(&["ana"]), None, &ana, true),
        (members(&["ben"]), None, &ana, false),
        (members(&["finance"]), None, &ana, false),
        (members(&["ghosts", "operators"]), None, &ana, true),
        // A claim is nobody's, also when the roster names them.
        (members(&["ana"]), None, &claimed("mail", "ana@corp.example"), false),
        // The requester.
        (own.clone(), Some(ulla.clone()), &ulla, true),
        (own.clone(), Some(ulla.clone()), &fake_ulla, false),
        (own.clone(), Some(fake_ulla.clone()), &fake_ulla, true),
        (own.clone(), Some(fake_ulla.clone()), &ulla, true),
        (own.clone(), Some(ulla.clone()), &proven("mail", "ulla"), false),
        (own.clone(), None, &ana, false),
        (own, Some(proven("mail", "")), &proven("web", ""), false),
    ] {
        let standing = directory.may_answer(&audience, requester.as_ref(), person, at(0));
        assert_eq!(standing.is_some(), may, "{audience:?} {requester:?} {person:?}");
    }
    let nobody = Directory::default();
    assert!(nobody.may_answer(&members(&["ana", ""]), None, &proven("mail", ""), at(0)).is_none());
    // A group that carries a member's name is the group: the roster does not fall back to the member.
    let mut shadowed = directory.clone();
    shadowed.groups.insert("ana".into(), vec!["ben".into()]);
    assert!(shadowed.may_answer(&members(&["ana"]), None, &ana, at(0)).is_none());
    assert_eq!(shadowed.member(&ana), Some("ana"));
    assert_eq!(directory.member(&claimed("mail", "ana@corp.example")), None);
}

#[test]
fn who_left_the_roster_may_no_longer_answer() {
    let (mut story, id) = at_desk();
    let message = with_ticket(inbound(ana_mail(), desk_place(), text("approve")), ticket_of(&story, id));
    story.directory.groups.insert("operators".into(), vec!["ben".into()]);
    assert_eq!(word(&admitted(&story, &message, Some(id), TICKET)), "refused NotPermitted");
}

#[test]
fn a_desk_answers_a_hand_over_in_any_words() {
    let mut story = Story::new(&[]);
    story.wants(agent::Intent::HandOver { reason: "lost".into() });
    let id = story.open();
    let becomes = |from: Person, words: &str| {
        word(&admitted(&story, &inbound(from, desk_place(), text(words)), Some(id), TICKET))
    };
    assert_eq!(becomes(ana_mail(), "no, call them"), "text no, call them");
    assert_eq!(becomes(proven("mail", "eve@example.com"), "hi"), "refused NotPermitted");
    assert_eq!(becomes(claimed("mail", "ana@corp.example"), "hi"), "refused Unverified");
    assert_eq!(becomes(ana_mail(), "  "), "refused Unclear");
    // The user goes on talking at home: that is heard.
    let more = inbound(user(), home(), text("hello?"));
    assert_eq!(word(&admitted(&story, &more, None, NATIVE)), "heard hello?");

    story.answered(id, Decision::Text("solved".into()));
    let events = story.record();
    assert!(matches!(&events[0], Event::Said(reply) if reply.by == Author::Member("ana".into())));
}
