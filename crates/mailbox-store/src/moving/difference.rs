//! What has to be done so that a copy becomes what the original is. Pure: from two listings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::listing::{Entry, EntryKind};

/// What has to be done, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// What the original has no more, or as something else: what is in a folder before the folder.
    pub remove: Vec<Entry>,
    /// Folders that are missing, each before what is in it.
    pub folders: Vec<PathBuf>,
    /// Files that are missing or others.
    pub fetch: Vec<Entry>,
}

impl Steps {
    /// Whether the copy is what the original is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.remove.len() + self.folders.len() + self.fetch.len()
    }
}

/// From `copy` to `original`.
#[must_use]
pub fn steps(original: &[Entry], copy: &[Entry]) -> Steps {
    let by_path = |entries: &[Entry]| -> BTreeMap<PathBuf, EntryKind> {
        entries.iter().map(|entry| (entry.path.clone(), entry.kind.clone())).collect()
    };
    let (wanted, there) = (by_path(original), by_path(copy));
    let is_file = |kind: &EntryKind| matches!(kind, EntryKind::File(_));
    let stays = |path: &Path, kind: &EntryKind| wanted.get(path).is_some_and(|other| is_file(other) == is_file(kind));
    let mut steps = Steps::default();
    for (path, kind) in there.iter().rev().filter(|(path, kind)| !stays(path, kind)) {
        steps.remove.push(Entry { path: path.clone(), kind: kind.clone() });
    }
    for (path, kind) in &wanted {
        match (kind, there.get(path)) {
            (EntryKind::Folder, Some(EntryKind::Folder)) => {}
            (EntryKind::Folder, _) => steps.folders.push(path.clone()),
            (EntryKind::File(file), Some(EntryKind::File(other))) if file.is_as(other) => {}
            (EntryKind::File(_), _) => steps.fetch.push(Entry { path: path.clone(), kind: kind.clone() }),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::super::listing::StoredFile;
    use super::*;
    use proptest::prelude::*;

    type Tree = BTreeMap<PathBuf, EntryKind>;

    fn entries(tree: &Tree) -> Vec<Entry> {
        tree.iter().map(|(path, kind)| Entry { path: path.clone(), kind: kind.clone() }).collect()
    }

    /// Does the steps as a file system would, which takes nothing out of order.
    fn done(tree: &Tree, steps: &Steps) -> Tree {
        let mut tree = tree.clone();
        for Entry { path, .. } in &steps.remove {
            assert!(tree.remove(path).is_some(), "{path:?} is there");
            assert!(!tree.keys().any(|other| other.starts_with(path)), "{path:?} is empty");
        }
        let parent_is_there = |tree: &Tree, path: &Path| match path.parent() {
            Some(parent) if parent != Path::new("") => tree.get(parent) == Some(&EntryKind::Folder),
            _ => true,
        };
        for path in &steps.folders {
            assert!(parent_is_there(&tree, path) && tree.insert(path.clone(), EntryKind::Folder).is_none(), "{path:?}");
        }
        for Entry { path, kind } in &steps.fetch {
            assert!(parent_is_there(&tree, path), "{path:?}");
            assert!(tree.insert(path.clone(), kind.clone()) != Some(EntryKind::Folder), "{path:?}");
        }
        tree
    }

    /// Few names, so that the two trees have much in common, a file in one where the other has a folder included.
    fn tree() -> impl Strategy<Value = Tree> {
        let path = prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4);
        prop::collection::vec((path, prop::option::of(0_u64..2)), 0..12).prop_map(|named| {
            let mut tree = Tree::new();
            for (names, size) in named {
                let path: PathBuf = names.iter().collect();
                for folder in path.ancestors().skip(1).filter(|folder| *folder != Path::new("")) {
                    tree.insert(folder.to_owned(), EntryKind::Folder);
                }
                let has_children = tree.keys().any(|other| other.starts_with(&path) && *other != path);
                let file = |size| StoredFile { size, modified: (0, 0), shared: None, message: None };
                let kind = size.filter(|_| !has_children).map_or(EntryKind::Folder, |size| EntryKind::File(file(size)));
                tree.insert(path, kind);
            }
            tree
        })
    }

    proptest! {
        #[test]
        fn the_steps_make_the_copy_what_the_original_is(original in tree(), copy in tree()) {
            let steps = steps(&entries(&original), &entries(&copy));
            prop_assert_eq!(&done(&copy, &steps), &original);
            prop_assert_eq!(steps.is_empty(), original == copy);
            let after = super::steps(&entries(&original), &entries(&original));
            prop_assert!(after.is_empty());
        }
    }
}
