//! Whether the servers of a lab would take mail: the room on its disk, judged as Transport judges it when it starts (crate
//! `pressure`). A lab on a full disk would else come up well, and refuse every message.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use envelope::ByteSize;
use lab::LabFile;
use lab::world::queue_segment;
use pressure::{Level, Measure, Measurements, Monitor, Resource, Share, thresholds};
use queue::{Disk, RealDisk, SEGMENT_OCTETS_DEFAULT};
use topology::{BackPressureSettings, Organization, Thresholds};

use super::super::generate::DISK_OF_A_LAB;
use super::super::output::cut;

/// What is to be freed is told in these.
const MIB: u64 = 1024 * 1024;
/// Servers that are named.
const NAMED_MAX: usize = 4;

/// What is to be said before a lab starts there.
pub(super) fn note(lab: &LabFile, directory: &Path) -> Option<String> {
    // A disk that does not say how full it is is none that back pressure judges.
    let space = RealDisk.space(directory).ok()?;
    let organization = &lab.organization.organization;
    // Of a lab that was there before, the queues are there.
    let queues = if directory.join("servers").exists() { 0 } else { organization.servers().len() };
    let queues = ByteSize::bytes(u64::try_from(queues).unwrap_or(u64::MAX).saturating_mul(queue(lab).as_u64()));
    let left = space.available.as_u64().saturating_sub(queues.as_u64());
    told(organization, Share::left(ByteSize::bytes(left), space.total), queues, directory)
}

/// What the queue of a server takes before the first message.
fn queue(lab: &LabFile) -> ByteSize {
    let own = queue_segment(lab.settings.processes).map(|mib| ByteSize::mib(mib.into()));
    own.unwrap_or(ByteSize::bytes(SEGMENT_OCTETS_DEFAULT.into()))
}

/// How it would begin on that disk.
fn begun(settings: &BackPressureSettings, share: Share) -> Monitor {
    let mut monitor = Monitor::default();
    monitor.poll(&Measurements { database_used_space: Some(share), ..Measurements::default() }, settings);
    monitor
}

fn level(monitor: &Monitor) -> Level {
    let disk = monitor.readings().iter().find(|reading| reading.resource == Resource::DatabaseUsedSpace);
    disk.map_or(Level::Low, |reading| reading.level)
}

/// With `queues` of the lab among what is used.
fn told(organization: &Organization, share: Share, queues: ByteSize, directory: &Path) -> Option<String> {
    let mut pressed: BTreeMap<Level, (Vec<&str>, Monitor)> = BTreeMap::new();
    let mut room = None;
    for server in organization.servers() {
        let settings = &server.transport.back_pressure;
        let monitor = begun(settings, share);
        if level(&monitor) != Level::Low {
            let judged = thresholds(Resource::DatabaseUsedSpace, settings, Measure::Share(share));
            room = room.max(Some(share.excess(judged.low_to_medium())));
            pressed.entry(level(&monitor)).or_insert_with(|| (Vec::new(), monitor)).0.push(server.name.as_str());
        }
    }
    let mut text = format!("{} of the disk of {} ", Measure::Share(share), directory.display());
    text += &match queues.as_u64() {
        0 => "is used".to_owned(),
        _ => format!("will be used, {} by the queues of this lab", map::plain(queues)),
    };
    for (level, (servers, monitor)) in pressed.iter().rev() {
        let refused: Vec<&str> = monitor.actions().iter().map(|action| action.as_str()).collect();
        let _ =
            write!(text, "\n  back pressure of {} starts at {level}: {}", cut(servers, NAMED_MAX), refused.join(", "));
    }
    let room = map::plain(ByteSize::mib(room?.as_u64().div_ceil(MIB)));
    let _ = write!(text, "\n  free {room} there, or keep the lab on another disk: --lab FOLDER");
    let lab = BackPressureSettings { database_used_space: Some(of_a_lab()), ..BackPressureSettings::default() };
    if level(&begun(&lab, share)) == Level::Low {
        let _ = write!(
            text,
            "; or write at each server of the lab file\n  transport: {{backPressure: {{databaseUsedSpace: {DISK_OF_A_LAB}}}}}"
        );
    }
    Some(text)
}

