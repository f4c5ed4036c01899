//! Tools that are part of the gateway.

use agent::{Builtin, FaultKind, Outcome, ToolSpec};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use crate::{
    output::{Head, failed, limit},
    seam::Call,
};

/// Runs one call.
pub(crate) async fn run(builtin: Builtin, spec: &ToolSpec, call: Call<'_>) -> Outcome {
    match builtin {
        Builtin::Clock => clock(Timestamp::now()),
        Builtin::ReadFile => {
            let Some(name) = call.args.get("name").and_then(Value::as_str) else {
                return failed(FaultKind::BadCall, "`name` must be the name of a file of this conversation.");
            };
            let reading = read_file(name, spec.output_bytes_max, call);
            match tokio::time::timeout(limit(spec), reading).await {
                Ok(outcome) => outcome,
                Err(_) => failed(
                    FaultKind::ToolTimeout,
                    format!("The file was not there after {}; try again later.", spec.timeout),
                ),
            }
        }
    }
}

fn clock(now: Timestamp) -> Outcome {
    let utc = now.to_zoned(TimeZone::UTC);
    Outcome::Done(json!({
        "utc": utc.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "weekday": utc.strftime("%A").to_string(),
    }))
}

async fn read_file(name: &str, max: usize, call: Call<'_>) -> Outcome {
    let Some((file, bytes)) = call.files.read(name).await else {
        return failed(
            FaultKind::ToolFailed,
            "There is no kept file of that name in this conversation; use a name that stands in it.",
        );
    };
    if bytes.contains(&0) || std::str::from_utf8(&bytes).is_err() {
        return failed(
            FaultKind::ToolFailed,
            format!("The file is not text ({}, {} bytes); it cannot be read.", file.kind, file.size),
        );
    }
    let mut head = Head::new(max);
    head.take(&bytes);
    let text = match (head.is_cut(), head.value(true)) {
        // A whole text stays as it is, also when it happens to be JSON.
        (false, _) => String::from_utf8_lossy(&bytes).into_owned(),
        (true, Value::String(cut)) => cut,
        (true, value) => value.to_string(),
    };
    Outcome::Done(json!({ "name": file.name, "kind": file.kind, "size": file.size, "text": text }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_says_date_time_and_weekday() {
        let now = "2026-11-23T02:41:50.123Z".parse().unwrap();
        assert_eq!(clock(now), Outcome::Done(json!({ "utc": "2026-11-23T02:41:50Z", "weekday": "Monday" })));
    }
}
