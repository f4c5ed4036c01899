//! What goes out: whole, once, inert, and with a way to answer.

use std::collections::{BTreeMap, BTreeSet};

use channel::{
    Body, Card, CardState, Choice, Comment, Content, ErrorKind, Field, Input, InputKind, Outgoing, Place,
    Style, Text,
};

use super::{Bench, Rig, Shown, card, reads, says};

/// A message arrives, once, with its words and its label, and there is a receipt for it.
pub async fn a_message_arrives_once_with_its_words(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    let (_, inbound) = bench.hears("hello").await;
    let place = &inbound.at.place;
    let markdown = "Your order **4711** has left.\n\n- by post\n- yesterday\n\nSee `tracking`.".to_owned();
    let outgoing =
        bench.outgoing(place, Content::Text(Text { markdown, note: Some("scripted model".to_owned()) }));
    let receipt = bench.sends(&outgoing).await;
    assert!(receipt.message.is_none_or(|message| message.as_str().len() <= 4_096));
    let shown = bench.sees(place, |shown| reads(shown, "has left")).await;
    assert_eq!(shown.len(), 1, "{shown:#?}");
    for words in ["Your order", "4711", "by post", "yesterday", "tracking", "scripted model"] {
        assert!(reads(&shown[0], words), "no `{words}` in {:#?}", shown[0]);
    }
}

/// However long a text is, and however many messages it takes, each of its words is read once, in order.
pub async fn a_long_text_arrives_whole(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    let (_, inbound) = bench.hears("hello").await;
    let place = &inbound.at.place;
    let words: Vec<String> = (0..6_000).map(|n| format!("word{n:05}")).collect();
    let paragraphs: Vec<String> = words.chunks(40).map(|chunk| chunk.join(" ")).collect();
    bench.sends(&bench.outgoing(place, says(&paragraphs.join("\n\n")))).await;
    let shown = bench.sees(place, |shown| reads(shown, "word05999")).await;
    let all: Vec<&str> = shown.iter().flat_map(|shown| shown.text.split_whitespace()).collect();
    let read: Vec<&str> = all.into_iter().filter(|word| word.starts_with("word")).collect();
    assert!(read == words, "{} words arrived of {}", read.len(), words.len());
}

const HOSTILE: &str = "<script>alert(1)</script> <img src=x onerror=alert(1)> @everyone <!channel> <@U1> \
                       [go](javascript:alert(1)) <b onclick=\"alert(1)\">x</b> \" onload=\"alert(1)";

/// Nothing that a text says is done, wherever it stands.
pub async fn hostile_words_are_inert(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    let (_, inbound) = bench.hears("hello").await;
    let place = &inbound.at.place;
    let note = Some(format!("note {HOSTILE}"));
    bench
        .sends(&bench.outgoing(place, Content::Text(Text { markdown: format!("said {HOSTILE}"), note })))
        .await;
    let mut hostile = card("k3fj2m9qx7ab4c5d-1.3.aaaaaaaaaaaaaaaa");
    hostile.title = format!("title {HOSTILE}");
    hostile.text = format!("asked {HOSTILE}");
    hostile.fields =
        vec![Field { label: format!("label {HOSTILE}"), value: format!("value {HOSTILE}\u{202e}\u{200b}") }];
    hostile.choices[0].label = format!("choice {HOSTILE}");
    bench.sends(&bench.outgoing(place, Content::Card(hostile))).await;
    let shown = bench.sees(place, |shown| reads(shown, "value <script>alert(1)</script>")).await;
    for shown in &shown {
        assert_eq!(shown.alive, Vec::<String>::new(), "{:#?}", shown.whole);
        assert!(!shown.text.contains('\u{202e}'), "words that turn others round");
    }
    assert!(shown.iter().any(|shown| reads(shown, "said")), "it was dropped");
}

