//! Keystone's catalog: where the image service is.

use serde::Deserialize;

use super::settings::Settings;
use crate::error::{Failure, Outcome};

/// A service of the cloud.
#[derive(Debug, Deserialize)]
pub(super) struct Service {
    r#type: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    interface: String,
    url: String,
    region: Option<String>,
    region_id: Option<String>,
}

/// The image service's endpoint in the catalog.
pub(super) fn endpoint(catalog: &[Service], settings: &Settings) -> Outcome<String> {
    let interface = settings.get("interface").unwrap_or("public");
    let interface = interface.strip_suffix("URL").unwrap_or(interface);
    let region = settings.get("region_name");
    let services = catalog.iter().filter(|service| service.r#type == "image");
    let endpoints: Vec<&Endpoint> = services.flat_map(|service| &service.endpoints).collect();
    let here = |endpoint: &&&Endpoint| {
        let regions = [endpoint.region.as_deref(), endpoint.region_id.as_deref()];
        endpoint.interface == interface
            && region.is_none_or(|region| regions.contains(&Some(region)))
    };
    if let Some(found) = endpoints.iter().find(here) {
        return Ok(found.url.clone());
    }
    let mut others: Vec<String> = endpoints
        .iter()
        .map(|each| {
            format!(
                "{} in {}",
                each.interface,
                each.region.as_deref().unwrap_or("no region")
            )
        })
        .collect();
    others.dedup();
    let place = region.map_or_else(String::new, |region| format!(" in the region {region:?}"));
    Err(Failure::wrong_use(match others.is_empty() {
        true => "the catalog has no image service for this project: set OS_IMAGE_ENDPOINT_OVERRIDE to its \
                 address"
            .to_owned(),
        false => format!(
            "the catalog has no {interface} image service{place}, only {}: set OS_INTERFACE or \
             OS_REGION_NAME",
            others.join(", ")
        ),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_catalog_is_asked_for_region_and_interface() {
        let catalog: Vec<Service> = serde_json::from_value(json!([
            {"type": "identity", "endpoints": []},
            {"type": "image", "endpoints": [
                {"interface": "public", "url": "http://a", "region": "one", "region_id": "one"},
                {"interface": "public", "url": "http://b", "region": "two", "region_id": "two"},
                {"interface": "internal", "url": "http://c", "region": "two", "region_id": "two"},
            ]},
        ]))
        .unwrap();
        let url = |pairs: &[(&str, &str)]| endpoint(&catalog, &Settings::of(pairs));
        assert_eq!(url(&[]).unwrap(), "http://a");
        assert_eq!(url(&[("region_name", "two")]).unwrap(), "http://b");
        assert_eq!(url(&[("interface", "internalURL")]).unwrap(), "http://c");
        let told = url(&[("region_name", "three")]).unwrap_err().sentence;
        assert!(
            told.contains("public in one") && told.contains("OS_REGION_NAME"),
            "{told}"
        );
        assert!(endpoint(&[], &Settings::of(&[])).is_err());
    }
}
