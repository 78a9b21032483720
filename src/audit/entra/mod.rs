//! Microsoft Entra ID: what it holds of users and sign-ins to be risky, and its sign-in log.

pub(super) mod risk;
pub(super) mod signins;
