//! Who somebody is: members, guests, people of other organisations, bots.
//!
//! An event names a user and nothing that says what sort of user; Slack's `users.info` does.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chat::payload::{is, text};
use serde_json::Value;

use super::{
    api::{Api, Workspace},
    fault::Fault,
};

/// How long an answer counts. A person whose account was closed cannot write any more, so only a name gets old.
const KEPT: Duration = Duration::from_secs(600);
const KEPT_MAX: usize = 10_000;
const NAME_CHARS_MAX: usize = 80;

/// What Slack says of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) standing: Standing,
}

/// How a user stands to the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A full member.
    Member,
    /// Invited into some channels.
    Guest,
    /// Of another organisation, seen in a channel that is shared with it.
    Stranger { team: String },
    /// An app, or Slack itself.
    Bot,
    /// An account that was closed.
    Gone,
}

/// Remembers who is who.
#[derive(Debug, Default)]
pub(super) struct People(Mutex<HashMap<(String, String), (Known, Instant)>>);

impl People {
    /// Looks a user up.
    pub(super) async fn know(&self, api: &Api, workspace: &Workspace, user: &str) -> Result<Known, Fault> {
        let key = (workspace.team.clone(), user.to_owned());
        if let Some((known, at)) = self.kept().get(&key)
            && at.elapsed() < KEPT
        {
            return Ok(known.clone());
        }
        let answer = api.user(workspace, user).await?;
        let known = read(&workspace.team, answer.get("user").unwrap_or(&Value::Null));
        let mut kept = self.kept();
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, (_, at)| at.elapsed() < KEPT);
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
        }
        kept.insert(key, (known.clone(), Instant::now()));
        Ok(known)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<(String, String), (Known, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(team: &str, user: &Value) -> Known {
    let name = text(user, &["profile", "display_name"])
        .or_else(|| text(user, &["profile", "real_name"]))
        .or_else(|| text(user, &["real_name"]))
        .or_else(|| text(user, &["name"]))
        .unwrap_or_default();
    let name = chat::text::clip(&channel::inert(name), NAME_CHARS_MAX);
    let own = text(user, &["team_id"]);
    // In an Enterprise organisation a user belongs to the organisation and is seen in several of its workspaces.
    let teams = user.get("enterprise_user").and_then(|user| user.get("teams")).and_then(Value::as_array);
    let here = own == Some(team)
        || teams.is_some_and(|teams| teams.iter().any(|known| known.as_str() == Some(team)))
        || own.is_none();
    let standing = if is(user, &["is_bot"]) || text(user, &["id"]) == Some("USLACKBOT") {
        Standing::Bot
    } else if is(user, &["deleted"]) {
        Standing::Gone
    } else if is(user, &["is_stranger"]) || !here {
        Standing::Stranger { team: own.unwrap_or("another organisation").to_owned() }
    } else if is(user, &["is_restricted"]) || is(user, &["is_ultra_restricted"]) {
        Standing::Guest
    } else {
        Standing::Member
    };
    Known { name, standing }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sorts_of_users_are_told_apart() {
        let standing = |user: Value| read("T1", &user).standing;
        assert_eq!(standing(json!({ "id": "U1", "team_id": "T1" })), Standing::Member);
        assert_eq!(standing(json!({ "team_id": "T1", "is_restricted": true })), Standing::Guest);
        assert_eq!(standing(json!({ "team_id": "T1", "is_ultra_restricted": true })), Standing::Guest);
        assert_eq!(standing(json!({ "team_id": "T9" })), Standing::Stranger { team: "T9".into() });
        assert_eq!(
            standing(json!({ "team_id": "T1", "is_stranger": true })),
            Standing::Stranger { team: "T1".into() }
        );
        assert_eq!(standing(json!({ "team_id": "T1", "is_bot": true })), Standing::Bot);
        assert_eq!(standing(json!({ "id": "USLACKBOT", "team_id": "T1" })), Standing::Bot);
        assert_eq!(standing(json!({ "team_id": "T1", "deleted": true })), Standing::Gone);
        let org = json!({ "team_id": "T2", "enterprise_user": { "id": "W1", "teams": ["T2", "T1"] } });
        assert_eq!(standing(org), Standing::Member);
    }

    #[test]
    fn a_name_is_shown_and_hides_nothing() {
        let user = json!({ "team_id": "T1", "name": "ana", "profile": { "display_name": "A\u{202e}na", "real_name": "Ana B" } });
        assert_eq!(read("T1", &user).name, "A\\u{202e}na");
        assert_eq!(
            read("T1", &json!({ "team_id": "T1", "name": "ana", "profile": { "display_name": "" } })).name,
            "ana"
        );
    }
}
