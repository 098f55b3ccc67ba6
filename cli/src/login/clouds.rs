//! `clouds.yaml`, with the secrets of `secure.yaml` and the profiles of `clouds-public.yaml`.

use std::path::{Path, PathBuf};

use yaml_serde::{Mapping, Value};

use super::settings::{Settings, Variables};
use crate::error::{Failure, Outcome};
use crate::names::nearest;

/// The settings of a cloud.
///
/// # Errors
/// If no file has the cloud, or one cannot be read.
pub fn named(name: &str, variables: &Variables, region: Option<&str>) -> Outcome<Settings> {
    let (path, mut clouds) = clouds(variables)?;
    let Some(cloud) = clouds.remove(name) else {
        let names: Vec<String> = clouds
            .keys()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let place = match &path {
            Some(path) => format!("in {}", path.display()),
            None => {
                "since there is no clouds.yaml here, in ~/.config/openstack or in /etc/openstack"
                    .to_owned()
            }
        };
        let hint = match nearest::words(name, &names) {
            Some(nearest) => format!(": did you mean {nearest}?"),
            None => String::new(),
        };
        return Err(Failure::wrong_use(format!(
            "there is no cloud {name:?} {place}{hint}"
        )));
    };
    settings(name, cloud, variables, region)
}

/// The settings of the only cloud of `clouds.yaml`; none if there are more, or no file.
///
/// # Errors
/// If a file cannot be read.
pub fn single(variables: &Variables, region: Option<&str>) -> Outcome<Settings> {
    let (_, clouds) = clouds(variables)?;
    let mut clouds = clouds.into_iter();
    match (clouds.next(), clouds.next()) {
        (Some((name, cloud)), None) => {
            settings(name.as_str().unwrap_or_default(), cloud, variables, region)
        }
        _ => Ok(Settings::default()),
    }
}

/// The clouds of `clouds.yaml`, with the secrets of `secure.yaml`.
fn clouds(variables: &Variables) -> Outcome<(Option<PathBuf>, Mapping)> {
    let open = find("clouds", "OS_CLIENT_CONFIG_FILE", variables)?;
    let secure = find("secure", "OS_CLIENT_SECURE_FILE", variables)?;
    let (path, file) = open.map_or((None, Value::Null), |(path, file)| (Some(path), file));
    let mut clouds = clouds_of(file);
    // Secrets alone are no cloud.
    let mut secrets = clouds_of(secure.map_or(Value::Null, |(_, file)| file));
    for (name, cloud) in &mut clouds {
        if let Some(secrets) = secrets.remove(name) {
            merge(cloud, secrets);
        }
    }
    Ok((path, clouds))
}

fn clouds_of(mut file: Value) -> Mapping {
    match file.get_mut("clouds").map(std::mem::take) {
        Some(Value::Mapping(clouds)) => clouds,
        _ => Mapping::new(),
    }
}

/// Finds and reads a file: the one that a variable names, or the first of the search path.
fn find(stem: &str, variable: &str, variables: &Variables) -> Outcome<Option<(PathBuf, Value)>> {
    let home = variables.get("HOME").map(PathBuf::from);
    let config = variables.get("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.or_else(|| home.map(|home| home.join(".config")));
    let directories = [
        Some(PathBuf::from(".")),
        config.map(|config| config.join("openstack")),
        Some(PathBuf::from("/etc/openstack")),
    ];
    let files = directories.iter().flatten().flat_map(|directory| {
        ["yaml", "yml", "json"].map(|ending| directory.join(format!("{stem}.{ending}")))
    });
    let found = match variables.get(variable) {
        Some(path) => Some(PathBuf::from(path)),
        None => files.into_iter().find(|path| path.is_file()),
    };
    let Some(path) = found else {
        return Ok(None);
    };
    let file = read(&path)?;
    Ok(Some((path, file)))
}

fn read(path: &Path) -> Outcome<Value> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::wrong_use(format!("cannot read {}: {error}", path.display())))?;
    yaml_serde::from_str(&text).map_err(|error| {
        // Only the place: the error itself may quote a secret.
        let place = error.location();
        let place = place.map_or_else(String::new, |place| format!(" at line {}", place.line()));
        Failure::wrong_use(format!("{} is not YAML{place}: correct it", path.display()))
    })
}

/// Flattens a cloud's entry: what is in `auth` and what is beside it.
fn settings(
    name: &str,
    cloud: Value,
    variables: &Variables,
    region: Option<&str>,
) -> Outcome<Settings> {
    let profile = profile(name, &cloud, variables)?;
    let mut settings = Settings::default();
    // The cloud's own values are set last, so they win.
    for part in [profile, Some(cloud)].into_iter().flatten() {
        put(&mut settings, part.get("auth"));
        put(&mut settings, Some(&part));
        regions(&mut settings, &part, region);
    }
    Ok(settings)
}

