//! Profiles in the files that the AWS command line uses.

/// Returns the keys of a profile. `credentials` and `config` are the contents of the two files; in the second one,
/// profiles but the default one are named `[profile NAME]`. The first file wins.
pub(super) fn keys(profile: &str, credentials: &str, config: &str) -> Vec<(String, String)> {
    let mut keys = section(credentials, &[profile]);
    let long = format!("profile {profile}");
    // without the word only the default one is a profile there
    let names = if profile == "default" { vec!["default", long.as_str()] } else { vec![long.as_str()] };
    for (name, value) in section(config, &names) {
        if !keys.iter().any(|(known, _)| *known == name) {
            keys.push((name, value));
        }
    }
    keys
}

fn section(text: &str, names: &[&str]) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    let mut is_inside = false;
    for line in text.lines() {
        // an indented line belongs to the key before it
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
            is_inside = names.contains(&name.as_str());
        } else if is_inside
            && !line.starts_with(['#', ';'])
            && let Some((name, value)) = line.split_once('=')
        {
            let value = value.split(" #").next().unwrap_or_default().trim();
            keys.push((name.trim().to_ascii_lowercase(), value.to_owned()));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_read_from_both_files() {
        let credentials = "# keys\n[default]\naws_access_key_id = AKDEF\naws_secret_access_key=def/secret=\n\n\
                           [ etl ]\nAWS_ACCESS_KEY_ID=AKETL # new\naws_secret_access_key = s\n";
        let config = "[default]\nregion = eu-west-1\ns3 =\n  addressing_style = path\n\
                      [profile etl]\nregion=us-east-2\naws_access_key_id=OTHER\n[etl]\nregion=wrong\n";
        let of = |profile: &str, name: &str| {
            keys(profile, credentials, config).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
        };
        assert_eq!(of("default", "aws_secret_access_key").as_deref(), Some("def/secret="));
        assert_eq!(of("default", "region").as_deref(), Some("eu-west-1"));
        assert_eq!(of("default", "addressing_style"), None);
        assert_eq!(of("etl", "aws_access_key_id").as_deref(), Some("AKETL"));
        assert_eq!(of("etl", "region").as_deref(), Some("us-east-2"));
        assert!(keys("gone", credentials, config).is_empty());
    }
}
