//! What a Redis must be like before anything is trusted to it.

use redis::{Cmd, FromRedisValue, RedisResult, Value};
use store::Error;

use crate::{
    fault,
    link::{Durability, Link, Options},
};

/// The oldest server with everything that the scripts use.
const VERSION_MIN: (u32, u32) = (7, 0);

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) version: String,
    pub(crate) durability: Durability,
    /// Its `maxmemory` in bytes, 0 for none.
    pub(crate) memory_max: u64,
    /// What its data have come by: another name whenever it was made the master, empty where it does not tell.
    pub(crate) history: String,
}

/// A field of what `INFO` says.
pub(crate) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// Looks at the server, and refuses one that would lose what it was given.
pub(crate) async fn check(link: &Link, options: &Options) -> Result<Server, Error> {
    let ask = |cmd| async move { link.ask(cmd).await };
    look(ask, options.durability).await
}

/// The same by whatever asks it.
pub(crate) async fn look<Said: Future<Output = RedisResult<Value>>>(
    ask: impl Fn(Cmd) -> Said,
    wanted: Durability,
) -> Result<Server, Error> {
    let info = text(ask(redis::cmd("INFO")).await)?;
    let policy = match ask(redis::cmd("CONFIG").arg("GET").arg("appendfsync").to_owned()).await {
        Ok(answer) => <Vec<String>>::from_redis_value(answer).ok().and_then(|pair| pair.get(1).cloned()),
        // A hosted Redis may not tell.
        Err(_) => None,
    };
    judge(&info, policy.as_deref(), wanted)
}

/// What `INFO` says.
pub(crate) async fn info(link: &Link) -> Result<String, Error> {
    text(link.ask(redis::cmd("INFO")).await)
}

fn text(info: RedisResult<Value>) -> Result<String, Error> {
    let info = info.map_err(|error| fault::away(&error))?;
    String::from_redis_value(info).map_err(|_| fault::damaged("INFO is not text"))
}

fn judge(info: &str, fsync: Option<&str>, wanted: Durability) -> Result<Server, Error> {
    let refused = |why: String| Err(Error::Refused { why });
    let version = field(info, "redis_version").unwrap_or("0").to_owned();
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < VERSION_MIN {
        let (major, minor) = VERSION_MIN;
        return refused(format!("Redis is version {version}; {major}.{minor} is the oldest that will do"));
    }
    if field(info, "role").is_some_and(|role| role != "master") {
        let why =
            "this Redis is a replica; name its master in `store.url`, or wait if a fail-over is under way";
        return refused(why.to_owned());
    }
    let eviction = field(info, "maxmemory_policy").unwrap_or("noeviction");
    if eviction != "noeviction" {
        return refused(format!(
            "Redis may throw conversations away when it is full (maxmemory-policy {eviction}); set \
             `maxmemory-policy noeviction` in redis.conf, or with CONFIG SET and CONFIG REWRITE"
        ));
    }
    let durability = match (field(info, "aof_enabled"), fsync) {
        (Some("1"), Some("always")) => Durability::Always,
        (Some("1"), Some("everysec")) => Durability::EverySecond,
        _ => Durability::None,
    };
    if durability < wanted {
        let (had, set) = match (field(info, "aof_enabled"), fsync) {
            (Some("1"), Some(fsync)) => (format!("appendfsync is {fsync}"), String::new()),
            (Some("1"), None) => {
                ("it does not tell its appendfsync".to_owned(), "let the user run CONFIG GET, or ".to_owned())
            }
            _ => ("it has no append-only file".to_owned(), String::new()),
        };
        let policy = if wanted == Durability::Always { "always" } else { "everysec" };
        return refused(format!(
            "Redis keeps less than `store.durability` asks for: {had}; {set}set `appendonly yes` and \
             `appendfsync {policy}` in redis.conf, or ask for less"
        ));
    }
    let memory_max = field(info, "maxmemory").and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
    let history = field(info, "master_replid").unwrap_or_default().to_owned();
    Ok(Server { version, durability, memory_max, history })
}

/// How full a Redis is, in hundredths; nothing where it has no bound.
pub(crate) fn fullness(info: &str) -> Option<u64> {
    let number = |name| field(info, name).and_then(|text| text.parse::<u64>().ok());
    let (used, max) = (number("used_memory")?, number("maxmemory")?);
    used.saturating_mul(100).checked_div(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(more: &str) -> String {
        format!("# Server\r\nredis_version:7.0.15\r\nrole:master\r\nused_memory:80\r\n{more}")
    }

    fn why(info: &str, fsync: Option<&str>, wanted: Durability) -> String {
        judge(info, fsync, wanted).expect_err("it is not sound").to_string()
    }

    #[test]
    fn what_would_lose_something_is_refused_with_its_remedy() {
        let sound = info("maxmemory_policy:noeviction\r\naof_enabled:1\r\nmaxmemory:100\r\n");
        for (fsync, had) in [("always", Durability::Always), ("everysec", Durability::EverySecond)] {
            let server = judge(&sound, Some(fsync), Durability::EverySecond).expect("it is sound");
            assert_eq!((server.durability, server.memory_max), (had, 100));
        }
        assert!(why(&sound, Some("everysec"), Durability::Always).contains("appendfsync always"));
        assert!(why(&sound, Some("no"), Durability::EverySecond).contains("appendfsync everysec"));
        assert!(why(&sound, None, Durability::EverySecond).contains("CONFIG GET"));
        assert!(judge(&sound, None, Durability::None).is_ok());
        let evicts = info("maxmemory_policy:allkeys-lru\r\naof_enabled:1\r\n");
        assert!(why(&evicts, Some("always"), Durability::None).contains("noeviction"));
        let forgets = info("maxmemory_policy:noeviction\r\naof_enabled:0\r\n");
        assert!(why(&forgets, Some("always"), Durability::EverySecond).contains("appendonly yes"));
        let old = "redis_version:6.2.14\r\nrole:master\r\n";
        assert!(why(old, Some("always"), Durability::None).contains("7.0"));
        let replica = sound.replace("role:master", "role:slave");
        assert!(why(&replica, Some("always"), Durability::None).contains("replica"));
    }

    #[test]
    fn it_is_as_full_as_it_says() {
        assert_eq!(fullness(&info("maxmemory:100\r\n")), Some(80));
        assert_eq!(fullness(&info("maxmemory:0\r\n")), None);
        assert_eq!(fullness(""), None);
    }
}
