//! Access to resources, and the declaration of an app.
//!
//! Each handle that an app opens is an entry of the registry of its cloud. The manifest lists the union of all entries of
//! a resource, and a handle rejects each operation that its own entry does not include, on every provider. So a missing
//! declaration fails on the laptop, before a deployment grants too little.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::resource::ResourceKind;

/// The access that a handle has to a resource, and that a deployment grants.
///
/// `None`, `Read`, `Write` and `ReadWrite` are sets of the two rights to read and to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Access {
    /// No operation: the resource is only the source of a trigger.
    None = 0,
    /// Operations that read: get, query, scan, list, sign a URL for GET.
    Read = 1,
    /// Operations that write: put, delete, add, publish, sign a URL for PUT.
    Write = 2,
    /// Operations that read, operations that write, and those that do both, such as a copy.
    ReadWrite = 3,
}

impl Access {
    const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::None,
            1 => Self::Read,
            2 => Self::Write,
            _ => Self::ReadWrite,
        }
    }

    /// Does this access include all of `other`?
    pub const fn includes(self, other: Self) -> bool {
        self as u8 & other as u8 == other as u8
    }

    /// The rights that both have.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self::from_bits(self as u8 & other as u8)
    }

    /// The rights that at least one of them has.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self::from_bits(self as u8 | other as u8)
    }
}

/// The resources that were opened on one cloud while its app was built.
#[derive(Clone, Default)]
pub(crate) struct Registry(Arc<Mutex<Entries>>);

/// A check of a resource at the start, which returns its problem.
type Check = Box<dyn FnOnce(&Registry) -> Option<String> + Send>;

#[derive(Default)]
struct Entries {
    sealed: bool,
    grants: Vec<Arc<Declared>>,
    options: BTreeMap<(ResourceKind, String), Map<String, Value>>,
    checks: Vec<Check>,
    problems: Vec<String>,
}

impl Registry {
    /// Adds an entry. After the start of the app a new handle has only the access that was declared before.
    pub(crate) fn declare(&self, kind: ResourceKind, name: &str) -> Grant {
        let mut entries = self.0.lock();
        let access = match entries.sealed {
            true => entries.access(kind, name),
            false if kind == ResourceKind::Topic => Access::Write,
            false => Access::ReadWrite,
        };
        let declared = Arc::new(Declared { kind, name: name.to_owned(), access: AtomicU8::new(access as u8) });
        if !entries.sealed {
            entries.grants.push(Arc::clone(&declared));
        }
        Grant { declared, registry: self.clone() }
    }

    pub(crate) fn owns(&self, grant: &Grant) -> bool {
        Arc::ptr_eq(&self.0, &grant.registry.0)
    }

    /// Ends the declaration: later entries are not part of it.
    pub(crate) fn seal(&self) {
        self.0.lock().sealed = true;
    }

    /// Declares an option of a resource. Another value for the same option is a problem of the app.
    pub(crate) fn declare_option(&self, kind: ResourceKind, resource: &str, name: &str, value: &Value) {
        let mut entries = self.0.lock();
        if entries.sealed {
            return;
        }
        let options = entries.options.entry((kind, resource.to_owned())).or_default();
        let before = options.insert(name.to_owned(), value.clone());
        if let Some(before) = before.filter(|before| before != value) {
            let problem =
                format!("{kind} `{resource}`: the option `{name}` is both {before} and {value}; declare it once");
            entries.problems.push(problem);
        }
    }

    /// Adds a check for the start of the app.
    pub(crate) fn check_at_start(&self, check: impl FnOnce(&Self) -> Option<String> + Send + 'static) {
        let mut entries = self.0.lock();
        if !entries.sealed {
            entries.checks.push(Box::new(check));
        }
    }

    /// The problems of the resources. It runs each check once.
    pub(crate) fn problems(&self) -> Vec<String> {
        let checks = std::mem::take(&mut self.0.lock().checks);
        // A check may declare an option, which needs the lock.
        let found: Vec<String> = checks.into_iter().filter_map(|check| check(self)).collect();
        let mut entries = self.0.lock();
        entries.problems.extend(found);
        entries.problems.clone()
    }

    /// Each declared resource with the union of the access of its handles, ordered by kind and name.
    pub(crate) fn resources(&self) -> Vec<(ResourceKind, String, Access, Map<String, Value>)> {
        let entries = self.0.lock();
        let mut merged = BTreeMap::new();
        for declared in &entries.grants {
            let access = merged.entry((declared.kind, declared.name.clone())).or_insert(Access::None);
            *access = access.union(declared.access());
        }
        let resource = |((kind, name), access): ((ResourceKind, String), Access)| {
            let options = entries.options.get(&(kind, name.clone())).cloned().unwrap_or_default();
            (kind, name, access, options)
        };
        merged.into_iter().map(resource).collect()
    }
}

impl Entries {
    fn access(&self, kind: ResourceKind, name: &str) -> Access {
        let same = self.grants.iter().filter(|grant| grant.kind == kind && grant.name == name);
        same.fold(Access::None, |access, grant| access.union(grant.access()))
    }
}

#[derive(Debug)]
struct Declared {
    kind: ResourceKind,
    name: String,
    access: AtomicU8,
}

impl Declared {
    fn access(&self) -> Access {
        Access::from_bits(self.access.load(Ordering::Relaxed))
    }
}

/// The access of one handle, and its entry in the declaration.
#[derive(Clone)]
pub(crate) struct Grant {
    declared: Arc<Declared>,
    registry: Registry,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.declared.fmt(f)
    }
}

impl Grant {
    pub(crate) fn access(&self) -> Access {
        self.declared.access()
    }

    pub(crate) fn report(&self, problem: String) {
        self.registry.check_at_start(move |_| Some(problem));
    }

    pub(crate) fn declare_option(&self, name: &str, value: &Value) {
        let Declared { kind, name: resource, .. } = &*self.declared;
        self.registry.declare_option(*kind, resource, name, value);
    }

    /// Narrows this handle's access. Clones of the handle that were made before keep theirs.
    pub(crate) fn narrow(self, access: Access) -> Self {
        let access = self.declared.access().intersection(access);
        let mut registry = self.registry.0.lock();
        let listed = registry.grants.iter().any(|grant| Arc::ptr_eq(grant, &self.declared));
        // Only the declaration and this handle have the entry: it can be changed in place.
        if Arc::strong_count(&self.declared) == 1 + usize::from(listed) {
            self.declared.access.store(access as u8, Ordering::Relaxed);
            drop(registry);
            return self;
        }
        let Declared { kind, name, .. } = &*self.declared;
        let declared = Arc::new(Declared { kind: *kind, name: name.clone(), access: AtomicU8::new(access as u8) });
        if listed && !registry.sealed {
            registry.grants.push(Arc::clone(&declared));
        }
        drop(registry);
        Self { declared, registry: self.registry }
    }
}
