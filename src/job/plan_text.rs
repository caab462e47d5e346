//! The plan of a run as text for people.

use super::run_plan::RunPlan;
use super::text::{grouped, line, plural};
use serde_json::Value;

/// Number of names and calls that are shown.
const MAX_SHOWN: usize = 20;

impl RunPlan {
    /// Writes the facts of the plan that the rest of the report does not have.
    pub(super) fn write_text(&self, out: &mut String) {
        let plan = self.to_json();
        for (key, names) in plan["names"].as_object().into_iter().flatten() {
            let names: Vec<&str> = names.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let shown: Vec<String> = names.iter().take(3).map(|name| format!("\"{name}\"")).collect();
            let more = if names.len() > 3 { format!(", … {} in all", names.len()) } else { String::new() };
            line(out, &key.replace('_', " "), &format!("{}{more}", shown.join(", ")));
        }
        let parts = plan["parts"].as_array().map_or(0, Vec::len);
        if parts > 1 {
            let largest =
                plan["parts"].as_array().into_iter().flatten().filter_map(|part| part["bytes"].as_u64()).max();
            line(out, "parts", &format!("{parts} of at most {} bytes", grouped(largest.unwrap_or(0))));
        }
        for (n, call) in plan["calls"].as_array().into_iter().flatten().take(MAX_SHOWN).enumerate() {
            line(out, if n == 0 { "a run would call" } else { "" }, &call_text(call));
        }
        if let Some(end) = plan["finish_by"].as_str() {
            line(out, "finish by", &format!("{end}, if it starts now and no call has to be repeated"));
        }
    }
}

fn call_text(call: &Value) -> String {
    let word = |key: &str| call[key].as_str().unwrap_or_default();
    let count = match call["count"].as_u64() {
        Some(1) => "once".to_owned(),
        Some(n) => format!("{} times", grouped(n)),
        None => "as often as needed".to_owned(),
    };
    let limit = call["quota"].as_object().map(|quota| {
        let number = |key: &str| quota.get(key).and_then(Value::as_u64).unwrap_or(0);
        let (calls, seconds) = (number("calls"), number("seconds"));
        let window = match seconds {
            3600 => "an hour".to_owned(),
            60 => "a minute".to_owned(),
            seconds => format!("in {seconds} s"),
        };
        format!(", of {calls} call{} {window}", plural(calls))
    });
    let at_once = call["at_once"].as_u64().map(|most| format!(", at most {most} at a time"));
    let (limit, at_once) = (limit.unwrap_or_default(), at_once.unwrap_or_default());
    format!("{}: {count}{limit}{at_once} ({})", word("call"), word("purpose"))
}
