//! Whatever happens to a log, each of its lines is read, once, in order.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;

use super::*;

struct Log {
    dir: tempfile::TempDir,
    written: u64,
}

impl Log {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory"), written: 0 }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("eve.json")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn append(&self, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path()).expect("a file");
        file.write_all(text.as_bytes()).expect("written");
    }

    /// Appends numbered lines.
    fn lines(&mut self, count: u64) {
        let text: String = (self.written..self.written + count).map(line).collect();
        self.append(&text);
        self.written += count;
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.file(from), self.file(to)).expect("renamed");
    }

    fn pack(&self, name: &str) {
        let modified = fs::metadata(self.file(name)).and_then(|meta| meta.modified()).expect("a time");
        let packed = File::create(self.file(&format!("{name}.gz"))).expect("a file");
        let mut out = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        out.write_all(&fs::read(self.file(name)).expect("a file")).expect("written");
        out.finish().expect("written").set_modified(modified).expect("a time");
        fs::remove_file(self.file(name)).expect("removed");
    }
}

fn line(number: u64) -> String {
    // Not one length: marks and blocks shall not fall on line ends by chance.
    format!("line {number} {}\n", "x".repeat(number as usize * 37 % 1500))
}

fn open(log: &Log, position: Option<&Position>) -> Tail {
    Tail::open(&log.path(), position).expect("opened")
}

fn read(tail: &mut Tail) -> Vec<String> {
    let mut lines = Vec::new();
    while tail
        .poll(&mut |piece| {
            let (Piece::Line(bytes) | Piece::Part(bytes)) = piece;
            lines.push(String::from_utf8(bytes.to_vec()).expect("text"));
            Ok(())
        })
        .expect("readable")
    {}
    lines
}

#[track_caller]
fn expect(tail: &mut Tail, numbers: std::ops::Range<u64>) {
    let name = |text: &str| text.split(" x").next().unwrap_or_default().trim().to_owned();
    let read: Vec<String> = read(tail).iter().map(|line| name(line)).collect();
    let want: Vec<String> = numbers.map(|number| name(&line(number))).collect();
    assert_eq!(read, want);
}

#[test]
fn half_a_line_waits_for_its_end() {
    let mut log = Log::new();
    let mut tail = open(&log, None);
    expect(&mut tail, 0..0);
    log.lines(500);
    expect(&mut tail, 0..500);
    let next = line(500);
    log.append(&next[..3]);
    expect(&mut tail, 500..500);
    log.append(&next[3..]);
    expect(&mut tail, 500..501);
    assert_eq!((tail.counts().lines, tail.counts().cut), (501, 0));
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
    let mut log = Log::new();
    log.lines(100);
    let mut tail = open(&log, None);
    expect(&mut tail, 0..100);
    log.rename("eve.json", "eve.json.1");
    // logrotate's `create`: the new file is there before its writer knows.
    File::create(log.path()).expect("a file");
    let mut old = OpenOptions::new().append(true).open(log.file("eve.json.1")).expect("a file");
    old.write_all(line(100).as_bytes()).expect("written");
    expect(&mut tail, 100..101);
    old.write_all(line(101).as_bytes()).expect("written");
    log.written = 102;
    log.lines(50);
    expect(&mut tail, 101..152);
    assert_eq!(tail.counts().rotations, 1);
}

#[test]
fn rotations_between_two_looks_lose_nothing() {
    let mut log = Log::new();
    log.lines(100);
    let mut tail = open(&log, None);
    expect(&mut tail, 0..100);
    log.lines(10);
    log.rename("eve.json", "eve.json.1");
    log.lines(20);
    log.rename("eve.json.1", "eve.json.2");
    log.rename("eve.json", "eve.json.1");
    log.pack("eve.json.2");
    log.lines(30);
    log.rename("eve.json.2.gz", "eve.json.3.gz");
    log.rename("eve.json.1", "eve.json.2");
    log.rename("eve.json", "eve.json.1");
    log.pack("eve.json.2");
    log.lines(40);
    expect(&mut tail, 100..200);
    assert_eq!((tail.counts().rotations, tail.counts().missing), (3, 0));
    log.lines(1);
    expect(&mut tail, 200..201);
}

#[test]
fn a_restart_goes_on_where_it_stopped_whatever_happened_meanwhile() {
    for happened in 0..5 {
        let mut log = Log::new();
        log.lines(300);
        log.append(&line(300)[..4]);
        let mut tail = open(&log, None);
        expect(&mut tail, 0..300);
        let position = tail.position();
        let stored: Position =
            serde_json::from_str(&serde_json::to_string(&position).expect("written")).expect("read");
        assert_eq!(stored, position);
        drop(tail);
        log.append(&line(300)[4..]);
        log.written += 1;
        log.lines(9);
        match happened {
            0 => log.lines(10),
            1 => {
                log.rename("eve.json", "eve.json.1");
                log.lines(10);
            }
            2 => {
                log.rename("eve.json", "eve.json.2");
                log.pack("eve.json.2");
                log.lines(4);
                log.rename("eve.json", "eve.json.1");
                log.lines(6);
            }
            3 => {
                // copytruncate
                fs::copy(log.path(), log.file("eve.json.1")).expect("copied");
                OpenOptions::new().write(true).truncate(true).open(log.path()).expect("truncated");
                log.lines(10);
            }
            _ => {
                log.rename("eve.json", "eve.json.1");
                log.lines(10);
                log.rename("eve.json", "eve.json-20261122");
            }
        }
        let mut tail = open(&log, Some(&position));
        expect(&mut tail, 300..320);
        assert_eq!(tail.counts().missing, 0, "{happened}");
        // A second restart repeats nothing either.
        let mut tail = open(&log, Some(&tail.position()));
        expect(&mut tail, 320..320);
    }
}

