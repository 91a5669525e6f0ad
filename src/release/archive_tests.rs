use proptest::prelude::*;

use super::*;

fn entry(path: &str, bytes: &[u8]) -> FileEntry {
    FileEntry {
        path: path.to_owned(),
        size: bytes.len() as u64,
        sha256: Sha256::of(bytes),
        mode: 0o644,
    }
}

fn packed(files: &[(&str, &[u8])]) -> (Vec<u8>, Vec<FileEntry>) {
    let entries: Vec<_> = files.iter().map(|(path, bytes)| entry(path, bytes)).collect();
    let mut out = Vec::new();
    for (entry, (_, bytes)) in entries.iter().zip(files) {
        append(&mut out, entry, bytes).unwrap();
    }
    finish(&mut out).unwrap();
    (out, entries)
}

fn unpacked(tar: &[u8], files: &[FileEntry]) -> Result<Vec<(String, Vec<u8>)>, Refusal> {
    let mut kept = Vec::new();
    read(tar, files, |entry, bytes| {
        kept.push((entry.path.clone(), bytes));
        Ok(())
    })?;
    Ok(kept)
}

/// Changes a header and makes its checksum right again.
fn forged(tar: &[u8], at: usize, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut tar = tar.to_vec();
    let block: &mut [u8; BLOCK] = (&mut tar[at..at + BLOCK]).try_into().unwrap();
    change(block);
    let sum = checksum(block);
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar
}

fn named(block: &mut [u8], name: &[u8]) {
    block[..100].fill(0);
    block[..name.len()].copy_from_slice(name);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "another reader of tar")]
fn an_archive_is_read_by_other_tools_too() {
    let long = format!("{}/{}", "folder".repeat(20), "file".repeat(20));
    let (tar, entries) = packed(&[("a.txt", b"hello"), (&long, &[7; 1000]), ("z", b"")]);
    let kept = unpacked(&tar, &entries).unwrap();
    assert_eq!(kept[0].1, b"hello");
    let script = "import sys, tarfile, io\nt = tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()))\nfor m in t: print(m.name, m.size, oct(m.mode), m.mtime, m.isreg())";
    let mut child = std::process::Command::new("python3")
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&tar).unwrap();
    let seen = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let expected = format!(
        "a.txt 5 0o644 {TIME} True\n{long} 1000 0o644 {TIME} True\nz 0 0o644 {TIME} True\n"
    );
    assert_eq!(seen, expected);
}

