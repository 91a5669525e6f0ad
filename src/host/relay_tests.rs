//! The agents' three parsers, ported as oracles, against hostile output.

use super::*;
use proptest::prelude::*;

/// GitHub's current parser: `TrimStart`, `::`, a name, `::`.
fn github_v2(line: &str) -> bool {
    let trimmed = line.trim_start();
    trimmed.strip_prefix("::").is_some_and(|rest| rest.find("::").is_some_and(|end| end > 0))
}

/// GitHub's old parser: `##[` anywhere, closed by `]`.
fn github_v1(line: &str) -> bool {
    let visible: String = line.chars().filter(|char| !ignorable(*char)).collect();
    visible.find("##[").is_some_and(|at| visible[at..].contains(']'))
}

/// Azure's parser: `##vso[` anywhere in any case, closed by `]`.
fn azure(line: &str) -> bool {
    let visible: String =
        line.chars().filter(|char| !ignorable(*char)).collect::<String>().to_lowercase();
    visible.find("##vso[").is_some_and(|at| visible[at..].contains(']'))
}

/// What a culture-sensitive comparison may skip.
fn ignorable(char: char) -> bool {
    char.is_control() || is_invisible(char)
}

fn relayed(chunks: &[&[u8]]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut relay = Relay::new(|line: &str| lines.push(line.to_owned()));
    for chunk in chunks {
        relay.push(chunk);
    }
    relay.finish();
    lines
}

#[test]
fn the_oracles_see_commands_where_the_agents_do() {
    assert!(github_v2(" \u{a0}::set-output name=x::y") && github_v2("::ADD-mask::x"));
    assert!(github_v1("text ##[add-mask]x") && azure("text ##VSO[task.setvariable variable=x]y"));
    assert!(azure("#\u{200b}#vso[task.complete]"));
    assert!(!github_v2("| ::group::x") && !github_v1("**[group]") && !azure("**vso[task]"));
}

#[test]
fn lines_end_at_lf_cr_and_crlf() {
    assert_eq!(relayed(&[b"a\nb\rc\r\nd\n\ne"]), ["| a", "| b", "| c", "| d", "| ", "| e"]);
    assert_eq!(relayed(&[b"a\r", b"\nb"]), ["| a", "| b"]);
    assert_eq!(relayed(&[b"a\r", b"b"]), ["| a", "| b"]);
}

#[test]
fn commands_are_broken_and_readable() {
    assert_eq!(relayed(&[b"##vso[task.complete]"]), ["| **vso[task.complete]"]);
    assert_eq!(relayed(&[b"x ##[error]y"]), ["| x **[error]y"]);
    assert_eq!(relayed(&[b"  ::error::x"]), ["|   ::error::x"]);
    assert_eq!(relayed(&[b"## A heading #1"]), ["| ## A heading #1"]);
}

#[test]
fn removing_a_sequence_joins_nothing_into_a_command() {
    for hostile in [
        "#\u{1b}[0m#vso[task.complete]",
        "#\u{200b}#[error]",
        "##v\u{ad}so[x]y",
        "##\u{1b}]0;t\u{7}[group]",
        "\u{1b}####[x]",
    ] {
        let lines = relayed(&[hostile.as_bytes()]);
        assert!(
            lines.iter().all(|line| !github_v1(line) && !azure(line)),
            "{hostile:?} -> {lines:?}"
        );
    }
}

#[test]
fn a_long_line_is_cut_and_memory_stays_small() {
    let chunk = vec![b'x'; 1 << 20];
    let mut seen = Vec::new();
    let mut relay = Relay::new(|line: &str| seen.push(line.len()));
    for _ in 0..16 {
        relay.push(&chunk);
        assert!(relay.line.capacity() <= 2 * MAX_LINE);
    }
    relay.push(b"\nnext\n");
    assert_eq!(seen, [PREFIX.len() + MAX_LINE + CUT.len(), "| next".len()]);
}

#[test]
fn our_own_lines_lose_their_power_but_not_their_words() {
    assert_eq!(harmless_lines("run `::error::` 1"), ["run `::error::` 1"]);
    assert_eq!(harmless_lines(" ::error::x\n##[y]"), ["|  ::error::x", "**[y]"]);
}

/// Pieces that attack, glued in any order with any bytes between.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"::".to_vec()),
        Just(b"##[".to_vec()),
        Just(b"##vso[".to_vec()),
        Just(b"##VsO[task.setvariable variable=a]b".to_vec()),
        Just(b"::set-env name=x::y".to_vec()),
        Just(b"#".to_vec()),
        Just(b"]".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\x1b[31m".to_vec()),
        Just(b"\x1b]0;".to_vec()),
        Just(b"\x1b".to_vec()),
        Just("\u{200b}".as_bytes().to_vec()),
        Just("\u{202e}".as_bytes().to_vec()),
        Just("\u{a0}\u{2003}\u{85}".as_bytes().to_vec()),
        Just(b"vso[".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_output_yields_a_command(bytes in hostile()) {
        for line in relayed(&[&bytes]) {
            prop_assert!(!github_v2(&line) && !github_v1(&line) && !azure(&line), "{line:?}");
            prop_assert!(!line.contains(['\r', '\n']), "{line:?}");
        }
    }

    #[test]
    fn where_a_chunk_ends_changes_nothing(bytes in hostile(), at in any::<proptest::sample::Index>()) {
        let cut = at.index(bytes.len() + 1);
        prop_assert_eq!(relayed(&[&bytes[..cut], &bytes[cut..]]), relayed(&[&bytes]));
    }

    #[test]
    fn no_name_in_a_line_of_ours_yields_a_command(bytes in hostile()) {
        for line in harmless_lines(&String::from_utf8_lossy(&bytes)) {
            prop_assert!(!github_v2(&line) && !github_v1(&line) && !azure(&line), "{line:?}");
        }
    }
}