#[test]
fn a_truncated_file_is_read_from_its_start_and_its_rest_from_the_copy() {
    let mut log = Log::new();
    log.lines(200);
    let mut tail = open(&log, None);
    expect(&mut tail, 0..200);
    // What is written before the copy is made is only in the copy.
    log.lines(20);
    fs::copy(log.path(), log.file("eve.json.1")).expect("copied");
    OpenOptions::new().write(true).truncate(true).open(log.path()).expect("truncated");
    expect(&mut tail, 200..220);
    log.lines(5);
    expect(&mut tail, 220..225);
    assert_eq!((tail.counts().truncations, tail.counts().rotations), (1, 0));

    // Without a copy, and longer again than it was when somebody looks.
    OpenOptions::new().write(true).truncate(true).open(log.path()).expect("truncated");
    log.lines(400);
    expect(&mut tail, 225..625);
    assert_eq!(tail.counts().truncations, 2);
}

#[test]
fn a_file_that_is_gone_for_good_is_said() {
    let mut log = Log::new();
    log.lines(10);
    let mut tail = open(&log, None);
    expect(&mut tail, 0..10);
    let position = tail.position();
    fs::remove_file(log.path()).expect("removed");
    log.lines(10);
    let mut tail = open(&log, Some(&position));
    expect(&mut tail, 10..20);
    assert_eq!(tail.counts().missing, 1);
}

#[test]
fn a_file_that_came_and_went_while_nobody_looked_is_read() {
    let mut log = Log::new();
    let tail = open(&log, None);
    let before = tail.position();
    drop(tail);
    log.lines(10);
    log.rename("eve.json", "eve.json.1");
    log.pack("eve.json.1");
    log.lines(10);
    let mut tail = open(&log, Some(&before));
    expect(&mut tail, 0..20);
    assert_eq!(tail.counts().missing, 0);
}

#[test]
fn an_unfinished_line_of_a_rotated_file_is_handed_over_once() {
    let mut log = Log::new();
    log.lines(3);
    log.append("half");
    let mut tail = open(&log, None);
    expect(&mut tail, 0..3);
    log.rename("eve.json", "eve.json.1");
    log.lines(2);
    let lines = read(&mut tail);
    assert_eq!((lines.len(), lines[0].as_str()), (3, "half"));
    assert_eq!(tail.counts().cut, 1);
    let mut tail = open(&log, Some(&tail.position()));
    expect(&mut tail, 5..5);
}

#[test]
fn a_line_of_any_length_takes_bounded_memory_and_is_never_split_by_a_restart() {
    let log = Log::new();
    log.append("short\n");
    let mut tail = open(&log, None).with_max_line(1000);
    assert_eq!(read(&mut tail), ["short\n"]);
    let long = "y".repeat(5 << 20);
    log.append(&long);
    assert_eq!(read(&mut tail).concat(), long);
    assert!(tail.buffer.len() <= BLOCK + 2000, "{}", tail.buffer.len());
    let position = tail.position();
    assert_eq!(position.offset, 6, "it begins again with the line's start");
    log.append("\nnext\n");
    assert_eq!(read(&mut tail), ["\n", "next\n"]);
    assert_eq!((tail.counts().too_long, tail.counts().lines), (1, 3));
    let mut again = open(&log, Some(&position)).with_max_line(1000);
    assert_eq!(read(&mut again).concat(), format!("{long}\nnext\n"));
}

#[test]
fn a_damaged_rotated_file_does_not_keep_the_next_from_being_read() {
    let mut log = Log::new();
    log.lines(10);
    let mut tail = open(&log, None);
    expect(&mut tail, 0..10);
    log.rename("eve.json", "eve.json.2");
    log.lines(1000);
    log.rename("eve.json", "eve.json.1");
    log.pack("eve.json.1");
    let packed = fs::read(log.file("eve.json.1.gz")).expect("a file");
    fs::write(log.file("eve.json.1.gz"), &packed[..packed.len() / 2]).expect("written");
    log.lines(5);
    let lines = read(&mut tail);
    assert!(lines.len() > 5 && lines[lines.len() - 1].starts_with("line 1014 "), "{}", lines.len());
    assert_eq!(tail.counts().unreadable, 1);
}
