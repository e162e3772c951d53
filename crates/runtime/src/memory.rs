//! How much memory this process and all others use, and how much there is: what Linux says in `/proc` and, where a control
//! group (version 2) allows less than the machine has, in `/sys/fs/cgroup` (docs/rules.md, Back pressure, BP-06).
//!
//! On a system without these files nothing is known, and nothing is said.

use std::fs;
use std::path::Path;

use envelope::ByteSize;

/// Where processes tell about themselves (proc(5)).
const PROCESSES: &str = "/proc";
/// Where control groups are (cgroups(7)).
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// Memory, as far as this process is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryUse {
    /// What this process has in memory.
    pub resident: ByteSize,
    /// What all processes have, caches that can be dropped left out: of the machine or of the control group.
    pub used: ByteSize,
    /// What there is: the machine's memory, or what the control group may have.
    pub total: ByteSize,
}

/// Looks. Reads a few small files of the kernel; call it where that is allowed.
#[must_use]
pub fn memory_use() -> Option<MemoryUse> {
    measure(Path::new(PROCESSES), Path::new(CONTROL_GROUPS))
}

fn measure(processes: &Path, groups: &Path) -> Option<MemoryUse> {
    let resident = kibibytes(&fs::read_to_string(processes.join("self/status")).ok()?, "VmRSS")?;
    let machine = fs::read_to_string(processes.join("meminfo")).ok()?;
    let (total, available) = (kibibytes(&machine, "MemTotal")?, kibibytes(&machine, "MemAvailable")?);
    let own_group = fs::read_to_string(processes.join("self/cgroup")).ok();
    let limited = own_group.and_then(|own| smallest(&own, groups)).filter(|(limit, _)| *limit < total);
    let (total, used) = limited.unwrap_or((total, total.saturating_sub(available)));
    Some(MemoryUse { resident: ByteSize::bytes(resident), used: ByteSize::bytes(used), total: ByteSize::bytes(total) })
}

/// `Name:   1234 kB`, in octets.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The smallest limit of this process's group and those around it, and what that group uses.
fn smallest(own: &str, groups: &Path) -> Option<(u64, u64)> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let group = groups.join(path);
    let around = group.ancestors().take_while(|group| group.starts_with(groups));
    around.filter_map(limited).min_by_key(|(limit, _)| *limit)
}

/// A group's limit and use; `None` when it has none ("max").
fn limited(group: &Path) -> Option<(u64, u64)> {
    let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    let (limit, current) = (number("memory.max")?, number("memory.current")?);
    // Pages of files that nobody has touched lately are given back before anybody goes without.
    let statistics = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let droppable = statistics.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse::<u64>().ok());
    Some((limit, current.saturating_sub(droppable.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn machine(group: &str) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/self/status", "Name:\tpostroad\nVmPeak:\t  999 kB\nVmRSS:\t  102400 kB\n");
        write("proc/meminfo", "MemTotal:       8388608 kB\nMemFree:  1 kB\nMemAvailable:    6291456 kB\n");
        write("proc/self/cgroup", group);
        write("groups/memory.max", "max\n");
        write("groups/memory.current", "5\n");
        write("groups/outer/memory.max", "1073741824\n");
        write("groups/outer/memory.current", "629145600\n");
        write("groups/outer/memory.stat", "anon 1\ninactive_file 104857600\nactive_file 2\n");
        write("groups/outer/inner/memory.max", "max\n");
        write("groups/wide/memory.max", "99999999999999\n");
        write("groups/wide/memory.current", "1\n");
        folder
    }

    fn found(group: &str) -> (u64, u64, u64) {
        let folder = machine(group);
        let found = measure(&folder.path().join("proc"), &folder.path().join("groups")).unwrap();
        let mib = |size: ByteSize| size.as_u64() / MIB;
        (mib(found.resident), mib(found.used), mib(found.total))
    }

    #[test]
    fn the_smallest_limit_around_the_process_counts() {
        assert_eq!(found("0::/\n"), (100, 2048, 8192), "no limit: the machine");
        assert_eq!(found("0::/outer/inner\n"), (100, 500, 1024), "that of the group around");
        assert_eq!(found("0::/wide\n"), (100, 2048, 8192), "more than the machine has");
        assert_eq!(found("1:cpu:/\n"), (100, 2048, 8192), "version 1 is not looked at");
    }

    #[test]
    fn this_machine_says_something_likely_or_nothing() {
        if let Some(found) = memory_use() {
            assert!(found.resident.as_u64() > 0 && found.used <= found.total, "{found:?}");
        }
        assert_eq!(measure(Path::new("nowhere"), Path::new("nowhere")), None);
    }
}
