//! Backup files that are damaged, and what standard tools read of a whole one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use isobar_abstraction::driver::Clock;
use isobar_abstraction::driver::key_value::Put;
use isobar_abstraction::{Error, ErrorKind};
use isobar_moving::backup::Backup;
use isobar_moving::{Journal, Options, backup, migrate};
use tempfile::TempDir;

use crate::support::{Place, Random, is_equal};

const BLOCK: usize = 512;

struct Made {
    source: Place,
    folder: TempDir,
    bytes: Vec<u8>,
}

impl Made {
    /// A small backup of items, some of which expire and are no text, and of objects.
    async fn new() -> Self {
        let (source, folder) = (Place::memory(), TempDir::new().unwrap());
        source.fill(0..40, 0..6).await;
        let expiry = source.clock.now() + Duration::from_millis(86_400_123);
        source.table().put(Put::new("expires", "x").with_expires_at(expiry)).await.unwrap();
        source.table().put(Put::new("binary", vec![0xff, 0, 0xfe])).await.unwrap();
        source.files().put("empty", "").await.unwrap();
        source.files().put("block", vec![b'x'; BLOCK]).await.unwrap();
        source.files().put("large", vec![b'y'; 3 * BLOCK + 1]).await.unwrap();
        let path = folder.path().join("whole.isobar");
        let clock: Arc<dyn Clock> = Arc::new(source.clock.clone());
        let made = backup(&source.side("from"), &path, clock, &Options::default(), &()).await.unwrap();
        assert!(is_equal(&made));
        let bytes = std::fs::read(&path).unwrap();
        Self { source, folder, bytes }
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join("damaged.isobar");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn open(&self, path: &Path) -> Result<Backup, Error> {
        Backup::open(path, Arc::new(self.source.clock.clone()))
    }

    /// Opens a file that is no whole backup.
    fn rejects(&self, path: &Path, what: &str) -> Error {
        let error = self.open(path).map(drop).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}: {error:?}");
        let text = error.to_string();
        assert!(text.contains(&*path.to_string_lossy()), "{what}: {text}");
        assert!(
            ["is damaged", "is not complete", "no backup", "of the format"].iter().any(|it| text.contains(it)),
            "{what}: {text}"
        );
        error
    }

    /// The offsets of the headers of the entries.
    fn headers(&self) -> Vec<usize> {
        let mut at = 0;
        let mut headers = Vec::new();
        while self.bytes[at] != 0 {
            headers.push(at);
            let size = std::str::from_utf8(&self.bytes[at + 124..at + 135]).unwrap();
            at += BLOCK + usize::from_str_radix(size, 8).unwrap().next_multiple_of(BLOCK);
        }
        headers
    }

    /// The file with another size in the header of an entry, whose checksum is right.
    fn with_size(&self, header: usize, size: u64) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let header = &mut bytes[header..header + BLOCK];
        header[124..136].fill(0);
        header[124] = 0x80;
        header[128..136].copy_from_slice(&size.to_be_bytes());
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes
    }
}

#[tokio::test]
async fn a_backup_that_was_cut_is_not_complete() {
    let made = Made::new().await;
    for length in (0..made.bytes.len()).step_by(BLOCK).chain([1, 100, 600, made.bytes.len() - 1]) {
        made.rejects(&made.file(&made.bytes[..length]), &format!("cut at {length}"));
    }
    let error = made.rejects(&made.file(&made.bytes[..made.bytes.len() / 2 / BLOCK * BLOCK]), "half");
    assert!(error.message().contains("not complete"), "{error:?}");
}

#[tokio::test]
async fn a_backup_with_one_flipped_bit_is_damaged() {
    let made = Made::new().await;
    let expected = made.source.content().await;
    let mut random = Random::new(7);
    let mut unnoticed = 0;
    for _ in 0..400 {
        let (at, bit) = (random.below(made.bytes.len() as u64) as usize, random.below(8));
        let mut bytes = made.bytes.clone();
        bytes[at] ^= 1 << bit;
        let path = made.file(&bytes);
        let Ok(opened) = made.open(&path) else {
            made.rejects(&path, &format!("bit {bit} of byte {at}"));
            continue;
        };
        // What fills up a block is in no hash.
        unnoticed += 1;
        let target = Place::memory();
        let (side, journal) = (opened.side(), Journal::in_memory().unwrap());
        assert!(is_equal(&migrate(&side, &target.side("to"), &journal, &Options::default(), &()).await.unwrap()));
        assert!(target.content().await == expected, "bit {bit} of byte {at} changes the content");
    }
    println!("{unnoticed} of 400 flips are in the padding of blocks");
    assert!(unnoticed < 300);
}