/// Each is an archive that some reader takes: what is wrong, and the word that
/// the refusal must hold.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn thirty_hostile_archives_are_refused_with_their_reason() {
    let (tar, files) = packed(&[("a.txt", b"hello"), ("b.txt", b"world")]);
    let kind = |kind: u8| forged(&tar, 0, |block| block[156] = kind);
    let name = |name: &'static [u8]| forged(&tar, 0, |block| named(block, name));
    let second = |name: &'static [u8]| forged(&tar, 1024, |block| named(block, name));
    let link = |kind: u8| {
        forged(&tar, 0, |block| {
            block[156] = kind;
            block[157..168].copy_from_slice(b"/etc/passwd");
        })
    };
    let without_end = tar[..tar.len() - 1024].to_vec();
    let mut third = without_end.clone();
    append(&mut third, &entry("c.txt", b"more"), b"more").unwrap();
    finish(&mut third).unwrap();
    let mut after_end = tar.clone();
    after_end.extend_from_slice(&tar);
    let mut byte_after_end = tar.clone();
    byte_after_end.push(0);
    let mut swapped = tar[1024..2048].to_vec();
    swapped.extend_from_slice(&tar[..1024]);
    swapped.extend_from_slice(&tar[2048..]);
    let mut flipped = tar.clone();
    flipped[512] ^= 1;
    let mut filler = tar.clone();
    filler[1023] = 1;
    let mut damaged = tar.clone();
    damaged[0] ^= 1;
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("leaves the folder", name(b"../a.txt"), "leaves"),
        ("leaves it in the middle", name(b"x/../../a.txt"), "leaves"),
        ("absolute", name(b"/etc/passwd"), "absolute"),
        ("backslash", name(b"..\\a.txt"), "backslash"),
        ("drive", name(b"C:a.txt"), "colon"),
        ("line end in the name", name(b"a\nb"), "control"),
        ("a second name after a zero", name(b"a.txt\0evil"), "control"),
        ("not UTF-8", name(b"a\xff.txt"), "UTF-8"),
        ("empty name", name(b""), "empty"),
        ("a dot", name(b"./a.txt"), "leaves"),
        ("a device's name", name(b"NUL.txt"), "Windows"),
        ("the same name twice", second(b"a.txt"), "twice"),
        ("another case of a name", second(b"A.TXT"), "case"),
        ("file and folder", second(b"a.txt/x"), "folder"),
        ("hard link", link(b'1'), "hard link"),
        ("symbolic link", link(b'2'), "symbolic link"),
        ("a link's name at a file", link(b'0'), "linked"),
        ("character device", kind(b'3'), "device"),
        ("block device", kind(b'4'), "device"),
        ("folder", kind(b'5'), "folder"),
        ("named pipe", kind(b'6'), "pipe"),
        ("contiguous file", kind(b'7'), "contiguous"),
        ("old form", kind(0), "old tar"),
        ("unknown kind", kind(b'Z'), "unknown kind"),
        ("sparse", kind(b'S'), "sparse"),
        ("PAX header", kind(b'x'), "PAX"),
        ("global PAX header", kind(b'g'), "PAX"),
        ("GNU long name", kind(b'L'), "long names"),
        (
            "GNU magic",
            forged(&tar, 0, |block| block[257..265].copy_from_slice(b"ustar  \0")),
            "GNU",
        ),
        ("no magic", forged(&tar, 0, |block| block[257..265].fill(0)), "not ustar"),
        ("size in base 256", forged(&tar, 0, |block| block[124] = 0x80), "size"),
        ("another size", forged(&tar, 0, |block| octal(&mut block[124..136], 6)), "6 bytes"),
        ("another mode", forged(&tar, 0, |block| octal(&mut block[100..108], 0o4755)), "mode 4755"),
        ("an owner", forged(&tar, 0, |block| octal(&mut block[108..116], 1000)), "another form"),
        ("another time", forged(&tar, 0, |block| octal(&mut block[136..148], 0)), "another form"),
        ("wrong checksum", damaged, "checksum"),
        ("a byte changed", flipped, "not those of the manifest"),
        ("something in the filler", filler, "not zero"),
        ("not listed", third, "does not list"),
        ("another name", name(b"other.txt"), "does not list"),
        ("another order", swapped, "comes where"),
        ("an archive after the archive", after_end, "follows the end"),
        ("a byte after the archive", byte_after_end, "follows the end"),
        ("no end", without_end, "ends in the middle"),
        ("cut in a file", tar[..520].to_vec(), "ends in the middle"),
        ("nothing", Vec::new(), "ends in the middle"),
        ("a file is missing", [&tar[..1024], &[0; 1024]].concat(), "does not have it"),
    ];
    assert!(cases.len() >= 30);
    for (what, tar, words) in cases {
        let told = unpacked(&tar, &files).unwrap_err().to_string();
        assert!(told.contains(words), "{what}: {told}");
    }
}

proptest! {
    #[test]
    fn one_changed_byte_is_always_seen(
        at in 0usize..4096, bit in 0u8..8,
    ) {
        let (mut tar, files) = packed(&[("a.txt", &[1; 700]), ("b/c.txt", b"world")]);
        let at = at % tar.len();
        tar[at] ^= 1 << bit;
        prop_assert!(unpacked(&tar, &files).is_err(), "byte {}", at);
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        let (_, files) = packed(&[("a.txt", b"hello")]);
        prop_assert!(unpacked(&bytes, &files).is_err());
    }
}

#[test]
fn a_file_that_is_too_large_is_refused_before_it_is_read() {
    let (tar, mut entries) = packed(&[("a", b"x")]);
    for size in [MOST_BYTES + 1, 8 << 30, (1 << 36) - 1] {
        entries[0].size = size;
        assert!(matches!(
            append(&mut Vec::new(), &entries[0], b"x"),
            Err(Refusal::TooLarge { .. })
        ));
        let stated = forged(&tar, 0, |block| {
            block[124..136].copy_from_slice(format!("{size:012o}").as_bytes());
        });
        let refused = unpacked(&stated, &entries).unwrap_err();
        assert!(matches!(refused, Refusal::TooLarge { .. }), "{refused}");
    }
}
