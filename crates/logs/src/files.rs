//! The files of one log: named by day and number, begun with a header, limited in size, deleted by age and by the size of all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, lchown};
use std::path::{Path, PathBuf};

use envelope::Timestamp;

use crate::record::{LogForm, LogLimits};

/// Lines that are written at once while more follow; a hundred or so.
const BUFFER_OCTETS: usize = 64 * 1024;
const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;

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
    /// Days since 1970.
    day: u64,
    octets: u64,
}

impl Files {
    /// Files of `folder`, which is made with the first.
    pub(crate) fn new(folder: PathBuf, prefix: &'static str, version: &'static str, form: LogForm) -> Self {
        Self { folder, prefix, version, form, current: None }
    }

    /// What is kept.
    pub(crate) fn limits(&self) -> LogLimits {
        self.form.limits
    }

    /// Keeps so much from now on.
    pub(crate) fn keep(&mut self, limits: LogLimits) {
        self.form.limits = limits;
    }

    /// Writes a line into the file of its day.
    pub(crate) fn write(&mut self, line: &str, now: Timestamp) -> io::Result<()> {
        let fits = |current: &Current| {
            let same_day = current.day == now.as_millis() / DAY_MILLIS;
            same_day && current.octets + line.len() as u64 <= self.form.limits.file_octets
        };
        if !self.current.as_ref().is_some_and(fits) {
            self.flush()?;
            self.current = None;
            self.current = Some(self.begin(now)?);
        }
        let current = self.current.as_mut().expect("made above");
        current.octets += line.len() as u64;
        current.file.write_all(line.as_bytes())
    }

    /// Hands everything to the operating system.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.current.as_mut().map_or(Ok(()), |current| current.file.flush())
    }

    /// A new file: never one that is there, whoever wrote it (LG-02).
    fn begin(&self, now: Timestamp) -> io::Result<Current> {
        let day = day(now);
        make_folder(&self.folder)?;
        self.delete_old(now)?;
        let last = self.there()?.into_iter().filter(|file| file.day == day).map(|file| file.number).max().unwrap_or(0);
        let mut file = BufWriter::with_capacity(BUFFER_OCTETS, self.next_file(&day, last)?);
        let header = format!(
            "#Software: Postroad\r\n#Version: {}\r\n#Log-Type: {}\r\n#Date: {}\r\n#Fields: {}\r\n",
            self.version,
            self.form.log_type,
            now.to_iso8601(),
            self.form.fields
        );
        file.write_all(header.as_bytes())?;
        Ok(Current { file, day: now.as_millis() / DAY_MILLIS, octets: header.len() as u64 })
    }

    /// The first number after `last` that no other process has taken meanwhile.
    fn next_file(&self, day: &str, last: u32) -> io::Result<File> {
        let mut number = last;
        loop {
            number = number.checked_add(1).ok_or(io::ErrorKind::AlreadyExists)?;
            match new_file(&self.folder.join(format!("{}{day}-{number}.log", self.prefix))) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made,
            }
        }
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
            // One that another process has deleted meanwhile is not there.
            let octets = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?.len(),
            };
            found.push(LogFile { path: entry.path(), day, number, octets });
        }
    }
    found.sort_by(|one, other| (&one.day, one.number).cmp(&(&other.day, other.number)));
    Ok(found)
}

/// LG-03: the oldest of `files` go when they are too old, or all of them with `coming` octets too large.
pub(crate) fn delete_old(files: Vec<LogFile>, limits: &LogLimits, coming: u64, now: Timestamp) -> io::Result<()> {
    let age = u64::try_from(limits.age.as_millis()).unwrap_or(u64::MAX);
    // LG-04: no age is never for their age.
    let age = if age == 0 { u64::MAX } else { age };
    let oldest = day(Timestamp::from_millis(now.as_millis().saturating_sub(age)));
    let mut octets: u64 = files.iter().map(|file| file.octets).sum();
    for file in files {
        if file.day < oldest || octets.saturating_add(coming) > limits.folder_octets {
            match fs::remove_file(&file.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
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

/// Makes the folder of a log. What is in logs is nobody else's, whatever the umask.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above.filter(|above| !above.is_dir()) {
        make_folder(above)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made.and_then(|()| hand_over(folder)),
    }
}

/// A file of a log, which is not there yet.
pub(crate) fn new_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    hand_over(path)?;
    Ok(file)
}

/// What root makes in somebody's folder is that somebody's: a command typed by root writes the same logs as a service that is
/// another user, which could neither write nor read them.
fn hand_over(made: &Path) -> io::Result<()> {
    let Some(above) = made.parent().filter(|above| !above.as_os_str().is_empty()) else { return Ok(()) };
    let (owner, own) = (fs::metadata(above)?, fs::metadata(made)?);
    if own.uid() != 0 || owner.uid() == 0 {
        return Ok(());
    }
    match lchown(made, Some(owner.uid()), Some(owner.gid())) {
        // A service that has confined itself gives nothing away; run as root, it can use what is root's.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        given => given,
    }
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
    fn processes_that_begin_at_once_have_files_of_their_own() {
        // LG-02: both have seen the same last number.
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (files(folder.path(), WIDE), files(folder.path(), WIDE));
        drop((one.next_file("20261122", 0).unwrap(), other.next_file("20261122", 0).unwrap()));
        assert_eq!(names(folder.path()), ["MSGTRK20261122-1.log", "MSGTRK20261122-2.log"]);
    }

    #[test]
    fn what_root_writes_in_the_folder_of_a_service_is_that_services() {
        const SERVICE: u32 = 65_534;
        let folder = tempfile::tempdir().unwrap();
        if folder.path().metadata().unwrap().uid() != 0 {
            return eprintln!("left out: only root gives files away");
        }
        lchown(folder.path(), Some(SERVICE), Some(SERVICE)).unwrap();
        let logs = folder.path().join("logs/Audit");
        make_folder(&logs).unwrap();
        make_folder(&logs).unwrap();
        files(&logs, WIDE).write("a line", at(0)).unwrap();
        let mut made = vec![folder.path().join("logs"), logs.clone()];
        made.extend(names(&logs).iter().map(|name| logs.join(name)));
        assert_eq!(made.len(), 3);
        for path in made {
            let owner = path.metadata().unwrap();
            assert_eq!((owner.uid(), owner.gid()), (SERVICE, SERVICE), "{}", path.display());
        }
    }

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