/// A card shows what is asked, every argument whole, and how each answer is given.
pub async fn a_card_shows_everything(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    let (_, inbound) = bench.hears("hello").await;
    let place = &inbound.at.place;
    let long: Vec<String> = (0..400).map(|n| format!("line {n:03}")).collect();
    let mut card = card("k3fj2m9qx7ab4c5d-1.3.aaaaaaaaaaaaaaaa");
    card.fields.push(Field { label: "note to the customer".into(), value: long.join("\n") });
    card.fields.push(Field { label: "token".into(), value: "x".repeat(2_000) });
    card.fields.push(Field { label: "json".into(), value: r##"{"a":["*b*","_c_","`d`"],"e":"#f"}"##.into() });
    bench.sends(&bench.outgoing(place, Content::Card(card.clone()))).await;
    let shown = bench.sees(place, |shown| reads(shown, &card.title)).await;
    let shown = shown.last().expect("the card");
    for words in [&card.title, &card.text] {
        assert!(reads(shown, words), "no `{words}` in {shown:#?}");
    }
    for Field { label, value } in &card.fields {
        assert!(reads(shown, label), "no label `{label}` in {shown:#?}");
        assert!(reads(shown, value), "the value of `{label}` is not whole in {shown:#?}");
    }
    for choice in &card.choices {
        let offered = if bench.channel.capabilities().buttons {
            shown.buttons.contains(&choice.id) && reads(shown, &choice.label)
        } else {
            reads(shown, &choice.id)
        };
        assert!(offered, "nothing says how to answer `{}` in {shown:#?}", choice.id);
    }
}

/// An answer given by the card's own means names the question, the choice and the place.
pub async fn an_answer_carries_the_ticket(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    let place = bench.channel.place(&bench.rig.contact()).expect("the person is a contact");
    for (n, choice) in ["approve", "reject"].into_iter().enumerate() {
        let ticket = format!("k3fj2m9qx7ab4c5d-1.{n}.abcdefghijklmnop");
        let card = Card { title: format!("Question {n}"), ..card(&ticket) };
        bench.sends(&bench.outgoing(&place, Content::Card(card.clone()))).await;
        let shown = bench.sees(&place, |shown| reads(shown, &card.title)).await;
        let shown = shown.iter().find(|shown| reads(shown, &card.title)).expect("the card");
        bench.rig.answers(&place, shown, choice).await;
        let answer = bench.inbox.taken_count(n + 1).await.remove(n);
        assert_eq!(answer.ticket.as_ref(), Some(&card.ticket), "{answer:?}");
        assert_eq!(answer.at.place, place);
        assert!(answer.from.verified.is_proven(), "{:?}", answer.from);
        match &answer.body {
            Body::Press { choice: pressed, .. } => assert_eq!(pressed, choice),
            Body::Text { text, .. } => assert_eq!(text.trim(), choice),
            Body::Edited { .. } | Body::Deleted | Body::Undelivered { .. } => panic!("no answer: {answer:?}"),
        }
    }
}

/// Where a choice asks for more, what was filled in comes back under the names of its lines, and so does what was left as it
/// stood.
pub async fn a_form_brings_back_what_was_filled_in(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    if !bench.channel.capabilities().forms {
        return;
    }
    let place = bench.channel.place(&bench.rig.contact()).expect("the person is a contact");
    let line = |id: &str, value: &str| Input::line(id, id, value);
    let note = "two\nlines, *bold* <b> & \"quotes\"";
    let form = vec![line("order", "4711"), line("amount", "120"), line("note", note)];
    let mut asked = card("k3fj2m9qx7ab4c5d-1.4.abcdefghijklmnop");
    let edit = Choice {
        id: "edit".into(),
        label: "Approve with changes…".into(),
        style: Style::Plain,
        comment: Comment::None,
        form,
        reply: None,
    };
    asked.choices.insert(1, edit);
    bench.sends(&bench.outgoing(&place, Content::Card(asked.clone()))).await;
    let shown = bench.sees(&place, |shown| reads(shown, &asked.title)).await;
    let shown = shown.iter().find(|shown| reads(shown, &asked.title)).expect("the card");
    bench.rig.fills(&place, shown, "edit", &[("amount", "110")]).await;
    let answer = bench.inbox.taken_count(1).await.remove(0);
    assert_eq!(answer.ticket.as_ref(), Some(&asked.ticket), "{answer:?}");
    assert_eq!(answer.at.place, place);
    let Body::Press { choice, comment, values } = &answer.body else { panic!("no answer: {answer:?}") };
    assert_eq!((choice.as_str(), comment), ("edit", &None));
    let wanted = [("order", "4711"), ("amount", "110"), ("note", note)];
    let wanted = wanted.map(|(id, value)| (id.to_owned(), value.to_owned()));
    assert_eq!(*values, BTreeMap::from(wanted));
}

/// A line of every kind, with what a person makes of it; where that is nothing, it stays as it stood.
fn lines() -> Vec<(Input, Option<&'static str>)> {
    let list = |choices: &[&str]| choices.iter().map(|choice| (*choice).to_owned()).collect::<Vec<_>>();
    let line =
        |id: &str, kind, value: &str| Input { kind, ..Input::line(id, format!("Label of {id}"), value) };
    let many: Vec<String> = (1..=40).map(|n| format!("Release {n}")).collect();
    let slots = list(&["morning", "noon, sharp", "<b>night</b>"]);
    vec![
        (Input { required: true, ..line("street", InputKind::Line, "") }, Some("Main *St* 1")),
        (line("notes", InputKind::Lines, "as it\nstood"), None),
        (line("amount", InputKind::Number, "120"), Some("99.5")),
        (line("express", InputKind::YesNo, "no"), Some("yes")),
        (line("when", InputKind::Date, ""), Some("2026-12-24")),
        (
            Input {
                hint: Some("before it gets dark".into()),
                ..line("slot", InputKind::One(slots.clone()), "morning")
            },
            Some("noon, sharp"),
        ),
        (line("extras", InputKind::Several(slots), "morning"), Some("morning\n<b>night</b>")),
        (line("release", InputKind::One(many.clone()), ""), Some("Release 33")),
        (line("releases", InputKind::Several(many), "Release 2\nRelease 30"), None),
        (line("day", InputKind::Date, "2026-12-31"), None),
        (line("ready", InputKind::YesNo, "yes"), None),
    ]
}

/// A card that asks by a form of these lines.
fn form_of(lines: &[(Input, Option<&'static str>)], title: &str, ticket: &str) -> Card {
    let fill = Choice {
        id: "fill".into(),
        label: "Fill in…".into(),
        style: Style::Primary,
        comment: Comment::None,
        form: lines.iter().map(|(input, _)| input.clone()).collect(),
        reply: Some(String::new()),
    };
    Card { title: title.to_owned(), choices: vec![fill], ..card(ticket) }
}

/// A line of each kind comes back as it was filled in, or as it stood, in a form of few lines and in one of many.
pub async fn a_line_of_every_kind_comes_back(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    if !bench.channel.capabilities().forms {
        return;
    }
    let place = bench.channel.place(&bench.rig.contact()).expect("the person is a contact");
    let all = lines();
    for (n, some) in [&all[..5], &all[5..8], &all[..]].into_iter().enumerate() {
        let ticket = format!("k3fj2m9qx7ab4c5d-1.{n}.abcdefghijklmnop");
        let asked = form_of(some, &format!("Form {n}"), &ticket);
        bench.sends(&bench.outgoing(&place, Content::Card(asked.clone()))).await;
        let shown = bench.sees(&place, |shown| reads(shown, &asked.title)).await;
        let shown = shown.iter().find(|shown| reads(shown, &asked.title)).expect("the card");
        let filled: Vec<(&str, &str)> =
            some.iter().filter_map(|(input, value)| Some((input.id.as_str(), (*value)?))).collect();
        bench.rig.fills(&place, shown, "fill", &filled).await;
        let answer = bench.inbox.taken_count(n + 1).await.remove(n);
        assert_eq!(answer.ticket.as_ref(), Some(&asked.ticket), "{answer:?}");
        let Body::Press { choice, values, .. } = &answer.body else { panic!("no answer: {answer:?}") };
        assert_eq!(choice, "fill");
        let wanted =
            some.iter().map(|(input, value)| (input.id.clone(), value.unwrap_or(&input.value).to_owned()));
        assert_eq!(*values, wanted.collect::<BTreeMap<_, _>>(), "form {n}");
    }
}

/// Where there are no forms, a card shows the lines to reply with: what stands above them, each line with what stands in it,
/// what it takes and what may be chosen.
pub async fn a_form_is_shown_as_lines_where_there_are_none(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    if bench.channel.capabilities().forms {
        return;
    }
    let place = bench.channel.place(&bench.rig.contact()).expect("the person is a contact");
    let all = lines();
    let mut asked = form_of(&all, "A form in lines", "k3fj2m9qx7ab4c5d-1.3.aaaaaaaaaaaaaaaa");
    asked.choices[0].reply = Some("approve".into());
    bench.sends(&bench.outgoing(&place, Content::Card(asked.clone()))).await;
    let shown = bench.sees(&place, |shown| reads(shown, &asked.title)).await;
    let shown = shown.iter().find(|shown| reads(shown, &asked.title)).expect("the card");
    for words in
        ["approve", "street:", "amount: 120", "express: no", "when:", "slot: morning", "before it gets dark"]
    {
        assert!(reads(shown, words), "no `{words}` in {shown:#?}");
    }
    for (input, _) in &all {
        assert!(reads(shown, &input.label), "no `{}` in {shown:#?}", input.label);
        if let InputKind::One(choices) | InputKind::Several(choices) = &input.kind {
            assert!(choices.iter().all(|choice| reads(shown, choice)), "not every choice of `{}`", input.id);
        }
    }
    assert_eq!(shown.alive, Vec::<String>::new());
}

/// A card says what the question is called and what has happened to it, and does nothing that these words say.
pub async fn a_card_says_its_code_and_its_progress(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    let (_, inbound) = bench.hears("hello").await;
    let place = &inbound.at.place;
    let mut asked = card("k3fj2m9qx7ab4c5d-1.3.aaaaaaaaaaaaaaaa");
    asked.code = "k3f".into();
    asked.progress = Some(format!("Approved by Ana. {HOSTILE}"));
    bench.sends(&bench.outgoing(place, Content::Card(asked))).await;
    let shown = bench.sees(place, |shown| reads(shown, "Approve: refund")).await;
    let shown = shown.last().expect("the card");
    for words in ["#k3f", "Approved by Ana. <script>alert(1)</script>"] {
        assert!(reads(shown, words), "no `{words}` in {shown:#?}");
    }
    assert_eq!(shown.alive, Vec::<String>::new(), "{:#?}", shown.whole);
}

/// Once a question is settled its card says how, and cannot be answered any more.
pub async fn a_settled_card_says_so_and_offers_nothing(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    let place = bench.channel.place(&bench.rig.contact()).expect("the person is a contact");
    let open = bench.outgoing(&place, Content::Card(card("k3fj2m9qx7ab4c5d-1.3.aaaaaaaaaaaaaaaa")));
    let receipt = bench.sends(&open).await;
    bench.sees(&place, |shown| reads(shown, "Approve: refund")).await;
    let closed = Card {
        state: CardState::Closed { how: "Approved by Ana".into() },
        ..card("k3fj2m9qx7ab4c5d-1.3.aaaaaaaaaaaaaaaa")
    };
    let closed = Outgoing { amends: Some(open.key), ..bench.outgoing(&place, Content::Card(closed)) };
    bench.inbox.said(&closed);
    bench.attempts(&closed, 1, receipt.message).await.unwrap_or_else(|error| panic!("{error}"));
    let shown = bench.sees(&place, |shown| reads(shown, "Approved by Ana")).await;
    let shown: Vec<&Shown> = shown.iter().filter(|shown| reads(shown, "Approved by Ana")).collect();
    assert_eq!(shown.len(), 1, "{shown:#?}");
    assert_eq!(shown[0].buttons, Vec::<String>::new());
}

/// The same message sent again, because nobody knew whether it had arrived, is the same message to everybody.
pub async fn sending_again_changes_nothing(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    let (_, inbound) = bench.hears("hello").await;
    let place = &inbound.at.place;
    let mut said = bench.outgoing(place, says("This was said once."));
    said.in_reply_to = inbound.message.clone();
    let asked = bench.outgoing(place, Content::Card(card("k3fj2m9qx7ab4c5d-1.3.aaaaaaaaaaaaaaaa")));
    for (outgoing, words) in [(said, "said once"), (asked, "Approve: refund")] {
        let first = bench.sends(&outgoing).await;
        let shown = bench.sees(place, |shown| reads(shown, words)).await;
        let second = bench.attempts(&outgoing, 2, None).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(first, second, "it has another name now");
        tokio::time::sleep(2 * super::A_WHILE).await;
        let again = bench.rig.sees(place).await;
        let of = |shown: &[Shown]| -> BTreeSet<(String, String)> {
            let fitting = shown.iter().filter(|shown| reads(shown, words));
            fitting.map(|shown| (shown.name.clone(), shown.whole.clone())).collect()
        };
        assert_eq!(of(&shown), of(&again));
        assert_eq!(of(&again).len(), 1, "{again:#?}");
    }
}

/// A file arrives with its name and every byte of it, where the channel says that it can.
pub async fn a_file_arrives_whole(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    if !bench.channel.capabilities().files {
        return;
    }
    let (_, inbound) = bench.hears("hello").await;
    let place = &inbound.at.place;
    let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let mut outgoing = bench.outgoing(place, says("Here is the file."));
    outgoing.files = vec![bench.inbox.keep("report 1.bin", "application/octet-stream", &bytes)];
    bench.sends(&outgoing).await;
    let shown = bench.sees(place, |shown| reads(shown, "Here is the file")).await;
    let files = &shown.last().expect("the message").files;
    assert_eq!(files.len(), 1);
    // Some platforms take no blank in a name.
    assert_eq!(files[0].0.replace('_', " "), "report 1.bin");
    assert!(files[0].1 == bytes, "{} bytes arrived", files[0].1.len());
}

/// A configured contact has one place, and what is sent there is seen by that person.
pub async fn a_configured_contact_is_reached(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    let contact = bench.rig.contact();
    let place = bench.channel.place(&contact).expect("the person is a contact");
    assert_eq!(bench.channel.place(&contact).expect("the person is a contact"), place);
    bench.sends(&bench.outgoing(&place, Content::Card(card("k3fj2m9qx7ab4c5d-1.3.aaaaaaaaaaaaaaaa")))).await;
    let shown = bench.sees(&place, |shown| reads(shown, "Approve: refund")).await;
    assert_eq!(shown.len(), 1, "{shown:#?}");
}

/// A place that this channel never minted gets nothing, for good.
pub async fn what_is_no_place_is_refused(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    for text in ["", "nowhere", "C012345", "a/b/c", "\u{0}", "x\r\nBcc: y@z.test"] {
        let outgoing = bench.outgoing(&Place::new(text), says("lost"));
        let error = bench.attempts(&outgoing, 1, None).await.expect_err("it was sent to no place");
        assert_eq!(error.kind, ErrorKind::Refused, "{text:?}: {error}");
    }
    for text in ["", " ", "\u{0}", "x\r\ny"] {
        let error = bench.channel.place(text).expect_err("it is no contact");
        assert_eq!(error.kind, ErrorKind::Refused, "{text:?}: {error}");
    }
}