/// [`DISK_OF_A_LAB`], read.
const fn of_a_lab() -> Thresholds {
    match Thresholds::new(99, 100, 100, 98) {
        Ok(thresholds) => thresholds,
        Err(_) => panic!("they fit each other"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser;
    use envelope::Revision;

    use super::*;

    const GB: u64 = 1024;
    const NOTHING: ByteSize = ByteSize::bytes(0);

    fn organization(servers: &str) -> Organization {
        let text = format!(
            "acceptedDomains: [{{name: a, domainName: a.example, default: true}}]\nsites: [{{name: S}}]\nservers: [{servers}]\n"
        );
        organization::load(&text, Revision(1)).unwrap_or_else(|wrong| panic!("{wrong}")).organization
    }

    /// So many thousandths of it.
    fn full(of_gb: u64, used: u64) -> Share {
        let of = ByteSize::mib(of_gb * GB);
        Share { used: ByteSize::bytes(of.as_u64() / 1000 * used), of }
    }

    #[test]
    fn a_disk_that_would_have_mail_refused_is_told_with_what_to_do() {
        let plain = "{name: M1, fqdn: m1.a.example, site: S}";
        let own = format!(
            "{{name: M2, fqdn: m2.a.example, site: S, transport: {{backPressure: {{databaseUsedSpace: {DISK_OF_A_LAB}}}}}}}"
        );
        let both = format!("{plain}, {own}");
        let advice = format!(
            "; or write at each server of the lab file\n  transport: {{backPressure: {{databaseUsedSpace: {DISK_OF_A_LAB}}}}}"
        );
        for (servers, share, expected) in [
            (plain, full(250, 960), None),
            (own.as_str(), full(250, 975), None),
            (own.as_str(), full(250, 990), None),
            (
                both.as_str(),
                full(250, 975),
                Some(format!(
                    "97.5 % of the disk of lab is used\n  back pressure of M1 starts at Medium: mail from clients is refused\n  \
                     free 3.75 GB there, or keep the lab on another disk: --lab FOLDER{advice}"
                )),
            ),
            (
                both.as_str(),
                full(250, 995),
                Some(
                    "99.5 % of the disk of lab is used\n  back pressure of M1 starts at High: mail from clients is refused, \
                     mail from other servers is refused, mail out of mailboxes is refused\n  back pressure of M2 starts at \
                     Medium: mail from clients is refused\n  free 8.75 GB there, or keep the lab on another disk: --lab FOLDER"
                        .to_owned(),
                ),
            ),
        ] {
            let told = told(&organization(servers), share, NOTHING, Path::new("lab"));
            assert_eq!(told, expected, "{share:?}");
        }
        let text = told(&organization(plain), full(250, 975), ByteSize::mib(64), Path::new("lab")).unwrap();
        assert!(
            text.starts_with("97.5 % of the disk of lab will be used, 64 MB by the queues of this lab\n"),
            "{text}"
        );
    }

    #[test]
    fn what_labs_are_made_of_takes_mail_on_a_disk_that_is_full_of_other_things() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/lab");
        let files = ["demo", "perimeter", "three-sites", "two-sites"];
        let mut texts: Vec<String> =
            files.map(|name| std::fs::read_to_string(folder.join(name).with_extension("yaml")).unwrap()).to_vec();
        let generated = tempfile::NamedTempFile::new().unwrap();
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            generate: super::super::super::generate::GenerateArguments,
        }
        let line = ["", "--lab", "--servers", "30", "--output", generated.path().to_str().unwrap()];
        super::super::super::generate::run(&Line::parse_from(line).generate).unwrap();
        texts.push(std::fs::read_to_string(generated.path()).unwrap());
        for text in texts {
            let lab = LabFile::parse(&text).unwrap();
            // A disk of 10 GB would have 92 percent.
            for share in [full(10, 975), full(250, 975), full(250, 990)] {
                assert_eq!(
                    told(&lab.organization.organization, share, NOTHING, Path::new("lab")),
                    None,
                    "{share:?}\n{text}"
                );
            }
        }
    }

    #[test]
    fn what_is_advised_is_what_is_tried() {
        let advised = format!(
            "{{name: M1, fqdn: m1.a.example, site: S, transport: {{backPressure: {{databaseUsedSpace: {DISK_OF_A_LAB}}}}}}}"
        );
        let organization = organization(&advised);
        assert_eq!(organization.servers()[0].transport.back_pressure.database_used_space, Some(of_a_lab()));
    }
}
