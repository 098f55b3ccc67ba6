//! The arguments that the list of images has in IMS only.

use shared::domain::error::ApiError;
use shared::http;
use shared::http::answers::ImageType;

use super::Query;
use crate::filter::Filter;

/// The type of an image.
const TYPE: &str = "__imagetype";
/// Whether an image is registered. All that IMS lists are, and clients ask for these.
const REGISTERED: &str = "__isregistered";
/// The enterprise project that an image belongs to, which is no project of a token.
const ENTERPRISE: &str = "enterprise_project_id";
/// The value of `ENTERPRISE` that stands for all of them. The provider of Terraform sends it unless it is told one.
const ALL_ENTERPRISES: &str = "all_granted_eps";

impl Query {
    /// Parses the arguments of `GET /v2/cloudimages`: those of `GET /v2/images`, and more.
    ///
    /// # Errors
    /// 400 with a sentence for an argument that is not as it must be.
    pub fn parse_ims(arguments: &[(String, String)]) -> Result<Self, ApiError> {
        let (own, others): (Vec<_>, Vec<_>) = arguments
            .iter()
            .cloned()
            .partition(|(name, _)| matches!(&**name, TYPE | REGISTERED | ENTERPRISE));
        let mut query = Self::parse(&others, Ok(()))?;
        for (name, value) in http::each_once(&own, |_| false) {
            let of = |filter: fn(String, String) -> Filter| filter(name.into(), value.into());
            match (name, value) {
                (TYPE, word) => {
                    query.image_type = ImageType::parse(word);
                    query.nothing |= query.image_type.is_none();
                }
                (ENTERPRISE, ALL_ENTERPRISES) => {}
                // What every image is, unless it says otherwise.
                (ENTERPRISE, "0") | (REGISTERED, "true") => {
                    query.filters.push(of(Filter::PropertyOrNone));
                }
                _ => query.filters.push(of(Filter::Property)),
            }
        }
        Ok(query)
    }
}
