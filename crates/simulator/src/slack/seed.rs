//! The people and places that every world begins with.

use super::{
    Options,
    world::{APP_TOKEN, Channel, Sort, Team, Token, User, World},
};

/// The workspace that strangers come from.
pub(crate) const ELSEWHERE: &str = "T0OTHER01";

/// Puts the first people and places into an empty world.
pub(crate) fn plant(world: &mut World, options: &Options) {
    let first = team("T0SIM0001", "Acme", options.enterprise_id.clone(), 1);
    install(world, first);
    for (id, name, real) in
        [("U0ANA0001", "ana", "Ana Ask"), ("U0BEN0001", "ben", "Ben Boss"), ("U0CY00001", "cy", "Cy Guest")]
    {
        person(world, id, name, real, "T0SIM0001");
    }
    person(world, "U0DEE0001", "dee", "Dee Narrow", "T0SIM0001");
    person(world, "U0ZOE0001", "zoe", "Zoe Else", ELSEWHERE);
    person(world, "U0HELPER1", "helper", "Helper", "T0SIM0001");
    person(world, "USLACKBOT", "slackbot", "Slackbot", "T0SIM0001");
    for (id, change) in [
        ("U0CY00001", (|user: &mut User| user.restricted = true) as fn(&mut User)),
        ("U0DEE0001", |user| {
            user.restricted = true;
            user.ultra_restricted = true;
        }),
        ("U0HELPER1", |user| user.bot = Some("B0HELPER1".to_owned())),
    ] {
        if let Some(user) = world.users.get_mut(id) {
            change(user);
        }
    }
    let everybody = ["U0BOT0001", "U0ANA0001", "U0BEN0001", "U0CY00001", "U0DEE0001", "U0HELPER1"];
    channel(world, "C0GEN0001", "general", Sort::Public, "T0SIM0001", &everybody);
    channel(world, "C0OPS0001", "ops", Sort::Public, "T0SIM0001", &everybody[..3]);
    channel(
        world,
        "C0SHR0001",
        "shared",
        Sort::Public,
        "T0SIM0001",
        &["U0BOT0001", "U0ANA0001", "U0ZOE0001"],
    );
    channel(world, "G0PRV0001", "private", Sort::Private, "T0SIM0001", &everybody[1..3]);
    channel(world, "C0PUB0001", "public", Sort::Public, "T0SIM0001", &everybody[1..3]);
    if let Some(shared) = world.channels.get_mut("C0SHR0001") {
        shared.shared_with.push(ELSEWHERE.to_owned());
    }
    if options.second_team {
        install(world, team("T0SIM0002", "Globex", None, 2));
        person(world, "U0GIA0001", "gia", "Gia Globe", "T0SIM0002");
        person(world, "U0HUG0001", "hugo", "Hugo Globe", "T0SIM0002");
        let members = ["U0BOT0002", "U0GIA0001", "U0HUG0001"];
        channel(world, "C0GLX0001", "globex", Sort::Public, "T0SIM0002", &members);
    }
    world.tokens.insert(APP_TOKEN.to_owned(), Token { team: None, revoked: false });
}

fn team(id: &str, name: &str, enterprise: Option<String>, number: u32) -> Team {
    Team {
        id: id.to_owned(),
        name: name.to_owned(),
        domain: name.to_lowercase(),
        enterprise,
        bot_user: format!("U0BOT{number:04}"),
        bot: format!("B0BOT{number:04}"),
        token: format!("xoxb-sim-{number}-secret"),
    }
}

fn install(world: &mut World, team: Team) {
    person(world, &team.bot_user, "switchboard", "Switchboard", &team.id);
    if let Some(user) = world.users.get_mut(&team.bot_user) {
        user.bot = Some(team.bot.clone());
    }
    world.tokens.insert(team.token.clone(), Token { team: Some(team.id.clone()), revoked: false });
    world.teams.push(team);
}

/// Adds a person.
pub(crate) fn person(world: &mut World, id: &str, name: &str, real: &str, team: &str) {
    let user = User {
        id: id.to_owned(),
        name: name.to_owned(),
        real_name: real.to_owned(),
        display_name: name.to_owned(),
        team: team.to_owned(),
        ..User::default()
    };
    world.users.insert(id.to_owned(), user);
}

fn channel(world: &mut World, id: &str, name: &str, sort: Sort, team: &str, members: &[&str]) {
    let members = members.iter().map(|&member| member.to_owned()).collect();
    world.channels.insert(id.to_owned(), Channel::new(id, name, sort, team, members));
}
