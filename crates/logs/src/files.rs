//! The files of one log: named by day and number, begun with a header, limited in size, deleted by age and by the size of all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use envelope::Timestamp;

use crate::record::{LogForm, LogLimits};

/// The file that is written to, and those before it.
pub(crate) struct Files {
    folder: PathBuf,
    prefix: &'static str,
    version: &'static str,
    form: LogForm,
    current: Option<Current>,
}

struct Current {
    file: BufWriter<File>,
    /// `yyyymmdd`.
    day: String,
    octets: u64,
}

impl Files {
    /// Files of `folder`, which is made with the first.
    pub fn new(folder: PathBuf, prefix: &'static str, version: &'static str, form: LogForm) -> Self {
        Self { folder, prefix, version, form, current: None }
    }

    /// Writes a line into the file of its day.
    pub fn write(&mut self, line: &str, now: Timestamp) -> io::Result<()> {
        let day = day(now);
        let fits = |current: &Current| {
            current.day == day && current.octets + line.len() as u64 <= self.form.limits.file_octets
        };
        if !self.current.as_ref().is_some_and(fits) {
            self.flush()?;
            self.current = None;
            self.current = Some(self.begin(day, now)?);
        }
        let current = self.current.as_mut().expect("made above");
        current.octets += line.len() as u64;
        current.file.write_all(line.as_bytes())
    }

    /// Hands everything to the operating system.
    pub fn flush(&mut self) -> io::Result<()> {
        self.current.as_mut().map_or(Ok(()), |current| current.file.flush())
    }

    /// A new file: never one that is there, whoever wrote it (LG-02).
    fn begin(&self, day: String, now: Timestamp) -> io::Result<Current> {
        fs::create_dir_all(&self.folder)?;
        self.delete_old(now)?;
        let last = self.there()?.into_iter().filter(|file| file.day == day).map(|file| file.number).max().unwrap_or(0);
        let path = self.folder.join(format!("{}{day}-{}.log", self.prefix, last + 1));
        let mut file = BufWriter::new(OpenOptions::new().write(true).create_new(true).open(path)?);
        let header = format!(
            "#Software: Postroad\r\n#Version: {}\r\n#Log-Type: {}\r\n#Date: {}\r\n#Fields: {}\r\n",
            self.version,
            self.form.log_type,
            now.to_iso8601(),
            self.form.fields
        );
        file.write_all(header.as_bytes())?;
        Ok(Current { file, day, octets: header.len() as u64 })
    }

    fn there(&self) -> io::Result<Vec<LogFile>> {
        there(&self.folder, |name| parse(name, self.prefix))
    }

    fn delete_old(&self, now: Timestamp) -> io::Result<()> {
        delete_old(self.there()?, &self.form.limits, self.form.limits.file_octets, now)
    }
}

/// A file of a log that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFile {
    pub path: PathBuf,
    /// `yyyymmdd` (UTC), or a time that begins so.
    pub day: String,
    pub number: u32,
    pub octets: u64,
}

/// Files whose names `parse` knows, the oldest first (LG-17: others are none of ours).
pub(crate) fn there(folder: &Path, parse: impl Fn(&str) -> Option<(String, u32)>) -> io::Result<Vec<LogFile>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Some((day, number)) = entry.file_name().to_str().and_then(&parse) {
            found.push(LogFile { path: entry.path(), day, number, octets: entry.metadata()?.len() });
        }
    }
    found.sort_by(|one, other| (&one.day, one.number).cmp(&(&other.day, other.number)));
    Ok(found)
}

/// LG-03: the oldest of `files` go when they are too old, or all of them with `coming` octets too large.
pub(crate) fn delete_old(files: Vec<LogFile>, limits: &LogLimits, coming: u64, now: Timestamp) -> io::Result<()> {
    let age = u64::try_from(limits.age.as_millis()).unwrap_or(u64::MAX);
    let oldest = day(Timestamp::from_millis(now.as_millis().saturating_sub(age)));
    let mut octets: u64 = files.iter().map(|file| file.octets).sum();
    for file in files {
        if file.day < oldest || octets.saturating_add(coming) > limits.folder_octets {
            fs::remove_file(&file.path)?;
            octets -= file.octets;
        }
    }
    Ok(())
}

/// Day and number of a file that this prefix names.
pub(crate) fn parse(name: &str, prefix: &str) -> Option<(String, u32)> {
    let (day, number) = name.strip_prefix(prefix)?.strip_suffix(".log")?.split_once('-')?;
    let is_day = day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit());
    is_day.then(|| number.parse().ok().map(|number| (day.to_owned(), number))).flatten()
}

/// `yyyymmdd`
pub(crate) fn day(at: Timestamp) -> String {
    at.to_iso8601()[..10].replace('-', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record as _;

    const DAY: u64 = 24 * 3600 * 1000;

    fn at(day: u64) -> Timestamp {
        Timestamp::from_millis(1_795_305_600_000 + day * DAY)
    }

    fn files(folder: &Path, limits: LogLimits) -> Files {
        let form = LogForm { limits, ..crate::tracking::TrackingEvent::FORM };
        Files::new(folder.to_owned(), "MSGTRK", "0.1.0", form)
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    const WIDE: LogLimits = LogLimits { file_octets: 2_000, folder_octets: 100_000, age: LogLimits::WIDE.age };

    #[test]
    fn a_file_is_of_one_day_and_size_and_begins_with_its_header() {
        // LG-01, LG-02, LG-03
        let folder = tempfile::tempdir().unwrap();
        let mut log = files(folder.path(), WIDE);
        log.write(&"a".repeat(900), at(0)).unwrap();
        log.write(&"b".repeat(900), at(0)).unwrap();
        log.write("c", at(1)).unwrap();
        log.flush().unwrap();
        assert_eq!(names(folder.path()), ["MSGTRK20261122-1.log", "MSGTRK20261122-2.log", "MSGTRK20261123-1.log"]);
        let text = fs::read_to_string(folder.path().join("MSGTRK20261123-1.log")).unwrap();
        let lines: Vec<_> = text.split("\r\n").collect();
        assert_eq!(
            lines[1..4],
            ["#Version: 0.1.0", "#Log-Type: Message Tracking Log", "#Date: 2026-11-23T00:00:00.000Z"]
        );
        assert!(lines[4].starts_with("#Fields: date-time,client-ip,") && lines[5] == "c");
        // After a restart no file is written over.
        files(folder.path(), WIDE).write("d", at(1)).unwrap();
        assert!(names(folder.path()).contains(&"MSGTRK20261123-2.log".to_owned()));
    }

    #[test]
    fn the_oldest_files_go_by_age_and_by_the_size_of_all_and_others_stay() {
        // LG-03, LG-17
        let folder = tempfile::tempdir().unwrap();
        for name in ["MSGTRKMD20200101-1.log", "MSGTRK20200101-1.log", "MSGTRK-notes.log", "notes.txt"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let narrow = LogLimits { folder_octets: 6_000, ..WIDE };
        let mut log = files(folder.path(), narrow);
        for day in 0..6 {
            log.write(&"y".repeat(1_000), at(day)).unwrap();
        }
        drop(log);
        let left = names(folder.path());
        assert_eq!(left[..2], ["MSGTRK-notes.log", "MSGTRK20261125-1.log"], "{left:?}");
        assert!(left.contains(&"MSGTRKMD20200101-1.log".to_owned()) && left.contains(&"notes.txt".to_owned()));
        let octets: u64 = left.iter().map(|name| fs::metadata(folder.path().join(name)).unwrap().len()).sum();
        assert!(octets <= 6_000, "{octets}");
    }
}
