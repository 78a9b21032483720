//! The lock file: one HTTP client, and one TLS, the system's.

use std::collections::BTreeMap;

#[derive(serde::Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(serde::Deserialize)]
struct Package {
    name: String,
    version: String,
}

/// All versions of each package that could be built, also for other systems and features than ours.
fn locked() -> BTreeMap<String, Vec<String>> {
    let lock: Lock = toml::from_str(include_str!("../../Cargo.lock")).unwrap();
    let mut packages = BTreeMap::<_, Vec<_>>::new();
    for Package { name, version } in lock.package {
        packages.entry(name).or_default().push(version);
    }
    packages
}

#[test]
fn there_is_one_http_client_and_it_is_the_one_that_serenity_takes() {
    let packages = locked();
    assert!(packages.contains_key("serenity"));
    let [reqwest] = &packages["reqwest"][..] else {
        panic!("more than one reqwest: {:?}", packages["reqwest"]);
    };
    assert!(reqwest.starts_with("0.12."), "reqwest {reqwest}");
}

#[test]
fn there_is_one_tls_and_it_is_the_systems() {
    let packages = locked();
    assert!(packages.contains_key("native-tls") && packages.contains_key("openssl-sys"));
    let others: Vec<&String> = packages
        .keys()
        // Certificates and keys as plain data, which native-tls shares with it: no TLS.
        .filter(|name| *name != "rustls-pki-types")
        .filter(|name| {
            ["rustls", "aws-lc", "boring", "webpki"]
                .iter()
                .any(|start| name.starts_with(start))
                || name.contains("-rustls")
                || *name == "ring"
        })
        .collect();
    assert!(others.is_empty(), "another TLS is locked: {others:?}");
}
