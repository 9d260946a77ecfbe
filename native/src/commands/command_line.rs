//! The command line that is running, as a report shows it.

/// This very command, quoted so that a shell reads it back.
pub(crate) fn own_command() -> String {
    let arguments = std::env::args_os()
        .skip(1)
        .map(|argument| quoted(&argument.to_string_lossy()));
    std::iter::once("rarebit".to_owned())
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(argument: &str) -> String {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "-_./=:,@%+".contains(character);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_quoted_for_a_shell() {
        assert_eq!(quoted("runs/dpo"), "runs/dpo");
        assert_eq!(quoted("DPO's tales"), r"'DPO'\''s tales'");
        assert_eq!(quoted(""), "''");
    }
}
