//! The page in a real browser, in front of the real gateway.

use std::time::{Duration, Instant};

use agent::{Event, Phase};
use fantoccini::key::Key;
use serde_json::json;

use crate::world::{Driver, LOCAL, Provider, SCRIPTED, SOON, Screen, Window, World};

const DEPLOY: &str = "deploy v1.4 to production";
const DONE: &str = "v1.4 runs in production now.";
/// How often the answer stands in the conversation.
const ANSWERS: &str = "all('entry').filter((e) => e.dataset.kind === 'said' && e.innerText.includes('v1.4 runs in production now.')).length";

async fn gateway() -> World {
    let mut world = World::new(&format!("{LOCAL}{SCRIPTED}"));
    world.start().await;
    world
}

async fn started(world: &World) -> usize {
    world.count(|event| matches!(event, Event::Started(_))).await
}

/// A gateway whose model says what the test lets it.
async fn provided() -> (Provider, World) {
    let provider = Provider::open().await;
    let config =
        format!("{LOCAL}[models.default]\nproviders = [\"one\"]\n{}", provider.config("one", "openai", ""));
    let mut world = World::new(&config).env("ONE_KEY", "a-key-0123456789");
    world.start().await;
    (provider, world)
}

/// Asks for a deployment, and waits for the card with both of its fields.
async fn ask(window: &Window) {
    window.say(DEPLOY).await;
    window.until("an open card", "by('card')?.dataset.state === 'open'").await;
    let fields = window.eval("[...by('card').querySelectorAll('dt, dd')].map((e) => e.innerText)").await;
    assert_eq!(fields, json!(["version", "v1.4", "environment", "production"]));
    let title = window.eval("by('card').querySelector('h3').innerText").await;
    assert_eq!(title, "Approve: deploy");
}