/// The profile that a cloud is based on.
fn profile(cloud_name: &str, cloud: &Value, variables: &Variables) -> Outcome<Option<Value>> {
    let name = cloud
        .get("profile")
        .or_else(|| cloud.get("cloud"))
        .and_then(Value::as_str);
    let Some(name) = name.filter(|name| *name != cloud_name) else {
        return Ok(None);
    };
    let public = find("clouds-public", "OS_CLIENT_VENDOR_FILE", variables)?;
    let found = public.and_then(|(_, mut file)| {
        Some(std::mem::take(
            file.get_mut("public-clouds")?.get_mut(name)?,
        ))
    });
    match found {
        Some(found) => Ok(Some(found)),
        // The SDK has profiles of public clouds built in. Without them the address has to be said.
        None if cloud
            .get("auth")
            .and_then(|auth| auth.get("auth_url"))
            .is_some() =>
        {
            Ok(None)
        }
        None => Err(Failure::wrong_use(format!(
            "the cloud {cloud_name:?} uses the profile {name:?}, which no clouds-public.yaml has: write \
             its auth_url beside it"
        ))),
    }
}

fn put(settings: &mut Settings, values: Option<&Value>) {
    let Some(Value::Mapping(values)) = values else {
        return;
    };
    for (name, value) in values {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            _ => continue,
        };
        if let Some(name) = name.as_str() {
            settings.set(name, Some(&text));
        }
    }
}

/// Takes the asked one of the cloud's regions, or the first, with what is special there.
fn regions(settings: &mut Settings, cloud: &Value, asked: Option<&str>) {
    let Some(Value::Sequence(regions)) = cloud.get("regions") else {
        return;
    };
    let name_of = |region: &Value| {
        let name = region.as_str().or_else(|| region.get("name")?.as_str());
        name.map(str::to_owned)
    };
    let asked = asked.or_else(|| cloud.get("region_name")?.as_str());
    let found = match asked {
        Some(asked) => regions
            .iter()
            .find(|region| name_of(region).as_deref() == Some(asked)),
        None => regions.first(),
    };
    if let Some(region) = found {
        settings.set("region_name", name_of(region).as_deref());
        let values = region.get("values");
        put(settings, values.and_then(|values| values.get("auth")));
        put(settings, values);
    }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Mapping(into), Value::Mapping(from)) => {
            for (name, value) in from {
                match into.get_mut(&name) {
                    Some(present) => merge(present, value),
                    None => {
                        into.insert(name, value);
                    }
                }
            }
        }
        (into, from) => *into = from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Variables that name a directory of these files as the user's configuration.
    fn home(files: &[(&str, &str)]) -> (PathBuf, Variables) {
        let home = std::env::temp_dir().join(format!("imshare-{}", uuid::Uuid::new_v4()));
        let directory = home.join("openstack");
        std::fs::create_dir_all(&directory).unwrap();
        for (name, text) in files {
            std::fs::write(directory.join(name), text).unwrap();
        }
        let pair = (
            "XDG_CONFIG_HOME".to_owned(),
            home.to_str().unwrap().to_owned(),
        );
        (home, Variables([pair].into()))
    }

    #[test]
    fn secrets_profiles_and_regions_are_put_together() {
        let clouds = "
clouds:
  one:
    profile: vendor
    auth: {username: u, project_name: p}
    regions: [{name: r1}, {name: r2, values: {interface: internal}}]
";
        let secure = "clouds: {one: {auth: {password: hidden}}}";
        let public =
            "public-clouds: {vendor: {auth: {auth_url: 'http://vendor', username: nobody}}}";
        let files = [
            ("clouds.yaml", clouds),
            ("secure.yaml", secure),
            ("clouds-public.yaml", public),
        ];
        let (home, variables) = home(&files);
        let found = named("one", &variables, Some("r2")).unwrap();
        for (name, value) in [
            ("auth_url", "http://vendor"),
            ("username", "u"),
            ("password", "hidden"),
            ("region_name", "r2"),
            ("interface", "internal"),
        ] {
            assert_eq!(found.get(name), Some(value), "{name}");
        }
        assert_eq!(
            single(&variables, None).unwrap().get("region_name"),
            Some("r1")
        );
        let unknown = named("onne", &variables, None).unwrap_err().sentence;
        assert!(unknown.contains("did you mean \"one\"?"), "{unknown}");
        std::fs::remove_dir_all(home).unwrap();
    }

    #[test]
    fn a_broken_file_is_told_without_its_secrets() {
        let (home, variables) = home(&[("clouds.yaml", "clouds: {a: {auth: {password: 'hidden}")]);
        let told = named("a", &variables, None).unwrap_err().sentence;
        assert!(
            told.contains("is not YAML") && !told.contains("hidden"),
            "{told}"
        );
        std::fs::remove_dir_all(home).unwrap();
    }
}
