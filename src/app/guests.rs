//! Guests: operators whom no section of the config names. A chat vouches for them, with the roles that they have at the
//! moment at which they ask, and only in this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::config::Role;

/// Who is vouched for.
#[derive(Debug, Default)]
pub struct Guests(Mutex<HashMap<String, Vec<Role>>>);

impl Guests {
    /// From now on `name` has these roles and no others; without any, it is nobody.
    pub fn admit(&self, name: &str, roles: Vec<Role>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if roles.is_empty() {
            all.remove(name);
        } else {
            all.insert(name.to_owned(), roles);
        }
    }

    pub(super) fn has(&self, name: &str, role: Role) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(name).is_some_and(|roles| roles.contains(&role))
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_has_the_roles_of_the_last_visit_and_without_any_is_nobody() {
        let guests = Guests::default();
        guests.admit("discord:31", vec![Role::Communications]);
        assert!(guests.has("discord:31", Role::Communications));
        assert!(!guests.has("discord:31", Role::Approver));
        guests.admit("discord:31", vec![Role::Approver]);
        assert!(!guests.has("discord:31", Role::Communications));
        guests.admit("discord:31", Vec::new());
        assert!(!guests.knows("discord:31"));
    }
}
