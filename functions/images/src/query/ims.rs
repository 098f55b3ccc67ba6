//! The arguments that the list of images has in IMS only.

use shared::domain::error::ApiError;
use shared::http;
use shared::http::answers::ImageType;

use super::Query;
use crate::filter::Filter;

/// The type of an image.
const TYPE: &str = "__imagetype";
/// Whether an image can be used. In IMS all that are listed can, and clients ask for these.
const REGISTERED: &str = "__isregistered";
/// The enterprise project that an image belongs to, which is no project of a token.
const ENTERPRISE: &str = "enterprise_project_id";
/// The value of `ENTERPRISE` that clients send who do not mean one.
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
            let property = (name.to_owned(), value.to_owned());
            match (name, value) {
                (TYPE, word) => {
                    query.image_type = ImageType::parse(word);
                    query.nothing |= query.image_type.is_none();
                }
                (ENTERPRISE, ALL_ENTERPRISES) => {}
                // What an image is that does not say otherwise.
                (ENTERPRISE, "0") | (REGISTERED, "true") => {
                    query
                        .filters
                        .push(Filter::NoOtherProperty(property.0, property.1));
                }
                _ => query.filters.push(Filter::Property(property.0, property.1)),
            }
        }
        Ok(query)
    }
}