/// The answer is there, once, and the card is closed.
async fn answered_once(window: &Window, world: &World) {
    window.shows(DONE).await;
    window.until("a closed card", "all('card').length === 1 && by('card').dataset.state === 'closed'").await;
    assert_eq!(window.eval("by('how').innerText").await, "Approved by you");
    assert_eq!(window.eval("all('choice-approve').length").await, 0);
    assert_eq!(window.eval(ANSWERS).await, 1);
    // What was clicked is off the page's own list with the answer to the click, which may come after what it caused.
    window.until("nothing that waits", "all('pending').length === 0").await;
    assert_eq!(started(world).await, 1);
    assert_eq!(world.count(|event| matches!(event, Event::Heard(_))).await, 1);
    assert_eq!(world.count(|event| matches!(event, Event::Answered(_))).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_by_typing_and_clicking_survives_a_reload() {
    let world = gateway().await;
    let mut driver = Driver::start().await;
    let window = driver.window(Screen::Desk).await;
    window.visit(world.port, "/").await;
    assert!(window.text().await.contains("What shall be done?"));
    ask(&window).await;
    assert_eq!(started(&world).await, 0, "nothing runs before the click");
    window.click("choice-approve").await;
    answered_once(&window, &world).await;
    assert_eq!(window.eval("by('label').innerText").await, "scripted model");

    let entries = "all('entry').map((e) => e.dataset.id + e.dataset.kind + e.innerText)";
    let before = window.eval(entries).await;
    assert_eq!(before.as_array().unwrap().len(), 3, "{before}");
    window.client.refresh().await.unwrap();
    window.connected().await;
    answered_once(&window, &world).await;
    assert_eq!(window.eval(entries).await, before);
    assert_eq!(window.console().await, Vec::<String>::new(), "the console is silent");

    // An empty conversation offers something to begin with, and a click on it is as good as typing.
    window.click("new").await;
    window.until("an empty page", "all('entry').length === 0").await;
    window.click("example").await;
    window.until("an open card", "by('card')?.dataset.state === 'open'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_finds_a_gateway_again_that_was_killed_and_a_click_counts_once() {
    let mut world = gateway().await;
    let mut driver = Driver::start().await;
    let window = driver.window(Screen::Desk).await;
    window.visit(world.port, "/").await;
    ask(&window).await;
    world.kill();
    window
        .until(
            "word of it",
            "by('status').dataset.state === 'down' && by('status').innerText.includes('lost')",
        )
        .await;
    assert_eq!(window.eval("by('card').dataset.state").await, "open", "what was shown stays");
    world.start().await;
    window.connected().await;
    assert_eq!(window.eval("all('card').length").await, 1, "nothing is shown twice");
    window.click("choice-approve").await;
    answered_once(&window, &world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_and_clicks_given_while_the_gateway_is_away_arrive_once_it_is_back() {
    let mut world = gateway().await;
    let mut driver = Driver::start().await;
    let window = driver.window(Screen::Desk).await;
    window.visit(world.port, "/").await;
    world.kill();
    window.say(DEPLOY).await;
    window.until("word of it", "by('pending')?.innerText.includes('Not sent yet')").await;
    // What was not sent is not lost with the window's content either.
    let path = window.path().await;
    world.start().await;
    window.visit(world.port, &path).await;
    window.until("an open card", "by('card')?.dataset.state === 'open'").await;

    world.kill();
    window.click("choice-approve").await;
    window.until("word of it", "by('card').innerText.includes('Not sent yet')").await;
    world.start().await;
    answered_once(&window, &world).await;
}

/// Killed at whatever moment after a click: the deployment runs once, or somebody is asked what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_killed_right_after_a_click_goes_on_and_runs_it_once() {
    let mut driver = Driver::start().await;
    for wait in [0, 8, 25, 60] {
        let mut world = gateway().await;
        let window = driver.window(Screen::Desk).await;
        window.visit(world.port, "/").await;
        ask(&window).await;
        window.click("choice-approve").await;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        world.kill();
        world.start().await;
        let seen =
            format!("{ANSWERS} === 1 || all('card').some((e) => e.innerText.includes('Did it happen?'))");
        window.until("an end", &seen).await;
        if window.eval(ANSWERS).await == 0 {
            // The program may have been at work when the gateway died.
            window.click("choice-option-1").await;
            window.shows("says: It happened").await;
        }
        window.until("closed cards", "all('card').every((e) => e.dataset.state === 'closed')").await;
        assert_eq!(started(&world).await, 1, "after {wait} ms");
        assert_eq!(world.count(|event| matches!(event, Event::Thought(_))).await, 2, "after {wait} ms");
        assert!(world.kept("deploy").iter().filter(|(_, text)| text.contains("v1.4")).count() <= 1);
        window.client.clone().close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_carries_its_comment() {
    let world = gateway().await;
    let mut driver = Driver::start().await;
    let window = driver.window(Screen::Desk).await;
    window.visit(world.port, "/").await;
    ask(&window).await;
    window.write("comment", "not on a Friday").await;
    window.click("choice-reject").await;
    window.shows("Deploying v1.4 to production was not approved: not on a Friday.").await;
    window.until("a closed card", "by('card').dataset.state === 'closed'").await;
    assert_eq!(window.eval("by('how').innerText").await, "Rejected by you: not on a Friday");
    assert_eq!(started(&world).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_arguments_are_filled_in_and_run() {
    let world = gateway().await;
    let mut driver = Driver::start().await;
    let window = driver.window(Screen::Desk).await;
    window.visit(world.port, "/").await;
    ask(&window).await;
    window.click("choice-edit").await;
    assert_eq!(window.eval("by('input-environment').value").await, "production");
    // The same button closes the form again, and nothing was sent.
    window.click("choice-edit").await;
    window.until("no form", "!by('input-environment')").await;
    window.click("choice-edit").await;
    window.eval("(by('input-environment').value = '', 0)").await;
    window.write("input-environment", "staging").await;
    window.click("send-edit").await;
    window.shows("v1.4 runs in staging").await;
    window.until("a closed card", "by('card').dataset.state === 'closed'").await;
    let how = window.eval("by('how').innerText").await;
    assert!(how.as_str().is_some_and(|how| how.contains("production → staging")), "{how}");
    assert_eq!(started(&world).await, 1);
}

/// What does not fit is refused with the form still there; what is left as it stood runs as it was asked, to the byte.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_changed_in_a_form_is_changed() {
    let (mut provider, world) = provided().await;
    let mut driver = Driver::start().await;
    let window = driver.window(Screen::Desk).await;
    window.visit(world.port, "/").await;
    window.say("refund 120 EUR for order 1002").await;
    // A text area has no \r\n.
    let reason = "The lamp is\r\nbroken.";
    let asked = provider.next().await;
    asked.call("refund", &json!({ "order_id": "1002", "amount": 120, "reason": reason }));
    window.click("choice-edit").await;
    window.until("the form", "by('input-amount')?.value === '120'").await;
    let amount = async |text: &str| {
        window.eval("(by('input-amount').value = '', 0)").await;
        window.write("input-amount", text).await;
        window.click("send-edit").await;
    };
    amount("many").await;
    window.shows("amount is many, and should be written like 120").await;
    assert_eq!(window.eval("by('card').dataset.state").await, "open");
    assert_eq!(started(&world).await, 0);
    amount("110").await;
    window.until("a closed card", "by('card').dataset.state === 'closed'").await;
    assert_eq!(window.eval("by('how').innerText").await, "Approved with changes by you: amount: 120 → 110");
    provider.next().await.call("finish", &json!({ "text": "Done." }));
    window.shows("Done.").await;
    let wanted = json!({ "order_id": "1002", "amount": 110, "reason": reason });
    let runs = |event: &Event| matches!(event, Event::Started(started) if started.args == wanted);
    assert_eq!(world.count(runs).await, 1, "{:#?}", world.threads().await);
    assert_eq!(started(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_windows_show_the_same_and_a_click_in_one_closes_the_card_in_both() {
    let world = gateway().await;
    let mut driver = Driver::start().await;
    let one = driver.window(Screen::Desk).await;
    let two = driver.window(Screen::Desk).await;
    one.visit(world.port, "/").await;
    let path = one.path().await;
    two.visit(world.port, &path).await;
    ask(&one).await;
    two.until("the card in the other window", "by('card')?.dataset.state === 'open'").await;
    one.click("choice-approve").await;
    answered_once(&one, &world).await;
    answered_once(&two, &world).await;
    two.say("deploy v1.4 to staging").await;
    one.shows("deploy v1.4 to staging").await;
    one.until("the next card", "all('card').length === 2").await;
    // A conversation of its own shows nothing of it, but what waits for the person.
    two.click("new").await;
    two.until("an empty page", "all('entry').filter((e) => e.closest('#log')).length === 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_by_a_button_or_in_the_composer() {
    let world = gateway().await;
    let mut driver = Driver::start().await;
    let window = driver.window(Screen::Desk).await;
    window.visit(world.port, "/").await;
    window.say("deploy v1.4").await;
    window.until("the question", "by('card')?.innerText.includes('Where shall v1.4 go?')").await;
    window.say("v1.4 to staging").await;
    window.until("the answer on the card", "all('card')[0].dataset.state === 'closed'").await;
    assert!(window.eval("by('how').innerText").await.as_str().unwrap().contains("v1.4 to staging"));
    window.until("the approval", "all('card')[1]?.innerText.includes('Approve: deploy')").await;
    assert!(window.eval("all('card')[1].innerText").await.as_str().unwrap().contains("staging"));
    window.click("choice-reject").await;
    window.shows("was not approved").await;

    window.click("new").await;
    window.until("an empty page", "all('entry').length === 0").await;
    window.say("deploy v1.3").await;
    window.click("choice-option-2").await;
    window.until("the approval", "all('card')[1]?.innerText.includes('production')").await;
    assert_eq!(world.count(|event| matches!(event, Event::Answered(_))).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn markup_in_words_stays_words() {
    let world = gateway().await;
    let mut driver = Driver::start().await;
    let window = driver.window(Screen::Desk).await;
    window.visit(world.port, "/").await;
    let markup = "<img src=x onerror=\"window.pwned=1\"><script>window.pwned=2</script><b>bold</b>";
    let listen = "window.violations = []; addEventListener('securitypolicyviolation', (e) => window.violations.push(e.blockedURI))";
    window.client.execute(listen, Vec::new()).await.unwrap();
    window.say(&format!("{DEPLOY} {markup}")).await;
    window.until("an open card", "by('card')?.dataset.state === 'open'").await;
    // In what one said oneself, on the card, in the comment, and in the model's answer.
    assert!(window.eval("by('card').innerText").await.as_str().unwrap().contains(markup));
    window.write("comment", markup).await;
    window.click("choice-reject").await;
    window.shows("was not approved: <img").await;
    assert!(window.eval("by('how').innerText").await.as_str().unwrap().contains(markup));
    assert_eq!(window.eval("document.querySelectorAll('#main img, #main script, #main b').length").await, 0);
    assert_eq!(window.eval("typeof window.pwned").await, "undefined");
    assert_eq!(window.eval("window.violations").await, json!([]));
    window.client.refresh().await.unwrap();
    window.connected().await;
    window.shows("was not approved: <img").await;
    assert_eq!(window.eval("typeof window.pwned").await, "undefined");
    assert_eq!(window.console().await, Vec::<String>::new(), "the console is silent");
    // The policy is really there: what a script would do by hand is refused.
    let inline = "const s = document.createElement('script'); s.textContent = 'window.pwned = 3'; document.body.append(s)";
    window.client.execute(inline, Vec::new()).await.unwrap();
    assert_eq!(window.eval("typeof window.pwned").await, "undefined");
    assert!(window.console().await.iter().any(|line| line.contains("Content Security Policy")));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone_nothing_scrolls_sideways_and_everything_can_be_reached() {
    let world = gateway().await;
    let mut driver = Driver::start().await;
    let window = driver.window(Screen::Phone).await;
    window.visit(world.port, "/").await;
    assert_eq!(window.eval("[innerWidth, innerHeight]").await, json!([390, 844]));
    let sideways = "[...document.querySelectorAll('html, body, #scroll, #main')].filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.tagName + '#' + e.id)";
    let inside = |id: &str| {
        format!(
            "(() => {{ const r = by('{id}').getBoundingClientRect(); return r.left >= 0 && r.top >= 0 && r.right <= innerWidth && r.bottom <= innerHeight; }})()"
        )
    };
    assert_eq!(window.eval(sideways).await, json!([]));
    let long = "a".repeat(300);
    window.say(&format!("{DEPLOY} because https://example.com/{long} `{long}`")).await;
    window.until("an open card", "by('card')?.dataset.state === 'open'").await;
    assert_eq!(window.eval(sideways).await, json!([]));
    for id in ["composer", "send", "choice-approve", "choice-edit", "choice-reject"] {
        assert_eq!(window.eval(&inside(id)).await, true, "{id} is not in view: {}", window.text().await);
    }
    let small = "[...document.querySelectorAll('button')].filter((e) => e.checkVisibility()).map((e) => [e.dataset.testid, e.getBoundingClientRect().height]).filter(([, h]) => h < 32)";
    assert_eq!(window.eval(small).await, json!([]), "too small for a thumb");
    // A form has the card's whole width.
    window.click("choice-edit").await;
    window.until("a form", "by('input-version')").await;
    assert_eq!(window.eval(sideways).await, json!([]));
    assert_eq!(window.eval(small).await, json!([]), "too small for a thumb");
    let width =
        "by('input-version').getBoundingClientRect().width / by('card').getBoundingClientRect().width";
    assert!(window.eval(width).await.as_f64().unwrap() > 0.8, "{}", window.eval(width).await);
    window.click("choice-edit").await;
    window.click("choice-approve").await;
    window.shows(DONE).await;
    assert_eq!(window.eval(sideways).await, json!([]));
    assert_eq!(window.eval(&inside("composer")).await, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_alone_is_enough() {
    let world = gateway().await;
    let mut driver = Driver::start().await;
    let window = driver.window(Screen::Desk).await;
    window.visit(world.port, "/").await;
    window.until("the focus where one writes", "document.activeElement.dataset.testid === 'composer'").await;
    window.client.active_element().await.unwrap().send_keys(DEPLOY).await.unwrap();
    window.press(Key::Enter).await;
    window.until("an open card", "by('card')?.dataset.state === 'open'").await;
    let mut visited = Vec::new();
    for _ in 0..40 {
        if window.eval("document.activeElement?.dataset.testid").await == "choice-approve" {
            break;
        }
        window.press(Key::Tab).await;
        let here = window
            .eval("(() => { const e = document.activeElement, s = getComputedStyle(e); return [e.dataset.testid || e.id || e.tagName, s.outlineStyle !== 'none' || s.boxShadow !== 'none' || e === document.body || e.id === 'text']; })()")
            .await;
        assert_eq!(here[1], true, "one does not see where one is: {here}");
        visited.push(here[0].clone());
    }
    assert_eq!(window.eval("document.activeElement?.dataset.testid").await, "choice-approve", "{visited:?}");
    window.press(Key::Enter).await;
    answered_once(&window, &world).await;
    // The focus stays where one was.
    assert_eq!(window.eval("!!document.activeElement.closest('[data-testid=card]')").await, true);
    // By the keyboard one also gets to writing at once.
    assert_eq!(window.eval("document.querySelector('a.skip').getAttribute('href')").await, "#text");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_that_somebody_works_and_what_waits_for_oneself() {
    let (mut provider, world) = provided().await;
    let mut driver = Driver::start().await;
    let window = driver.window(Screen::Desk).await;
    window.visit(world.port, "/").await;
    assert_eq!(window.eval("all('typing').length").await, 0);
    window.say("Where is my order 1001?").await;
    let asked = provider.next().await;
    window.until("somebody at work", "by('typing')").await;
    // Also on a page that was opened meanwhile.
    window.client.refresh().await.unwrap();
    window.connected().await;
    window.until("somebody at work", "by('typing')").await;
    asked.call("finish", &json!({ "text": "On its **way**." }));
    window
        .until(
            "the answer",
            "[...document.querySelectorAll('#log strong')].some((e) => e.innerText === 'way')",
        )
        .await;
    window.until("nobody at work", "all('typing').length === 0").await;

    // What is handed over to oneself waits beside every conversation, and is answered there.
    window.say("And my cat?").await;
    provider.next().await.call("hand_over", &json!({ "reason": "Cats are not mine." }));
    window.until("a card beside", "by('waiting')?.innerText.includes('Cats are not mine.')").await;
    window.shows("A person has been asked to take over").await;
    window.write("answer", "It is fine.").await;
    window.click("answer-send").await;
    window.shows("It is fine.").await;
    world.until("the end", |threads| threads[0].phase() == Phase::Finished).await;
    window.until("a closed card", "by('card').dataset.state === 'closed'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_people_asks_for_a_token() {
    const TOKEN: &str = "a-token-of-ana-0123456789";
    let people = "[channels.web.people.ana]\ntoken_env = \"ANA_TOKEN\"\nname = \"Ana\"\n";
    let member = LOCAL.lines().map(|line| if line.starts_with("web = ") { "web = \"ana\"" } else { line });
    let config = format!("{people}{}\n{SCRIPTED}", member.collect::<Vec<_>>().join("\n"));
    let mut world = World::new(&config).env("ANA_TOKEN", TOKEN);
    world.start().await;
    let mut driver = Driver::start().await;
    let window = driver.window(Screen::Desk).await;
    window.goto(&format!("http://127.0.0.1:{}/", world.port)).await;
    window.write("token", "a-token-of-eve-9999999999").await;
    window.press(Key::Enter).await;
    window.until("a no", "by('login')?.querySelector('[role=alert]')?.checkVisibility()").await;
    // What was wrong is selected, so that the next try takes its place.
    window.client.active_element().await.unwrap().send_keys(TOKEN).await.unwrap();
    window.press(Key::Enter).await;
    window.connected().await;
    ask(&window).await;
    window.click("choice-approve").await;
    answered_once(&window, &world).await;
    // The session outlives the gateway.
    world.kill();
    let began = Instant::now();
    world.start().await;
    window.client.refresh().await.unwrap();
    window.connected().await;
    answered_once(&window, &world).await;
    assert!(began.elapsed() < SOON);
}