#[tokio::test]
async fn what_is_no_backup_is_rejected() {
    let made = Made::new().await;
    let twice = [&made.bytes[..], &made.bytes].concat();
    made.rejects(&made.file(&twice), "two backups");
    made.rejects(&made.file(&[&made.bytes[..], b"more"].concat()), "bytes after the end");
    made.rejects(&made.file(b""), "an empty file");
    made.rejects(&made.file(&[0; 1024]), "an empty archive");
    made.rejects(&made.file(b"no archive"), "a text");
    made.rejects(&made.file(&[0xff; 4096]), "bytes");
    made.rejects(made.folder.path(), "a folder");
    let other = archive(&[("readme.txt", b"hello")]);
    made.rejects(&made.file(&other), "another archive");
    let foreign = archive(&[(
        "isobar.json",
        br#"{"format": "another", "version": 1, "source": "x", "made_ms": 0, "tables": [], "buckets": []}"#,
    )]);
    made.rejects(&made.file(&foreign), "the head of another format");
    // A later version may have other members.
    let later = archive(&[("isobar.json", br#"{"format": "isobar-backup", "version": 2, "stores": []}"#)]);
    let error = made.rejects(&made.file(&later), "a later version");
    assert!(error.message().contains("version 2") && error.message().contains("newer"), "{error:?}");
    let missing = made.open(Path::new("/nowhere/at/all.isobar")).map(drop).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Unavailable);
    assert!(missing.to_string().contains("/nowhere/at/all.isobar"), "{missing}");
}

#[tokio::test]
async fn a_header_with_a_huge_size_needs_no_memory() {
    let made = Made::new().await;
    let before = peak_kilobytes();
    for header in made.headers() {
        for size in [u64::MAX, 1 << 63, (1 << 63) - 1, (1 << 63) - 512, 1 << 40, 1 << 32] {
            made.rejects(&made.file(&made.with_size(header, size)), &format!("{size} bytes at {header}"));
        }
    }
    // A name that is longer than a header has an entry of its own, which a reader keeps in memory.
    for kind in [b'L', b'K', b'x', b'g', b'S', b'1', b'2', b'5'] {
        for size in [u64::MAX, 1 << 40, 1 << 20] {
            let header = made.headers()[2];
            let mut with_kind =
                Made { source: made.source.clone(), folder: TempDir::new().unwrap(), bytes: made.bytes.clone() };
            with_kind.bytes[header + 156] = kind;
            with_kind
                .rejects(&with_kind.file(&with_kind.with_size(header, size)), &format!("{} of {size}", kind as char));
        }
    }
    assert!(peak_kilobytes() < before + (64 << 10), "{} KiB before, {} after", before, peak_kilobytes());
}

fn peak_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.append_data(&mut header, name, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

/// GNU tar, `sha256sum` and Python's `tarfile` read a backup. A tool that is missing is named, and not tried.
#[tokio::test]
async fn standard_tools_read_a_backup() {
    let made = Made::new().await;
    let file = made.folder.path().join("whole.isobar");
    let out = made.folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let run = |name: &str, arguments: &[&str]| match Command::new(name).args(arguments).current_dir(&out).output() {
        Ok(output) => {
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Err(error) => {
            println!("{name} is not tried: {error}");
            None
        }
    };
    let file = file.to_str().unwrap();
    if let Some(_extracted) = run("tar", &["-xf", file])
        && let Some(checked) = run(
            "sh",
            &["-c", "cat SHA256SUMS/* | sha256sum --check --strict --quiet && ls buckets/files/*.data | wc -l"],
        )
    {
        assert_eq!(checked.trim(), "9");
        let lines = std::fs::read_to_string(out.join("tables/items/0000000001.jsonl")).unwrap();
        assert_eq!(lines.lines().count(), 42);
        assert!(lines.contains(r#""partition":"expires","value":"x","expires_ms":"#), "{lines}");
    }
    let script = "import tarfile, hashlib, json, sys
with tarfile.open(sys.argv[1]) as archive:
    names = archive.getnames()
    assert names[0] == 'isobar.json' and names[-1] == 'isobar-end.json', names
    end = json.load(archive.extractfile('isobar-end.json'))
    assert end['entries'] == len(names) - 1, (end, len(names))
    lists = [archive.extractfile(name).read() for name in names if name.startswith('SHA256SUMS/')]
    assert hashlib.sha256(b''.join(lists)).hexdigest() == end['sha256']
    for line in b''.join(lists).decode().splitlines():
        sha, name = line.split('  ', 1)
        assert hashlib.sha256(archive.extractfile(name).read()).hexdigest() == sha, name
    print(len(names))
";
    if let Some(printed) = run("python3", &["-c", script, file]) {
        assert!(printed.trim().parse::<u32>().unwrap() > 20);
    }
}
