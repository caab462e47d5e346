//! Lengths of files and functions, and numbers of parameters.

/// A function: its line, its name, its number of lines and parameters, and whether a comment before it or an `allow`
/// gives a reason for its size.
pub(crate) struct Function {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) lines: usize,
    pub(crate) parameters: usize,
    pub(crate) has_reason: bool,
}

/// Returns the functions of a formatted file.
pub(crate) fn functions(text: &str) -> Vec<Function> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = (at..lines.len()).find(|&end| {
            let last = lines[end];
            last == format!("{indent}}}") || (end == at && (last.ends_with('}') || last.ends_with(';')))
        });
        let (above, end) = (above(&lines[..at]), end.unwrap_or(at));
        let has_reason = above.iter().any(|line| line.starts_with("// ") || line.contains("reason ="));
        let parameters = parameters(&lines[at..(at + 14).min(lines.len())].join(" "));
        found.push(Function { line: at + 1, name, lines: end - at + 1, parameters, has_reason });
    }
    found
}

/// Returns the attributes and comments right before a line.
fn above<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let is_about = |line: &&str| line.starts_with("//") || line.starts_with('#') || line.starts_with("reason");
    lines.iter().rev().map(|line| line.trim()).take_while(is_about).collect()
}

fn name(line: &str) -> Option<String> {
    let mut words = line.trim_start();
    if words.starts_with("//") {
        return None;
    }
    loop {
        if let Some(rest) = words.strip_prefix("fn ") {
            return Some(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
        let (word, rest) = words.split_once(' ')?;
        let is_modifier =
            matches!(word, "pub" | "const" | "async" | "unsafe" | "(in" | "extern") || word.starts_with("pub(");
        words = if is_modifier {
            rest.trim_start_matches(|c: char| c != 'f' && c != 'a' && c != 'c' && c != 'u')
        } else {
            return None;
        };
    }
}

/// Counts the parameters, except `self`, in a text that starts with a signature.
fn parameters(signature: &str) -> usize {
    let Some(open) = signature.find("fn ").and_then(|at| Some(at + signature[at..].find('(')?)) else { return 0 };
    let (mut depth, mut parts, mut before) = (0, vec![String::new()], ' ');
    for c in signature[open..].chars() {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            '>' if before == '-' || before == '=' => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            ',' if depth == 1 => parts.push(String::new()),
            _ => {}
        }
        before = c;
        if depth == 0 {
            break;
        }
        parts.last_mut().unwrap().push(c);
    }
    let is_parameter = |part: &&String| {
        let part = part.trim_start_matches(['(', ',']).trim();
        !part.is_empty() && part.trim_start_matches('&').split([':', ' ']).all(|word| word != "self")
    };
    parts.iter().filter(is_parameter).count()
}
